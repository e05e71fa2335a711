"""The front that a student's shape is chosen on: right answers against milliseconds, and against Arm instructions.

``python -m benchmarks.front``: reads a report of ``python -m benchmarks.peers`` over several bundles and what ``python
-m benchmarks.arm --count`` has counted of them, prints the table as Markdown and draws the picture.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from benchmarks.command import command
from benchmarks.report import Report, Row, read_report
from edge_runtime.emotions.backends.base import ENGINES
from edge_runtime.emotions.classifier import bundle_folder
from edge_runtime.emotions.contract import Engine, read_card
from edge_runtime.errors import DataError
from edge_runtime.files import whole
from edge_runtime.options import option

BOARDS = {"pi5": "Cortex-A76", "pi4": "Cortex-A72"}
_COLOURS: dict[Engine, str] = {"onnx": "tab:blue", "openvino": "tab:orange", "tflite": "tab:green"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontOptions:
    """Options of ``python -m benchmarks.front``."""

    report: Path = option(Path("out/peers.json"), "report of python -m benchmarks.peers with --bundle and --data")
    counts: Path = option(Path("out/networks.json"), "what python -m benchmarks.arm --count wrote of the same bundles")
    out: Path = option(Path("out/front.png"), "the picture")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One bundle at int8. ``ms``: engine -> median of one face, ``batch_ms``: of one in a batch of eight.

    ``accuracy``: engine -> share of right answers. ``instructions``: board -> of TFLite's network.
    """

    name: str
    kilobytes: float
    ms: dict[Engine, float]
    batch_ms: dict[Engine, float]
    accuracy: dict[Engine, float]
    instructions: dict[str, int]


def entries(report: Report, counts: dict[str, dict[str, int]]) -> list[Entry]:
    """Join what was timed and what was counted; raise ``DataError`` for a bundle that lacks either."""
    found = []
    for bundle in report.bundle.split(", "):
        folder = bundle_folder(bundle)
        names = {f"{folder.name} {engine} int8": engine for engine in ENGINES}

        def by_engine(
            rows: Sequence[Row], value: Callable[[Row], float], names: dict[str, Engine] = names
        ) -> dict[Engine, float]:
            return {names[row.candidate]: value(row) for row in rows if row.candidate in names}

        ms = by_engine(report.of("offline", case="1"), _median)
        batch_ms = by_engine(report.of("offline", case="8"), lambda row: _median(row) / row.faces)
        accuracy = by_engine(report.accurate(), lambda row: row.figures["accuracy"])
        files = [a for a in read_card(folder).artefacts if (a.engine, a.precision) == ("tflite", "int8")]
        whole_rows = ms.keys() == batch_ms.keys() == accuracy.keys() == _COLOURS.keys()
        if not (whole_rows and files and folder.name in counts):
            got = f"times of {', '.join(ms) or 'none'}, of batches of {', '.join(batch_ms) or 'none'}, accuracy of "
            got += f"{', '.join(accuracy) or 'none'}, {'' if folder.name in counts else 'not '}counted"
            step = "make the report with --bundle and --data, and count the same bundles"
            raise DataError(f"bundle {folder.name}", expected="all engines, counted", got=got, next_step=step)
        found.append(
            Entry(
                name=folder.name,
                kilobytes=files[0].size_bytes / 1000,
                ms=ms,
                batch_ms=batch_ms,
                accuracy=accuracy,
                instructions=counts[folder.name],
            )
        )
    return sorted(found, key=lambda entry: entry.instructions["pi5"])


def on_front(points: Sequence[tuple[float, float]]) -> list[bool]:
    """Tell of each (cost, accuracy) whether no other costs at most as much and is at least as often right."""
    return [not any(c <= cost and a >= right and (c, a) != (cost, right) for c, a in points) for cost, right in points]


