"""The plots of a report: latency distribution, stage stack, scaling with faces, accuracy over latency, a long run."""

from __future__ import annotations

import math
from collections.abc import Sequence

from benchmarks.clock import BINS_A_DECADE
from benchmarks.report import Report, Row
from benchmarks.session import NULL
from benchmarks.svg import Axis, Plot, spread
from benchmarks.table import added_face_ms, by_candidate, milliseconds
from edge_runtime.recogniser import STAGES

_ENGINES = {"tflite": "#0d9488", "onnx": "#d97706", "openvino": "#6366f1", NULL: "#94a3b8"}
_DASHES = {"int8": "", "fp16": "7 4", "fp32": "2 4"}
STAGE_COLOURS = ("#475569", "#0ea5e9", "#a3e635", "#f43f5e")
_LEFT = 190.0
_RIGHT = 810.0

Series = tuple[str, list[tuple[float, float]]]


def distribution(rows: Sequence[Row]) -> Plot:
    """Draw a histogram a candidate, one below the other, over milliseconds on a logarithmic scale."""
    strip = 44.0
    plot = Plot("distribution of the time of one face", strip * len(rows) + 66)
    places = [int(place) for row in rows for place in row.latency.bins]
    axis = Axis(low=_bin_ms(min(places)), high=_bin_ms(max(places) + 1), start=_LEFT, end=_RIGHT, log=True)
    bottom = strip * len(rows) + 18
    plot.x_axis(axis, 8, bottom, "ms, logarithmic")
    for number, row in enumerate(rows):
        floor, bins = strip * (number + 1) + 10, {int(place): count for place, count in row.latency.bins.items()}
        tall = (strip - 8) / max(bins.values())
        outline = [(axis(_bin_ms(min(bins))), floor)]
        for place in range(min(bins), max(bins) + 1):
            y = floor - bins.get(place, 0) * tall
            outline += [(axis(_bin_ms(place)), y), (axis(_bin_ms(place + 1)), y)]
        outline.append((axis(_bin_ms(max(bins) + 1)), floor))
        plot.area(outline, _colour(row.candidate))
        for value in (row.latency.p50_ms, row.latency.p99_ms):
            if value is not None:
                x = axis(max(value, axis.low))  # the first bin holds what is shorter as well
                plot.line([(x, floor - strip + 12), (x, floor)], "currentColor", width=1.5)
        plot.text(_LEFT - 12, floor - strip / 3, row.candidate, anchor="end")
        said = f"p50 {milliseconds(row.latency.p50_ms)} · p99 {milliseconds(row.latency.p99_ms)}"
        plot.text(_RIGHT + 12, floor - strip / 3, said, faint=True)
    return plot


def stage_stack(report: Report) -> Plot:
    """Draw a bar a candidate: the mean time of each stage of a frame, one behind the other."""
    totals = {row.candidate: row.latency.mean_ms for row in report.of("frame")}
    strip = 32.0
    plot = Plot("mean time of a frame by stage", strip * len(totals) + 104)
    axis = Axis(low=0, high=max(totals.values()) * 1.02, start=_LEFT, end=_RIGHT)
    top, bottom = 40.0, strip * len(totals) + 52
    plot.x_axis(axis, top, bottom, "ms, means, which add up")
    for place, (stage, colour) in enumerate(zip(STAGES, STAGE_COLOURS, strict=True)):
        plot.bar(_LEFT + 130 * place, 10, 14, 14, colour, stage)
        plot.text(_LEFT + 130 * place + 20, 18, stage)
    means = {(row.candidate, row.stage): row.latency.mean_ms for row in report.rows if row.scenario == "frame"}
    for number, (name, total) in enumerate(totals.items()):
        y, reached = top + 8 + strip * number, 0.0
        for stage, colour in zip(STAGES, STAGE_COLOURS, strict=True):
            ms = means[name, stage]
            hint = f"{name}, {stage}: {milliseconds(ms)} ms"
            plot.bar(axis(reached), y, axis(ms) - axis(0), strip - 8, colour, hint)
            reached += ms
        plot.text(_LEFT - 12, y + strip / 2 - 4, name, anchor="end")
        plot.text(_RIGHT + 12, y + strip / 2 - 4, f"{milliseconds(total)} ms", faint=True)
    return plot


def scaling(report: Report) -> Plot:
    """Draw what a frame's faces take over their number, a line a candidate, and name what one more costs."""
    gathered = by_candidate(report.of("faces"))
    series = [
        (name, [(float(row.faces), row.latency.p50_ms or row.latency.mean_ms) for row in rows])
        for name, rows in gathered.items()
    ]
    notes = {
        name: f"+{milliseconds(slope)}" for name, rows in gathered.items() if (slope := added_face_ms(rows)) is not None
    }
    return _lines("time of all faces of a frame", series, "faces in a frame", "ms, p50", notes)


