"""The report of a benchmark: one JSON document."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.bootstrap import Timed, pair_ratio
from benchmarks.clock import TURN, Latency
from benchmarks.conditions import State, throttled
from benchmarks.session import Measured
from benchmarks.start import Start
from edge_runtime.errors import DataError
from edge_runtime.files import write_text
from edge_runtime.strict import MismatchError, build, require

SCHEMA = 4
_NEXT_STEP = "make it again with fer-edge bench"
_MOMENT = re.compile(r"\d{1,6}:\d\d")
_FIGURES = {
    "paced": ("within_budget", "dropped"),
    "harness": ("here_ms", "tool_ms", "ratio", "least_ratio", "greatest_ratio", "pairs", "agrees"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One candidate in one case of a scenario; ``stage`` is a part of the call, or empty: the whole of it.

    ``case``: a number of faces, a batch size, a camera's rate, a slice of time, … ``faces``: in each call, 0 where that
    varies. ``ratio``: times as long as the baseline beside it, turn by turn: median and 95 % interval.
    ``figures``: what this scenario alone can say (shares are fractions): "within_budget" and "dropped" of a paced
    camera; "n", "accuracy", its interval "accuracy_low" and "accuracy_high", "macro_f1" and "ece" of labelled faces;
    "faces_found" in a frame of other systems' pipelines; of an engine's own benchmark beside the harness the medians
    "here_ms" and "tool_ms", their "ratio" with "least_ratio" and "greatest_ratio" of its "pairs", and "agrees".
    """

    scenario: str
    candidate: str
    case: str
    stage: str
    faces: int
    latency: Latency
    ratio: tuple[float, float, float] | None
    figures: dict[str, float]

    def __post_init__(self) -> None:
        """Refuse a row that cannot be shown: raise ``MismatchError``."""
        needs = () if self.stage else _FIGURES.get(self.scenario, ())
        require(self.figures.keys() >= set(needs), f"figures of {self.scenario}", ", ".join(needs), list(self.figures))
        if self.scenario == "steady":
            require(bool(_MOMENT.fullmatch(self.case)), "case of steady", "minutes and seconds as 0:30", self.case)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All of one run.

    ``complete``: False while it is being made, and for ever if the process was killed. ``files``: artefact -> model
    file -> sha256. ``clip``: what was looked at. ``data``: sha256 of the labelled faces, see ``FaceSet``; empty: none.
    ``starts``: of each candidate. ``died``: candidates that raised an error, and what; what they had measured before is
    among the rows.
    """

    schema: int
    command: str
    options: dict[str, Any]
    complete: bool
    machine: dict[str, str]
    states: tuple[State, ...]
    bundle: str
    files: dict[str, dict[str, str]]
    detector: str
    clip: dict[str, str]
    data: str
    starts: dict[str, Start]
    died: dict[str, str]
    rows: tuple[Row, ...]

    def __post_init__(self) -> None:
        """Refuse a report that cannot be shown: raise ``MismatchError``."""
        require(len(self.states) > 0, "states", "at least one, before the run", "none")
        for what, has, needs in (
            ("options", self.options, ("baseline", "duration")),
            ("machine", self.machine, ("cpu", "cores", "system")),
            ("clip", self.clip, ("pictures", "faces")),
        ):
            require(has.keys() >= set(needs), what, ", ".join(needs), ", ".join(has))

    @property
    def throttled(self) -> str:
        """What slowed the machine down while it was measured; empty: nothing that it tells of."""
        return throttled(self.states)

    def of(self, scenario: str, *, stage: str = "", case: str | None = None) -> list[Row]:
        """Rows of a scenario, of the whole call unless a ``stage`` is named, of all cases unless one is."""
        return [
            row for row in self.rows if row.scenario == scenario and row.stage == stage and case in (None, row.case)
        ]

    def accurate(self) -> list[Row]:
        """Rows of labelled faces, of who has seen them all: an engine that died on the way has times alone."""
        return [row for row in self.of("accuracy") if "accuracy" in row.figures]


def rows_of(measured: Measured, baseline: str) -> Iterator[Row]:
    """Summarise what a scenario measured; ``baseline``: the candidate that ratios are told against, or empty."""
    beside = Timed(measured.samples.get(baseline, {}).get("", []), measured.began_s.get(baseline, []))
    for name, stages in measured.samples.items():
        for stage, samples in stages.items():
            yield Row(
                scenario=measured.scenario,
                candidate=name,
                case=measured.case,
                stage=stage,
                faces=measured.faces,
                latency=Latency.of(samples),
                ratio=None if stage else pair_ratio(Timed(samples, measured.began_s.get(name, [])), beside, TURN),
                figures={} if stage else measured.figures.get(name, {}),
            )


def write_report(report: Report, path: Path) -> None:
    """Write the JSON document in one piece."""
    write_text(path, json.dumps(dataclasses.asdict(report), indent=1) + "\n")


def read_report(path: Path) -> Report:
    """Read a report that ``write_report`` wrote; raise ``DataError`` when it is not one of this schema."""
    try:
        raw = json.loads(path.read_bytes())
        schema = raw.get("schema") if isinstance(raw, dict) else None
        if schema == SCHEMA:
            return build(Report, raw, "report")
        expected, got = f"a benchmark report of schema {SCHEMA}", f"schema {schema}"
        raise DataError(f"{path}", expected=expected, got=got, next_step=_NEXT_STEP)
    except MismatchError as error:
        what = f"{path}: {error.what}"
        raise DataError(what, expected=error.expected, got=error.got, next_step=_NEXT_STEP) from error
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}", expected="a benchmark report", got=str(error), next_step=_NEXT_STEP) from error
