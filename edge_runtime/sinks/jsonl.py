"""One JSON object a frame, one line each."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edge_runtime.emotions.labels import EMOTIONS
from edge_runtime.errors import SinkError, UsageError
from edge_runtime.results import FrameResult
from edge_runtime.say import let_go_of_standard_output
from edge_runtime.sinks.base import PartialFile

SCHEMA = 1


class JsonlSink:
    """Writes to a file, or to standard output when ``path`` is None."""

    threaded = True

    def __init__(self, path: Path | None, *, live: bool = False) -> None:
        """Open the file. ``live``: frames are of now, so that each one's age is told as well."""
        if path is None and sys.stdout is None:  # closed by whoever started the program
            step = "name a file, or start the program with a standard output"
            raise UsageError("jsonl:-", expected="a standard output", got="none", next_step=step)
        self._file = PartialFile(path) if path else None
        self._stream = self._file.partial.open("w", encoding="utf-8") if self._file else sys.stdout
        self._live = live
        self._first_ns: int | None = None
        self._whole = 0  # bytes of the lines that were written to their end

    def write(self, result: FrameResult) -> None:
        """Write one line; whoever follows the file or reads the pipe has it at once."""
        if self._first_ns is None:
            self._first_ns = result.frame.captured_ns
        elapsed_ms = (result.frame.captured_ns - self._first_ns) / 1e6
        age_ms = (time.monotonic_ns() - result.frame.captured_ns) / 1e6 if self._live else None
        with self._named_errors():
            text = (
                json.dumps(line(result, elapsed_ms, age_ms), separators=(",", ":")) + "\n"
            )  # ASCII: a byte a character
            self._stream.write(text)
            self._stream.flush()
        self._whole += len(text)

    def close(self) -> None:
        """Put the file in its place, with its whole lines; half a one, after an error of ``write``, is cut off.

        Without a line there is no file, and one from an earlier run stays.
        """
        if not self._whole:
            self.discard()
        elif self._file:
            with contextlib.suppress(OSError):  # that half does not fit now either
                self._stream.close()
            with self._named_errors():
                os.truncate(self._file.partial, self._whole)
            self._file.keep()

    def discard(self) -> None:
        """Remove the file."""
        if self._file:
            with contextlib.suppress(OSError):  # what could not be written is not wanted any more
                self._stream.close()
            self._file.remove()

    @contextlib.contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if not self._file:
                let_go_of_standard_output()
            where, step = (self._file.path, "free some space") if self._file else ("-", "keep the reader running")
            got = error.strerror or str(error)
            raise SinkError(f"jsonl:{where}", expected="room for another line", got=got, next_step=step) from error


def line(result: FrameResult, elapsed_ms: float, age_ms: float | None = None) -> dict[str, Any]:
    """Return the object of one frame; boxes are in pixels of it.

    ``t_ms``: since the first frame was captured. ``age_ms``: since this one was, for a camera or stream.
    ``picture``: of stills alone.
    """
    faces = [
        {
            "track": face.track_id,
            "box_xyxy": [round(side, 1) for side in face.box_xyxy],
            "score": round(face.score, 4),
            "emotion": face.emotion,
            "confidence": round(face.confidence, 4),
            "probabilities": {
                emotion: round(float(p), 4) for emotion, p in zip(EMOTIONS, face.probabilities, strict=True)
            },
        }
        for face in result.faces
    ]
    stage_ms = {stage: round(ms, 3) for stage, ms in result.stage_ms.items()}
    return {
        "schema": SCHEMA,
        "frame": result.frame.index,
        **({"picture": result.frame.picture} if result.frame.picture else {}),
        "t_ms": round(elapsed_ms, 1),
        "age_ms": None if age_ms is None else round(age_ms, 1),
        "faces": faces,
        "dropped": result.frame.dropped,
        "detection": dataclasses.asdict(result.detection),
        "stage_ms": stage_ms,
    }
