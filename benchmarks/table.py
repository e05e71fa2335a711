"""A report as lines for people, at most 120 columns wide."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.clock import Latency
from benchmarks.report import Report, Row
from benchmarks.scenarios import ENGINE_ALONE
from benchmarks.session import NULL
from edge_runtime.health import UNKNOWN
from edge_runtime.recogniser import STAGES

NAME = 24
_MISSING = "–"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a table of rows: its head, its width, and what stands in it."""

    head: str
    width: int
    cell: Callable[[Row], str]


def milliseconds(value: float | None) -> str:
    """Three significant digits, more than a repeated run agrees on, but none below a tenth of a microsecond."""
    if value is None:
        return _MISSING
    decimals = 2 - math.floor(math.log10(max(value, 1e-3)))
    return f"{value:.{min(max(decimals, 0), 4)}f}"


def with_interval(latency: Latency, name: str = "p50_ms") -> str:
    """Lay out a figure with its 95 % interval."""
    text = milliseconds(getattr(latency, name))
    if name in latency.intervals_95:
        low, high = map(milliseconds, latency.intervals_95[name])
        text += f" [{low}, {high}]"
    return text


CASE = Column(head="", width=16, cell=lambda row: f" {row.case}")
P50 = Column(head="p50 [95 % interval]", width=22, cell=lambda row: with_interval(row.latency))
TAIL = tuple(
    Column(head=head, width=8, cell=lambda row, field=f"{head}_ms": milliseconds(getattr(row.latency, field)))
    for head in ("p90", "p99", "max")
)
N = Column(head="n", width=9, cell=lambda row: f"{row.latency.n:,}")
PER_FACE = Column(head="mean/face", width=11, cell=lambda row: milliseconds(row.latency.mean_ms / row.faces))
PER_SECOND = Column(head="faces/s", width=10, cell=lambda row: f"{row.faces / row.latency.mean_ms * 1e3:,.0f}")


def table(report: Report) -> str:
    """Lay the report out."""
    ratio = _ratio_columns(report)
    sections = [
        _head(report),
        _rows("single: one face, ms", report.of("single"), (CASE, P50, *TAIL, N, *ratio)),
        _overhead(report),
        _rows("faces: all of a frame, found beforehand, ms", report.of("faces"), (CASE, P50, *TAIL, N, PER_FACE)),
        _added_face(report),
        _rows(f"frame: faces by {report.detector}, ms", report.of("frame"), (P50, *TAIL, N, *_stages(report))),
        _rows(
            "paced: a camera of so many frames a second, ms",
            report.of("paced"),
            (CASE, P50, *TAIL[1:], *_paced(report)),
        ),
        _rows("offline: a batch of faces, ms", report.of("offline"), (CASE, P50, *TAIL, N, PER_FACE, PER_SECOND)),
        _rows("accuracy: labelled faces, one at a time, ms", report.of("accuracy"), (CASE, P50, *_accuracy())),
        _steady(report),
        _starts(report),
        *_warnings(report),
    ]
    return "\n\n".join(filter(None, sections))


def added_face_ms(rows: Sequence[Row]) -> float | None:
    """Return what one more face in a frame costs: the slope of p50 over the number of faces; None of one number."""
    points = [(row.faces, row.latency.p50_ms) for row in rows if row.latency.p50_ms is not None]
    if len({n for n, _ in points}) < 2:  # noqa: PLR2004  (a slope needs two)
        return None
    n, p50 = np.array(points).T
    return float(np.polyfit(n, p50, 1)[0])


