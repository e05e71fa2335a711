"""The plots of reports at the ends of what can be measured: each can be drawn, and all of it lies inside."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from benchmarks.clock import Latency
from benchmarks.page import PlotOptions, write_page, write_plots
from benchmarks.report import Report, Row, write_report
from benchmarks.svg import WIDTH, Axis


@pytest.mark.parametrize(("low", "high"), [(0.177, 0.299), (2.1, 4.9), (1.0, 1.3), (0.7, 1.9)])
def test_a_narrow_logarithmic_axis_has_ticks(low: float, high: float) -> None:
    """Where at most one of 1, 2 and 5 lies between the ends, finer ones are taken."""
    assert len(Axis(low=low, high=high, start=0, end=1, log=True).ticks()) >= 2


def alike(report: Report, n: int, ms: float, right: float, celsius: float) -> Report:
    """Return a report of ``n`` candidates, each of which takes ``ms`` for everything and names a share ``right``."""
    ends = dict.fromkeys(("accuracy", "accuracy_low", "accuracy_high"), right)
    whole, part = Latency.of([ms] * 20), Latency.of([ms / 4] * 20)

    def like(row: Row, name: str) -> Row:
        figures = row.figures | ends if row.scenario == "accuracy" else row.figures
        return dataclasses.replace(row, candidate=name, latency=part if row.stage else whole, figures=figures)

    one = [row for row in report.rows if row.candidate == "onnx int8"]
    rows = tuple(like(row, f"onnx int8 {number} threads") for number in range(n) for row in one)
    states = tuple(dataclasses.replace(state, temperature_c=celsius) for state in report.states)
    return dataclasses.replace(report, rows=rows, states=states)


@pytest.mark.parametrize("n", [1, 28, 50])
@pytest.mark.parametrize("ms", [1e-6, 0.3, 1e7])
@pytest.mark.parametrize(("right", "celsius"), [(0.0, 0.0), (0.67, -10.0), (1.0, 120.0)])
def test_a_page_of_extremes_is_drawn(
    bench_report: Any, tmp_path: Path, n: int, ms: float, right: float, celsius: float
) -> None:
    """A nanosecond and hours, nobody and everybody right, frost, fifty candidates: nothing fails or leaves its box."""
    write_page(alike(bench_report(), n, ms, right, celsius), tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    plots = re.findall(r'<svg viewBox="0 0 \d+ ([\d.]+)".*?\n(.*?)</svg>', text, re.DOTALL)
    assert len(plots) == 6
    for height, inside in plots:
        places = re.findall(r' c?x="(\S+)" c?y="(\S+)"', inside)
        places += [point.split(",") for line in re.findall(r' points="(.+?)"', inside) for point in line.split()]
        assert len(places) > 4
        assert [(x, y) for x, y in places if not (0 <= float(x) <= WIDTH and 0 <= float(y) <= float(height))] == []


def test_the_plots_are_files_that_need_no_page(bench_report: Any, tmp_path: Path) -> None:
    """Six files of their own, well-formed XML, each a white picture with the words and colours that a page has."""
    write_report(bench_report(), tmp_path / "bench.json")
    write_plots(PlotOptions(report=tmp_path / "bench.json", out=tmp_path / "new" / "plots"))
    files = sorted((tmp_path / "new" / "plots").iterdir())
    assert {"one-face.svg", "a-frame-by-stage.svg"} < {file.name for file in files}
    assert len(files) == 6
    for file in files:
        root = ET.parse(file).getroot()  # noqa: S314  (our own)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert root.findall(".//{*}text")
        assert root.findall("{*}rect")[0].get("fill") == "white"
        assert "--grid:" in (root.findtext("{*}style") or "")
