"""Which sink an address names."""

from __future__ import annotations

from pathlib import Path

from edge_runtime.errors import UsageError
from edge_runtime.sinks.base import Sink


def open_sink(address: str, fps: float) -> Sink | None:
    """Open what ``address`` names; raise ``UsageError`` when it names nothing.

    ``video:FILE.webm`` or ``.mp4`` · ``jsonl:FILE``, or ``jsonl:-`` for standard output · ``none``.
    ``fps``: frames a second of the source, written into a video.
    """
    kind, _, path = address.partition(":")
    if address == "none":
        return None
    if kind == "video" and path:
        from edge_runtime.sinks.video import VideoSink

        return VideoSink(Path(path), fps)
    if kind == "jsonl" and path:
        from edge_runtime.sinks.jsonl import JsonlSink

        return JsonlSink(None if path == "-" else Path(path))
    raise UsageError(
        "sink", expected="video:FILE, jsonl:FILE, jsonl:- or none", got=repr(address), next_step="correct --sink"
    )