def by_candidate(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Gather rows by candidate, in their order."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.candidate, []).append(row)
    return found


def _rows(title: str, rows: Sequence[Row], columns: Sequence[Column]) -> str:
    if not rows:
        return ""
    narrow = NAME + (columns[0].width if columns[0] is CASE else 0)
    rest = columns[1:] if columns[0] is CASE else columns
    lines = [f"{title:<{narrow}}" if len(title) <= narrow else title]
    heads = "".join(f"{column.head:>{column.width}}" for column in rest)
    lines = [lines[0] + heads] if len(title) <= narrow else [title, " " * narrow + heads]
    for row in rows:
        cells = (f"{column.cell(row):{'<' if column is CASE else '>'}{column.width}}" for column in columns)
        lines.append(f"{row.candidate:<{NAME}}{''.join(cells)}".rstrip())
    return "\n".join(lines)


def _head(report: Report) -> str:
    first, last = report.states[0], report.states[-1]
    lines = [
        " · ".join(f"{name} {value}" for name, value in report.machine.items() if name in ("cpu", "cores", "system")),
        " · ".join(f"{n} {v}" for n, v in report.machine.items() if n not in ("cpu", "cores", "system", "machine")),
        f"governor {first.governor} · MHz {_range(report, 'frequency_mhz')} · °C {_range(report, 'temperature_c')}",
        f"load {_range(report, 'load_1min')} · throttling {report.throttled or last.throttling}",
        f"bundle {report.bundle} · clip of {report.clip['pictures']}, {report.clip['faces']}, by {report.detector}",
    ]
    return "\n".join(lines)


def _range(report: Report, field: str) -> str:
    """Tell a state before → the highest during → after the run."""
    values = [getattr(state, field) for state in report.states]
    known = [value for value in values if value is not None]
    if not known:
        return UNKNOWN
    return " → ".join(UNKNOWN if value is None else f"{value:.4g}" for value in (values[0], max(known), values[-1]))


def _ratio_columns(report: Report) -> tuple[Column, ...]:
    baseline = report.options.get("baseline")
    if not baseline:
        return ()

    def cell(row: Row) -> str:
        return _MISSING if row.ratio is None else "{:.2f} [{:.2f}, {:.2f}]".format(*row.ratio)

    return (Column(head=f"× {baseline}", width=21, cell=cell),)


def _stages(report: Report) -> tuple[Column, ...]:
    means = {(row.candidate, row.stage): row.latency.mean_ms for row in report.rows if row.scenario == "frame"}
    return tuple(
        Column(head=stage, width=10, cell=lambda row, stage=stage: milliseconds(means[row.candidate, stage]))
        for stage in STAGES
    )


def _paced(report: Report) -> tuple[Column, ...]:
    ages = {(row.candidate, row.case): row.latency for row in report.of("paced", stage="age")}

    def age(row: Row, name: str) -> str:
        return milliseconds(getattr(ages[row.candidate, row.case], name))

    return (
        N,
        Column(head="in budget", width=11, cell=lambda row: f"{row.figures['within_budget']:.1%}"),
        Column(head="dropped", width=9, cell=lambda row: f"{row.figures['dropped']:.1%}"),
        Column(head="age p50", width=9, cell=lambda row: age(row, "p50_ms")),
        Column(head="p99", width=8, cell=lambda row: age(row, "p99_ms")),
    )


def _accuracy() -> tuple[Column, ...]:
    def right(row: Row) -> str:
        if "accuracy" not in row.figures:
            return _MISSING
        return "{accuracy:.1%} [{accuracy_low:.1%}, {accuracy_high:.1%}]".format(**row.figures)

    def figure(name: str, form: str) -> Callable[[Row], str]:
        return lambda row: format(row.figures[name], form) if name in row.figures else _MISSING

    return (
        Column(head="faces", width=9, cell=figure("n", ",.0f")),
        Column(head="accuracy", width=24, cell=right),
        Column(head="macro-F1", width=10, cell=figure("macro_f1", ".1%")),
        Column(head="ECE", width=8, cell=figure("ece", ".3f")),
    )


def _overhead(report: Report) -> str:
    found = {row.candidate: row.latency.p50_ms for row in report.of("single", case=ENGINE_ALONE)}
    null, *others = found.pop(NULL, None), *filter(None, found.values())
    if null is None or not others:
        return ""
    share = null / min(others)
    return f"overhead of the harness: {null * 1e3:.1f} µs a call, {share:.1%} of the fastest artefact's p50"


def _added_face(report: Report) -> str:
    found = {name: added_face_ms(rows) for name, rows in by_candidate(report.of("faces")).items()}
    texts = [f"{name} {milliseconds(ms)}" for name, ms in found.items() if ms is not None]
    return (
        "a face more costs, ms: " + "\n  ".join(" · ".join(texts[i : i + 5]) for i in range(0, len(texts), 5))
        if texts
        else ""
    )


def _steady(report: Report) -> str:
    lines = []
    for name, rows in by_candidate(report.of("steady")).items():
        p50 = [row.latency.p50_ms for row in rows]
        known = [value for value in p50 if value is not None]
        if known:
            slowest = max(known)
            lines.append(
                f"{name:<{NAME}}{milliseconds(p50[0]):>12}{milliseconds(p50[-1]):>12}{milliseconds(slowest):>12}"
                f"{rows[p50.index(slowest)].case:>10}{slowest / known[0]:>10.2f}"
            )
    if not lines:
        return ""
    heads = "".join(
        f"{head:>{w}}" for head, w in (("first", 12), ("last", 12), ("slowest", 12), ("at", 10), ("× first", 10))
    )
    title = f"steady: whole frames for {report.options['duration']}, p50 by slice, ms"
    return "\n".join([title, " " * NAME + heads, *lines])


def _starts(report: Report) -> str:
    lines = [
        f"{'start in a fresh process':<{NAME}}"
        + "".join(f"{head:>12}" for head in ("import ms", "load ms", "first ms", "memory MB"))
    ]
    for name, start in report.starts.items():
        times = "".join(f"{milliseconds(ms):>12}" for ms in (start.import_ms, start.load_ms, start.first_ms))
        memory = _MISSING if start.resident_mb is None else f"{start.resident_mb:.0f}"
        lines.append(f"{name:<{NAME}}{times}{memory:>12}")
    return "\n".join(lines)


def _warnings(report: Report) -> list[str]:
    lines = [f"DIED: {name} {reason}" for name, reason in report.died.items()]
    if report.throttled:
        lines.append(f"THROTTLED: {report.throttled}. These figures are of a machine that was slowed down.")
    if not report.complete:
        lines.append("INCOMPLETE: the run did not end by itself; what is missing was not measured.")
    return lines
