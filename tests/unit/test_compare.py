"""fer-edge bench compare: what became worse, and what cannot be told."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks.compare import CompareOptions, compare
from benchmarks.report import Report, Row, write_report
from edge_runtime.cli import main
from edge_runtime.errors import DataError, RegressionError, UsageError


@pytest.fixture
def files(tmp_path: Path, bench_report: Any) -> Any:
    """Return a function that writes a report and another one, and gives the options that compare them."""

    def write(after: Report, *, before: Report | None = None, **options: Any) -> CompareOptions:
        write_report(before or bench_report(), tmp_path / "a.json")
        write_report(after, tmp_path / "b.json")
        return CompareOptions(before=str(tmp_path / "a.json"), after=str(tmp_path / "b.json"), **options)

    return write


def test_noise_is_no_regression(files: Any, bench_report: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Another run of the same machine agrees in every row, also where medians lie a few per cent apart."""
    compare(files(bench_report(seed=1, factors={"onnx int8": 1.03})))
    output = capsys.readouterr().out
    assert "no change beyond noise" in output
    assert "68 of 68 rows agree" in output


def test_a_slower_artefact_is_found_and_named(
    files: Any, bench_report: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """One made a fifth slower is reported in each of its rows and no other; made faster it is no regression."""
    options = files(bench_report(seed=1, factors={"onnx fp32": 1.2}))
    with pytest.raises(RegressionError, match="17 × slower"):
        compare(options)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("slower")]
    assert len(lines) == 17
    assert all("onnx fp32" in line for line in lines)
    compare(files(bench_report(seed=1, factors={"onnx fp32": 0.8})))
    assert "faster" in capsys.readouterr().out
    compare(files(bench_report(seed=1, factors={"onnx fp32": 1.2}), tolerance=0.5))


def test_the_command_ends_with_7(files: Any, bench_report: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """The console command of two words finds the reports, and its exit code tells a regression from agreement."""
    options = files(bench_report(factors={"onnx fp32": 1.2}, seed=1))
    assert main(["bench", "compare", options.before, options.after]) == 7
    assert "expected no worse than" in capsys.readouterr().err
    assert main(["bench", "compare", options.before, options.before]) == 0
    assert main(["bench", "compare", options.before]) == 2
    assert main(["bench", "compare", options.before, "nowhere.json"]) == 6


def test_a_less_accurate_artefact_is_found(files: Any, bench_report: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Intervals of accuracy that lie apart are a regression, ones that touch are not."""
    report = bench_report()

    def accuracy(high: float) -> Report:
        figures = {"accuracy": high - 0.01, "accuracy_low": high - 0.02, "accuracy_high": high}
        rows = [dataclasses.replace(r, figures=figures) if r.scenario == "accuracy" else r for r in report.rows]
        return dataclasses.replace(report, rows=tuple(rows))

    compare(files(accuracy(0.656)))
    with pytest.raises(RegressionError, match="4 × less accurate"):
        compare(files(accuracy(0.654)))
    assert "67.0% → 64.4%" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"machine": {"cpu": "another board", "cores": "4", "machine": "aarch64"}}, "machine: cpu is a board and ano"),
        ({"files": {"onnx int8": {"student-int8.onnx": "2" * 64}}}, "model: onnx int8 is student-int8.onnx 0000"),
        ({"bundle": "teacher"}, "model: bundle is student and teacher"),
        ({"detector": "mtcnn"}, "detector is yunet and mtcnn"),
        ({"clip": {"sha256": "3" * 64}}, "clip: pixels is 1111"),
    ],
)
def test_another_machine_or_model_is_refused_unless_forced(
    files: Any, bench_report: Any, fields: Any, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is not comparable is refused with its reason; with --force it is compared, and the output warns."""
    with pytest.raises(DataError, match=reason):
        compare(files(bench_report(**fields)))
    assert capsys.readouterr().out == ""
    compare(files(bench_report(**fields), force=True))
    output = capsys.readouterr().out
    assert f"WARNING: not comparable: {reason}" in output
    assert "68 of 68 rows agree" in output


def test_a_throttled_run_is_not_comparable_unless_asked(files: Any, bench_report: Any) -> None:
    """Either of the two having been slowed down is a reason to refuse."""
    report = bench_report()
    hot = bench_report(states=(report.states[0], dataclasses.replace(report.states[1], since_boot="throttled")))
    with pytest.raises(DataError, match="the second ran on a machine that was slowed down"):
        compare(files(hot))
    with pytest.raises(DataError, match="the first ran on a machine that was slowed down"):
        compare(files(report, before=hot))
    compare(files(hot, force=True))


def test_what_has_too_few_samples_is_not_judged(
    files: Any, bench_report: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rows without an interval are counted as such; where no row has one there is nothing to compare."""
    with pytest.raises(DataError, match=r"nothing to compare.*--min-count 200"):
        compare(files(bench_report(n=100)))
    report = bench_report()
    few: list[Row] = list(bench_report(n=100).rows[:3])
    compare(files(dataclasses.replace(report, rows=(*few, *report.rows[3:-2]))))
    assert "63 of 63 rows agree; 3 have too few samples to tell, 2 are in" in capsys.readouterr().out


def test_a_dead_or_unfinished_run_is_said(files: Any, bench_report: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """An artefact that lived and now dies is a regression; a run that was cut off is compared with a warning."""
    with pytest.raises(RegressionError, match="onnx fp32 died"):
        compare(files(bench_report(died={"onnx fp32": "of heat"})))
    compare(files(bench_report(complete=False)))
    assert "b.json is incomplete" in capsys.readouterr().out


def test_bad_options_are_refused() -> None:
    """One report, and a tolerance below zero, are no question."""
    with pytest.raises(UsageError, match="two files"):
        CompareOptions(before="a.json")
    with pytest.raises(UsageError, match="--tolerance"):
        CompareOptions(before="a.json", after="b.json", tolerance=-0.1)


def test_two_reports_of_a_hundred_scenarios_take_no_two_seconds(files: Any, bench_report: Any) -> None:
    """Reading and comparing 100 cases of four candidates costs less than two seconds of processor time."""
    rows = bench_report().of("single", case="face")
    many = tuple(dataclasses.replace(row, case=f"{number}") for number in range(100) for row in rows)
    options = files(bench_report(rows=many), before=bench_report(rows=many))
    began = time.process_time()
    compare(options)
    assert time.process_time() - began < 2
