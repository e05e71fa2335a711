"""fer-edge bench compare: what became worse, and what cannot be told."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.compare import CompareOptions, compare
from benchmarks.report import Report, Row, rows_of, write_report
from benchmarks.session import Measured
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
    assert "51 of 51 rows agree" in output


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


def test_a_fast_network_that_became_slower_is_found(files: Any, bench_report: Any) -> None:
    """A tenth of 0.02 ms a face is a lot for the smallest networks; of a stage it is nothing."""
    tiny = {"tflite int8": 0.1}
    with pytest.raises(RegressionError, match="slower"):
        compare(files(bench_report(seed=1, factors={"tflite int8": 0.15}), before=bench_report(factors=tiny)))


def test_the_command_ends_with_7(files: Any, bench_report: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """The console command of two words finds the reports, and its exit code tells a regression from agreement."""
    options = files(bench_report(factors={"onnx fp32": 1.2}, seed=1))
    assert main(["bench", "compare", options.before, options.after]) == 7
    assert "expected no worse than" in capsys.readouterr().err
    assert main(["bench", "compare", options.before, options.before]) == 0
    assert main(["bench", "compare", options.before]) == 2
    assert main(["bench", "compare", options.before, "nowhere.json"]) == 6


def test_a_less_accurate_artefact_is_found(files: Any, bench_report: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Of the same faces, more than 0.3 points less is a regression, inside its interval as well; 0.3 is none."""
    report = bench_report()

    def accuracy(share: float) -> Report:
        rows = (
            dataclasses.replace(row, figures=row.figures | {"accuracy": share}) if row.scenario == "accuracy" else row
            for row in report.rows
        )
        return dataclasses.replace(report, rows=tuple(rows))

    for share in (0.667, 0.67, 0.7):
        compare(files(accuracy(share)))
    with pytest.raises(RegressionError, match="3 × less accurate"):
        compare(files(accuracy(0.6669)))
    assert "67.00% → 66.69%" in capsys.readouterr().out


def frames(detect_ms: float, book_ms: float = 0.001, name: str = "onnx int8") -> tuple[Row, ...]:
    """Return rows of 600 frames of a millisecond, with faces looked for in every third, and one of a slice of them."""
    random = np.random.default_rng(0)
    detect = np.where(np.arange(600) % 3 == 0, detect_ms, 0.0005) * random.lognormal(0, 0.02, 600)
    smooth = book_ms * random.lognormal(0, 0.02, 600)
    whole = (random.lognormal(0, 0.02, 600) + detect + smooth).tolist()
    stages = {"": whole, "detect": detect.tolist(), "smooth": smooth.tolist()}
    frame = Measured(scenario="frame", case="", faces=0, samples={name: stages})
    steady = Measured(scenario="steady", case="0:00", faces=0, samples={name: {"": whole}})
    return (*rows_of(frame, ""), *rows_of(steady, ""))


