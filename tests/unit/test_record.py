"""From cases to files: also of a run that was ended."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.record import record
from benchmarks.report import read_report
from benchmarks.session import Measured
from edge_runtime.errors import SinkError


def cases(error: BaseException) -> Iterator[Measured]:
    """Measure a face, and be ended in the second case."""
    yield Measured(scenario="single", case="face", faces=1, samples={"onnx int8": {"": [1.25] * 20}})
    raise error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("out of memory")])
def test_an_ended_run_keeps_what_it_has(
    bench_report: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], error: BaseException
) -> None:
    """Report, page and table hold the first case and say that they are incomplete; the error goes on."""
    out = tmp_path / "report.json"
    with pytest.raises(type(error)):
        record(bench_report(complete=False, rows=()), cases(error), out, time.monotonic())
    report = read_report(out)
    assert [(row.scenario, row.case, row.candidate) for row in report.rows] == [("single", "face", "onnx int8")]
    assert not report.complete
    page = out.with_suffix(".html").read_text(encoding="utf-8")
    assert '<p class="warning">INCOMPLETE' in page
    printed = capsys.readouterr().out
    assert "INCOMPLETE" in printed
    assert "1.25" in printed


def test_a_disk_that_is_full_leaves_the_table(
    bench_report: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What cannot be written is an error, and what was measured is printed."""
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(SinkError):
        record(
            bench_report(complete=False), cases(KeyboardInterrupt()), tmp_path / "file/report.json", time.monotonic()
        )
    assert "single: one face" in capsys.readouterr().out


def test_a_run_ended_before_its_first_case_leaves_an_earlier_report(bench_report: Any, tmp_path: Path) -> None:
    """There is nothing to write."""
    out = tmp_path / "report.json"
    out.write_text("earlier")

    def none() -> Iterator[Measured]:
        raise KeyboardInterrupt
        yield

    with pytest.raises(KeyboardInterrupt):
        record(bench_report(complete=False, rows=()), none(), out, time.monotonic())
    assert out.read_text() == "earlier"


def test_a_page_of_an_earlier_run_goes_with_its_report(bench_report: Any, tmp_path: Path) -> None:
    """While the second case runs the report is this run's, and a page of other figures would lie beside it."""
    out = tmp_path / "report.json"
    out.with_suffix(".html").write_text("earlier")

    def watching() -> Iterator[Measured]:
        yield next(cases(KeyboardInterrupt()))
        assert not out.with_suffix(".html").exists()

    record(bench_report(complete=False, rows=()), watching(), out, time.monotonic())
    assert "earlier" not in out.with_suffix(".html").read_text(encoding="utf-8")
