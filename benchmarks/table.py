"""A report as lines for people, at most 120 columns wide."""

from __future__ import annotations

import math
import textwrap
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
WIDTH = 120
MOST_OVERHEAD = 0.02
_MISSING = "–"
_MOST_COLUMNS = 8


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
MEAN = Column(head="mean", width=8, cell=lambda row: milliseconds(row.latency.mean_ms))
P50 = Column(head="p50 [95 % interval]", width=22, cell=lambda row: with_interval(row.latency))
P90 = Column(head="p90", width=8, cell=lambda row: milliseconds(row.latency.p90_ms))
P99 = Column(head="p99", width=8, cell=lambda row: milliseconds(row.latency.p99_ms))
MAX = Column(head="max", width=8, cell=lambda row: milliseconds(row.latency.max_ms))
TAIL = P90, P99, MAX
N = Column(head="n", width=9, cell=lambda row: f"{row.latency.n:,}")
PER_FACE = Column(head="mean/face", width=11, cell=lambda row: milliseconds(row.latency.mean_ms / row.faces))
PER_SECOND = Column(head="faces/s", width=10, cell=lambda row: f"{row.faces / row.latency.mean_ms * 1e3:,.0f}")
_FOUND = Column(head="faces found", width=13, cell=lambda row: f"{row.figures['faces_found']:.1f}")
_HARNESS = (
    Column(head="p50", width=8, cell=lambda row: milliseconds(row.figures["here_ms"])),
    Column(head="its own", width=9, cell=lambda row: milliseconds(row.figures["tool_ms"])),
    Column(
        head="ratio [of all pairs]",
        width=22,
        cell=lambda row: "{ratio:.2f} [{least_ratio:.2f}, {greatest_ratio:.2f}]".format(**row.figures),
    ),
    Column(head="pairs", width=7, cell=lambda row: f"{row.figures['pairs']:.0f}"),
    Column(head="agrees", width=8, cell=lambda row: "yes" if row.figures["agrees"] else "NO"),
)