def test_a_slower_detector_is_found(files: Any, bench_report: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Three times slower in every third frame, which no median sees: its stage, the frame and the slice are slower."""
    options = files(bench_report(rows=frames(9.0)), before=bench_report(rows=frames(3.0)))
    with pytest.raises(RegressionError, match="3 × slower"):
        compare(options)
    slower = [line for line in capsys.readouterr().out.splitlines() if line.startswith("slower")]
    assert [line.split()[3:6] for line in slower] == [
        ["frame", "mean", "2.00"], ["frame", "detect", "mean"], ["steady", "0:00", "mean"],
    ]  # fmt: skip
    with pytest.raises(RegressionError):
        compare(files(bench_report(rows=frames(3.6)), before=bench_report(rows=frames(3.0))))


def test_slices_are_compared_by_their_place(files: Any, bench_report: Any) -> None:
    """They begin some seconds earlier or later in another run; the later ones are where a board becomes slower."""

    def slices(*cases: str, factor: float = 1.0) -> Report:
        rows = bench_report(factors={"onnx int8": factor}).of("steady", case="0:30")
        return bench_report(rows=tuple(dataclasses.replace(row, case=case) for case in cases for row in rows))

    first = slices("0:00", "0:31", "1:03", "1:34")
    compare(files(slices("0:00", "0:30", "1:01", "1:31"), before=first))
    hot = dataclasses.replace(first, rows=first.rows[:8] + slices("1:01", "1:31", factor=2.0).rows)
    with pytest.raises(RegressionError, match="2 × slower"):
        compare(files(hot, before=first))


def test_microseconds_and_the_null_backend_are_not_judged(
    files: Any, bench_report: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """A stage that takes five times its microsecond, and a null backend twice as slow, are no regression."""
    compare(files(bench_report(rows=frames(3.0, 0.005)), before=bench_report(rows=frames(3.0))))
    assert "4 of 4 rows agree" in capsys.readouterr().out
    compare(files(bench_report(seed=1, factors={"null": 2.0})))
    engines, null = frames(3.0), frames(9.0, name="null")
    compare(files(bench_report(rows=engines + null), before=bench_report(rows=engines + frames(3.0, name="null"))))
    assert "4 of 4 rows agree" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (
            {"machine": {"cpu": "another", "cores": "4", "machine": "aarch64", "system": ""}},
            "machine: cpu is a board and",
        ),
        ({"files": {"onnx int8": {"student-int8.onnx": "2" * 64}}}, "model: onnx int8 is student-int8.onnx 0000"),
        ({"bundle": "teacher"}, "model: bundle is student and teacher"),
        ({"detector": "mtcnn"}, "detector is yunet and mtcnn"),
        ({"clip": {"sha256": "3" * 64, "pictures": "", "faces": ""}}, "clip: pixels is 1111"),
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
    assert "51 of 51 rows agree" in output


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
    assert "47 of 47 rows agree; 3 have too few samples to tell, 1 are in" in capsys.readouterr().out


def test_who_lived_and_dies_is_a_regression(files: Any, bench_report: Any) -> None:
    """Also where nothing else is left; whom the first report never saw alive is none."""
    dead = {"onnx fp32": "of heat"}
    with pytest.raises(RegressionError, match="onnx fp32 died"):
        compare(files(bench_report(died=dead)))
    with pytest.raises(RegressionError, match="onnx fp32 died"):
        compare(files(bench_report(died=dead, rows=())))
    with pytest.raises(RegressionError, match="onnx fp32 died"):
        compare(files(bench_report(died=dead), before=bench_report(starts={})))
    compare(files(bench_report(died=dead), before=bench_report(died=dead)))
    compare(files(bench_report(died={"openvino fp16": "at its start"})))


def test_a_run_that_was_cut_off_is_refused(files: Any, bench_report: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """What it lacks may be what became worse; with --force it is compared. A first one that was cut off is said."""
    with pytest.raises(DataError, match="the second is incomplete"):
        compare(files(bench_report(complete=False)))
    compare(files(bench_report(complete=False), force=True))
    assert "WARNING: not comparable: the second is incomplete" in capsys.readouterr().out
    compare(files(bench_report(), before=bench_report(complete=False)))
    assert "a.json is incomplete" in capsys.readouterr().out


def test_other_conditions_are_named(files: Any, bench_report: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Governor and load before the runs, where they differ."""
    compare(files(bench_report()))
    assert "before the run" not in capsys.readouterr().out
    states = tuple(dataclasses.replace(s, governor="powersave", load_1min=None) for s in bench_report().states)
    compare(files(bench_report(states=states)))
    output = capsys.readouterr().out
    assert "governor before the run: performance and powersave\nload before the run: 0.2 and unknown" in output


def test_other_versions_and_missing_engines_are_named(
    files: Any, bench_report: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """What an engine's figures depend on, and which one the second report does not have: no regression, but said."""
    report = bench_report()
    others = tuple(row for row in report.rows if row.candidate != "onnx fp32")
    machine = report.machine | {"python": "3.13", "onnxruntime": "1.40"}
    compare(files(dataclasses.replace(report, rows=others, machine=machine)))
    output = capsys.readouterr().out
    assert "python: 3.11 and 3.13\nonnxruntime: none and 1.40\n" in output
    assert "b.json: onnx fp32\n" in output
    with pytest.raises(DataError, match="measure the same scenarios and engines"):
        compare(files(dataclasses.replace(report, rows=others), before=dataclasses.replace(report, rows=())))


def test_accuracies_of_other_faces_are_refused(files: Any, bench_report: Any) -> None:
    """Two files of faces are not comparable; a report without any is."""
    with pytest.raises(DataError, match="labelled faces is 4444"):
        compare(files(bench_report(data="5" * 64)))
    compare(files(bench_report(data="5" * 64), force=True))
    compare(files(bench_report(data="")))


def test_bad_options_are_refused() -> None:
    """One report, and a tolerance below zero, are no question."""
    with pytest.raises(UsageError, match="two files"):
        CompareOptions(before="a.json")
    for tolerance in (-0.1, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="--tolerance"):
            CompareOptions(before="a.json", after="b.json", tolerance=tolerance)


def test_two_reports_of_a_hundred_scenarios_take_no_two_seconds(files: Any, bench_report: Any) -> None:
    """Reading and comparing 100 cases of four candidates costs less than two seconds of processor time."""
    rows = bench_report().of("single", case="face")
    many = tuple(dataclasses.replace(row, case=f"{number}") for number in range(100) for row in rows)
    options = files(bench_report(rows=many), before=bench_report(rows=many))
    began = time.process_time()
    compare(options)
    assert time.process_time() - began < 2