def table(found: Sequence[Entry]) -> str:
    """Lay the entries out as Markdown; on the front of a column a figure is bold."""
    costs = [[entry.ms[engine] for entry in found] for engine in _COLOURS]
    costs += [[entry.instructions[board] / 1e6 for entry in found] for board in BOARDS]
    right = [[entry.accuracy[engine] for entry in found] for engine in _COLOURS] + [
        [entry.accuracy["tflite"] for entry in found] for _ in BOARDS
    ]
    fronts = [on_front([*zip(cost, share, strict=True)]) for cost, share in zip(costs, right, strict=True)]
    heads = ["", "TFLite kB", "accuracy ONNX · OpenVINO · TFLite", *(f"ms {engine}" for engine in _COLOURS)]
    heads += ["ms in a batch of 8, best", *(f"M instructions {core}" for core in BOARDS.values())]
    lines = [heads, ["---"] * len(heads)]
    for place, entry in enumerate(found):
        accuracy = " · ".join(f"{100 * entry.accuracy[engine]:.1f}" for engine in _COLOURS)
        cells = [f"{column[place]:.3f}" for column in costs[: len(_COLOURS)]]
        cells.append(f"{min(entry.batch_ms.values()):.3f}")
        cells += [f"{column[place]:.2f}" for column in costs[len(_COLOURS) :]]
        best = [front[place] for front in fronts]
        best.insert(len(_COLOURS), False)
        marked = [f"**{cell}**" if is_best else cell for cell, is_best in zip(cells, best, strict=True)]
        lines.append([entry.name, f"{entry.kilobytes:.0f}", accuracy, *marked])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def draw(found: Sequence[Entry], report: Report) -> Figure:
    """Draw accuracy over milliseconds in each engine, beside what else was timed, and over Arm instructions."""
    figure = Figure(figsize=(12, 5), layout="constrained")
    times, instructions = figure.subplots(1, 2, sharey=True)
    for engine, colour in _COLOURS.items():
        _scatter(times, [(entry.ms[engine], entry.accuracy[engine]) for entry in found], engine, colour)
    _name_front(times, {e.name: (min(e.ms.values()), max(e.accuracy.values())) for e in found})
    accuracies = {row.candidate: row.figures["accuracy"] for row in report.accurate()}
    ours = tuple(f"{entry.name} " for entry in found)
    for row in report.of("offline", case="1"):
        if row.candidate.startswith(ours):
            continue
        if row.candidate in accuracies:
            times.plot(_median(row), accuracies[row.candidate], "k*", markersize=10)
            _name(times, row.candidate, _median(row), accuracies[row.candidate])
        else:  # an architecture that has learned nothing has a time and no accuracy
            times.axvline(_median(row), color="grey", linestyle=":")
            times.text(_median(row), 0.02, f" {row.candidate}", transform=times.get_xaxis_transform(), rotation=90)
    for (board, core), colour in zip(BOARDS.items(), ("tab:red", "tab:purple"), strict=True):
        points = [(entry.instructions[board] / 1e6, entry.accuracy["tflite"]) for entry in found]
        _scatter(instructions, points, core, colour)
    _name_front(instructions, {e.name: (e.instructions["pi5"] / 1e6, e.accuracy["tflite"]) for e in found})
    times.set(xscale="log", xlabel="ms a face, median, int8, one thread", ylabel="accuracy on PublicTest")
    instructions.set(xscale="log", xlabel="million Arm instructions a face, TFLite int8 (emulated)")
    times.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    for axes in (times, instructions):
        axes.grid(alpha=0.3)
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set_xlim(left=axes.get_xlim()[0] / 2)  # room for the names
        axes.legend(frameon=False, loc="lower center" if axes is times else "lower right")
    return figure


def _median(row: Row) -> float:
    return row.latency.p50_ms or row.latency.mean_ms


def _scatter(axes: Axes, points: Sequence[tuple[float, float]], label: str, colour: str) -> None:
    """Draw the points, and a line through those on the front."""
    axes.scatter([x for x, _ in points], [y for _, y in points], s=18, color=colour, label=label)
    best = sorted(point for point, is_best in zip(points, on_front(points), strict=True) if is_best)
    axes.step([x for x, _ in best], [y for _, y in best], where="post", color=colour, linewidth=1, alpha=0.6)


def _name_front(axes: Axes, points: dict[str, tuple[float, float]]) -> None:
    """Name the points on the front; the names of all would lie on top of each other."""
    for (name, (x, y)), is_best in zip(points.items(), on_front([*points.values()]), strict=True):
        if is_best:
            _name(axes, name, x, y)


def _name(axes: Axes, name: str, x: float, y: float) -> None:
    axes.annotate(name, (x, y), xytext=(-3, 3), textcoords="offset points", ha="right", fontsize=7)


def read_counts(path: Path) -> dict[str, dict[str, int]]:
    """Read what ``python -m benchmarks.arm --count`` wrote; raise ``DataError`` when it is something else."""
    try:
        raw = json.loads(path.read_bytes())
        return {name: {board: int(each[board]) for board in BOARDS} for name, each in raw.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        step = "make it with python -m benchmarks.arm --count"
        raise DataError(f"{path}", expected="counts of both boards", got=str(error), next_step=step) from error


def front(options: FrontOptions) -> None:
    """Print the table and write the picture."""
    counts, report = read_counts(options.counts), read_report(options.report)
    found = entries(report, counts)
    print(table(found))
    with whole(options.out) as partial:
        draw(found, report).savefig(partial, dpi=110, format="png")


def main() -> int:
    """Run it from the command line; return the exit code."""
    return command("front", "The front that a shape is chosen on.", FrontOptions, front)


if __name__ == "__main__":
    sys.exit(main())