def table(report: Report) -> str:
    """Lay the report out."""
    frames = report.of("frame")
    sections = [
        _head(report),
        _rows("single: one face, ms", report.of("single"), (CASE, P50, *TAIL, N)),
        _overhead(report),
        _rows("faces: all of a frame, found beforehand, ms", report.of("faces"), (CASE, P50, *TAIL, N, PER_FACE)),
        _added_face(report),
        _rows(f"frame: faces by {report.detector}, ms", frames, (MEAN, P50, *TAIL, N, *_found(frames))),
        _stages(report),
        _rows(
            "paced: a camera of so many frames a second, ms",
            report.of("paced"),
            (CASE, P50, P99, *_paced(report)),
        ),
        _rows("offline: a batch of faces, ms", report.of("offline"), (CASE, P50, *TAIL, N, PER_FACE, PER_SECOND)),
        _rows("accuracy: labelled faces, one at a time, ms", report.of("accuracy"), (CASE, P50, *_accuracy())),
        _rows("harness: an engine's own benchmark beside it, ms", report.of("harness"), (CASE, N, *_HARNESS)),
        _ratios(report) if report.options["baseline"] else "",
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
    width = max(NAME, *(len(row.candidate) + 1 for row in rows))
    indent = width + sum(column.width for column in columns if column is CASE)
    heads = "".join(f"{column.head:>{column.width}}" for column in columns if column is not CASE)
    lines = [f"{title:<{indent}}{heads}"] if len(title) <= indent else [title, " " * indent + heads]
    for row in rows:
        cells = (f"{column.cell(row):{'<' if column is CASE else '>'}{column.width}}" for column in columns)
        lines.append(f"{row.candidate:<{width}}{''.join(cells)}")
    return "\n".join(lines)


def _head(report: Report) -> str:
    place = ("cpu", "cores", "system")
    state = {
        "governor": report.states[0].governor,
        "MHz": _course(report, "frequency_mhz", ".0f", min),
        "°C": _course(report, "temperature_c", ".1f", max),
        "load": _course(report, "load_1min", ".2f", max),
        "throttling": report.throttled or report.states[-1].throttling,
        "since boot": report.states[0].since_boot,
    }
    lines = [
        {name: report.machine[name] for name in place},
        {name: value for name, value in report.machine.items() if name not in (*place, "machine")},
        state,
        {"bundle": report.bundle, "clip": f"{report.clip['pictures']}, faces {report.clip['faces']}"},
    ]
    return "\n".join(
        textwrap.fill(" · ".join(f"{name} {value}".replace(" ", "\0") for name, value in line.items()), WIDTH)
        for line in lines
    ).replace("\0", " ")


def _course(report: Report, field: str, form: str, worst: Callable[[Iterable[float]], float]) -> str:
    """Tell what a state was before, at its worst, and after the run."""
    values = [getattr(state, field) for state in report.states]
    if values[0] is None or values[-1] is None:
        return UNKNOWN
    at_worst = worst(value for value in values if value is not None)
    return " → ".join(format(value, form) for value in (values[0], at_worst, values[-1]))


def _found(frames: Sequence[Row]) -> tuple[Column, ...]:
    return (_FOUND,) if frames and "faces_found" in frames[0].figures else ()


def _stages(report: Report) -> str:
    means = {(row.candidate, row.stage): row.latency.mean_ms for row in report.rows if row.scenario == "frame"}
    stages = [stage for stage in STAGES if report.of("frame", stage=stage)]
    lines = {
        row.candidate: [milliseconds(means[row.candidate, stage]) for stage in stages] for row in report.of("frame")
    }
    return _grid("frame: mean of each stage", stages, lines if stages else {})


def _paced(report: Report) -> tuple[Column, ...]:
    ages = {(row.candidate, row.case): row.latency for row in report.of("paced", stage="age")}

    def age(row: Row, name: str) -> str:
        latency = ages.get((row.candidate, row.case))
        return milliseconds(getattr(latency, name) if latency else None)

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
    said = f"overhead of the harness: {null * 1e3:.1f} µs a call, {share:.1%} of the fastest artefact's p50"
    return said + (f", MORE than the {MOST_OVERHEAD:.0%} that it may be" if share > MOST_OVERHEAD else "")


def _added_face(report: Report) -> str:
    slopes = {name: added_face_ms(rows) for name, rows in by_candidate(report.of("faces")).items()}
    return _grid("faces: what one more costs", ["ms"], {name: [milliseconds(ms)] for name, ms in slopes.items()})


def _ratios(report: Report) -> str:
    """Lay out each candidate's ratio to the baseline, turn by turn; "~" where its interval holds 1."""
    rows = [row for scenario in ("single", "faces", "frame", "offline") for row in report.of(scenario)]
    cases = list(dict.fromkeys((row.scenario, row.case) for row in rows))
    ratios = {(row.candidate, row.scenario, row.case): row.ratio for row in rows if row.ratio}
    baseline = report.options["baseline"]
    if not ratios:  # too few turns of any, or none beside the baseline
        return f"no ratios: the baseline {baseline} died" if baseline in report.died else ""

    def cell(name: str, case: tuple[str, str]) -> str:
        if (ratio := ratios.get((name, *case))) is None:
            return _MISSING
        middle, low, high = ratio
        return f"{'~' if low <= 1 <= high else ''}{middle:.2f}"

    names, blocks = by_candidate(rows), []
    for first in range(0, len(cases), _MOST_COLUMNS):
        some = cases[first : first + _MOST_COLUMNS]
        heads = [case.split()[0] if scenario == "single" else f"{scenario} {case}".strip() for scenario, case in some]
        blocks.append(_grid("", heads, {name: [cell(name, case) for case in some] for name in names}))
    title = f"times as long as {baseline} beside it, turn by turn (~ no difference to tell)"
    return "\n".join([title, *blocks])


def _steady(report: Report) -> str:
    lines = {}
    for name, rows in by_candidate(report.of("steady")).items():
        means = [row.latency.mean_ms for row in rows]  # faces are looked for in every third frame: no p50 sees them
        slowest = max(means)
        figures = [milliseconds(ms) for ms in (means[0], means[-1], slowest)]
        lines[name] = [*figures, rows[means.index(slowest)].case, f"{slowest / means[0]:.2f}"]
    title = f"steady: whole frames for {report.options['duration']}, mean of slices, ms"
    return _grid(title, ["first", "last", "slowest", "at", "× first"], lines)


def _starts(report: Report) -> str:
    lines = {}
    for name, start in report.starts.items():
        times = [milliseconds(ms) for ms in (start.import_ms, start.load_ms, start.first_ms)]
        lines[name] = [*times, _MISSING if start.resident_mb is None else f"{start.resident_mb:.0f}"]
    return _grid("start in a fresh process", ["import ms", "load ms", "first ms", "memory MB"], lines)


def _grid(title: str, heads: Sequence[str], lines: dict[str, list[str]]) -> str:
    """Lay out a line a candidate under heads; nothing without candidates."""
    if not lines:
        return ""
    width = max(NAME, *(len(name) + 1 for name in lines))
    top = f"{title:<{width}}" if len(title) <= width else f"{title}\n{'':<{width}}"
    rows = [f"{name:<{width}}" + "".join(f" {cell:>10}" for cell in cells) for name, cells in lines.items()]
    return "\n".join([top + "".join(f" {head:>10}" for head in heads), *rows])


def _warnings(report: Report) -> list[str]:
    lines = [f"DIED: {name} {reason}" for name, reason in report.died.items()]
    if report.throttled:
        lines.append(f"THROTTLED: {report.throttled}. These figures are of a machine that was slowed down.")
    if not report.complete:
        lines.append("INCOMPLETE: the run did not end by itself; what is missing was not measured.")
    return lines
