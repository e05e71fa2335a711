"""The front: which of several bundles is on it, and what is refused."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import cv2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.clock import Latency
from benchmarks.front import FrontOptions, entries, front, on_front, table
from benchmarks.report import Report, Row, write_report
from edge_runtime.errors import DataError

COUNTS = {"student": {"pi5": 4_000_000, "pi4": 10_000_000}}


@pytest.fixture
def report(bench_report: Any) -> Report:
    """Return a report of the shipped student beside a peer and an architecture that has learned nothing."""
    ms = {
        "student onnx int8": 0.5,
        "student openvino int8": 0.3,
        "student tflite int8": 0.4,
        "peer": 0.6,
        "random": 9.0,
    }
    rows = [
        Row(
            scenario=scenario,
            candidate=name,
            case=case,
            stage="",
            faces=faces,
            latency=Latency.of([faces * each] * 20),
            ratio=None,
            figures={"accuracy": 0.66} if scenario == "accuracy" else {},
        )
        for scenario, case, faces in (("offline", "1", 1), ("offline", "8", 8), ("accuracy", "PublicTest", 1))
        for name, each in ms.items()
        if (scenario, name) != ("accuracy", "random")
    ]
    made: Report = bench_report()
    return dataclasses.replace(made, bundle="student", rows=tuple(rows))


points = st.lists(st.tuples(st.integers(1, 9).map(float), st.integers(1, 9).map(float)), min_size=1, max_size=12)


@given(points)
def test_what_is_off_the_front_is_beaten_by_what_is_on_it(drawn: list[tuple[float, float]]) -> None:
    """Nothing on the front beats another of it, and whatever is off it is beaten by one that is on it."""
    best = {point for point, is_best in zip(drawn, on_front(drawn), strict=True) if is_best}
    for cost, right in drawn:
        better = {(c, a) for c, a in best if c <= cost and a >= right}
        assert better == {(cost, right)} if (cost, right) in best else better


def test_the_table_and_the_picture_show_what_was_measured(
    report: Report, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Times, accuracy and instructions of each bundle, a row each; the picture can be read and is not empty."""
    write_report(report, tmp_path / "peers.json")
    (tmp_path / "arm.json").write_text(json.dumps(COUNTS))
    front(FrontOptions(report=tmp_path / "peers.json", counts=tmp_path / "arm.json", out=tmp_path / "front.png"))
    assert capsys.readouterr().out.strip() == table(entries(report, COUNTS))
    row = table(entries(report, COUNTS)).splitlines()[-1]
    assert row.startswith("| student | ")
    for figure in ("66.0 · 66.0 · 66.0", "**0.500**", "**0.300**", "**0.400**", "**4.00**", "**10.00**", "| 0.300 |"):
        assert figure in row
    picture = cv2.imread(str(tmp_path / "front.png"))
    assert picture is not None
    assert picture.std() > 5


@pytest.mark.parametrize(
    ("counts", "scenario", "case"),
    [({}, "", ""), (COUNTS, "accuracy", "PublicTest"), (COUNTS, "offline", "1"), (COUNTS, "offline", "8")],
)
def test_a_bundle_that_was_not_wholly_measured_is_named(
    report: Report, counts: dict[str, dict[str, int]], scenario: str, case: str
) -> None:
    """No count, no accuracy, no time of a face or of eight: one error."""
    rows = tuple(row for row in report.rows if (row.scenario, row.case) != (scenario, case))
    fewer = dataclasses.replace(report, rows=rows)
    with pytest.raises(DataError, match="bundle student: expected all engines, counted"):
        entries(fewer, counts)


@pytest.mark.parametrize("content", ["", "no JSON", "[]", '{"student": 5}', '{"student": {"pi5": 1}}'])
def test_counts_that_cannot_be_read_are_one_error(content: str, tmp_path: Path) -> None:
    """A missing and a damaged file name what makes it."""
    if content:
        (tmp_path / "arm.json").write_text(content)
    with pytest.raises(DataError, match=r"benchmarks\.arm --count"):
        front(FrontOptions(counts=tmp_path / "arm.json"))