def over_time(report: Report) -> Plot:
    """Draw the mean of each slice of a steady run, a line a candidate."""
    series = [
        (name, [(_minutes(row.case), row.latency.mean_ms) for row in rows])
        for name, rows in by_candidate(report.of("steady")).items()
    ]
    return _lines("time of a frame in a run without a pause", series, "minutes", "ms, mean", {})


def temperature(report: Report) -> Plot | None:
    """Draw the temperature over the whole run; None where the machine does not tell it."""
    points = [(state.at_s / 60, state.temperature_c) for state in report.states if state.temperature_c is not None]
    if len(points) < 2:  # noqa: PLR2004  (a line needs two)
        return None
    return _lines("temperature", [("temperature", points)], "minutes", "°C", {})


def front(rows: Sequence[Row]) -> Plot:
    """Draw accuracy, with its interval, over the time of a face; a line joins those that no other beats in both."""
    points = [
        (max(row.latency.p50_ms or row.latency.mean_ms, _bin_ms(0)), row.figures["accuracy"], row)
        for row in rows
        if "accuracy" in row.figures
    ]
    points.sort(key=lambda point: (point[0], -point[1]))
    # room above for the names, which stand at 55 degrees: a letter is about 8 pixels long
    top = 24 + 8 * math.sin(math.radians(55)) * max(len(row.candidate) for _, _, row in points)
    bottom = top + 310
    plot = Plot("accuracy over time of a face", round(bottom) + 60)
    times = [ms for ms, _, _ in points]
    across = Axis(low=min(times) / 1.3, high=max(times) * 1.3, start=_LEFT - 80, end=_RIGHT + 60, log=True)
    lows, highs = ([row.figures[f"accuracy_{end}"] * 100 for _, _, row in points] for end in ("low", "high"))
    low = math.ceil(min(lows)) - 1  # not floor: all may be right
    up = Axis(low=low, high=math.ceil(max(highs)), start=bottom, end=top)
    plot.x_axis(across, top, bottom, "ms a face, p50, logarithmic")
    plot.y_axis(up, across.start, across.end, "accuracy, %")
    best, edge = -1.0, []
    for ms, accuracy, _ in points:
        if accuracy > best:
            best = accuracy
            edge.append((across(ms), up(accuracy * 100)))
    plot.line(edge, "currentColor", dash="3 3", width=1.5)
    gap = min(22, (across.end - across.start) / len(points))
    labels = spread([across(ms) for ms in times], gap, across.end)
    for label, (ms, accuracy, row) in zip(labels, points, strict=True):
        colour, x, y = _colour(row.candidate), across(ms), up(accuracy * 100)
        ends = (up(row.figures[f"accuracy_{end}"] * 100) for end in ("low", "high"))
        plot.line([(x, end) for end in ends], colour, width=1)
        plot.line([(x, y), (label, top - 6)], "var(--grid)", width=1)
        plot.dot(x, y, colour, f"{row.candidate}: {accuracy:.2%} at {milliseconds(ms)} ms")
        plot.text(label, top - 14, row.candidate, turn=-55)
    return plot


def _lines(title: str, series: Sequence[Series], x_label: str, y_label: str, notes: dict[str, str]) -> Plot:
    """Draw a line a series, on an axis that holds zero, with its name at its end."""
    gap, top, left, right = 19.0, 14.0, 80.0, 720.0
    bottom = max(430.0, top + gap * len(series))
    plot = Plot(title, bottom + 50)
    xs, ys = ([point[axis] for _, points in series for point in points] for axis in (0, 1))
    across = Axis(low=min(xs), high=max(xs), start=left, end=right)
    up = Axis(low=min(0, *ys) * 1.05, high=max(0, *ys) * 1.05, start=bottom, end=top)
    plot.x_axis(across, top, bottom, x_label)
    plot.y_axis(up, left, right, y_label)
    ends = sorted((up(points[-1][1]), name) for name, points in series)
    labels = dict(zip((name for _, name in ends), spread([y for y, _ in ends], gap, bottom), strict=True))
    for name, points in series:
        colour = _colour(name)
        plot.line([(across(x), up(y)) for x, y in points], colour, dash=_dash(name))
        for x, y in points:
            plot.dot(across(x), up(y), colour, f"{name}: {milliseconds(y)} at {x:g}")
        plot.line([(across(points[-1][0]) + 6, up(points[-1][1])), (right + 22, labels[name])], "var(--grid)", width=1)
        plot.text(right + 28, labels[name], f"{name}  {notes.get(name, '')}".strip())
    return plot


def _bin_ms(place: int) -> float:
    return float(1e-3 * 10 ** (place / BINS_A_DECADE))


def _minutes(case: str) -> float:
    minutes, seconds = case.split(":")
    return int(minutes) + int(seconds) / 60


def _colour(candidate: str) -> str:
    return next((_ENGINES[word] for word in candidate.split() if word in _ENGINES), "#0ea5e9")


def _dash(candidate: str) -> str:
    return next((dash for precision, dash in _DASHES.items() if precision in candidate), "")
