"""fer-edge bench, on the shipped bundle and a short clip."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import bench as module
from benchmarks.bench import BenchOptions, bench
from benchmarks.report import Report, read_report
from benchmarks.scenarios import ENGINE_ALONE
from benchmarks.start import Start
from edge_runtime.emotions.classifier import SHIPPED
from edge_runtime.emotions.contract import read_card
from edge_runtime.errors import BundleError, SourceError, UsageError
from edge_runtime.recogniser import STAGES

CANDIDATES = ["onnx int8", "tflite int8", "null"]


@pytest.fixture(scope="module")
def options(group_picture: Path, tmp_path_factory: pytest.TempPathFactory) -> BenchOptions:
    """Return options of a run that is as short as it can be."""
    return BenchOptions(
        source=f"synthetic:{group_picture}",
        engine=("onnx", "tflite"),
        precision=("int8",),
        scenarios=("single", "faces", "frame", "paced", "offline"),
        faces=(1, 4),
        batches=(8,),
        fps=(60.0,),
        duration="2s",
        min_seconds=0.0,
        min_count=20,
        out=tmp_path_factory.mktemp("bench") / "report.json",
    )


@pytest.fixture(scope="module")
def report(options: BenchOptions, small_csv: Path) -> Report:
    """Run the benchmark once, in all its scenarios."""
    bench(dataclasses.replace(options, data=small_csv))
    return read_report(options.out)


def test_every_candidate_is_measured_in_every_scenario(report: Report) -> None:
    """The artefacts and the null backend are timed in each case, no row is another's, and the run is complete."""
    cases = {"single": [ENGINE_ALONE, "face"], "faces": ["1", "4"], "frame": [""], "offline": ["8"]}
    for scenario, names in cases.items():
        for case in names:
            assert sorted(row.candidate for row in report.of(scenario, case=case)) == sorted(CANDIDATES)
    slices = list(dict.fromkeys(row.case for row in report.of("steady")))  # called by when they began
    assert (slices[0], len(slices)) == ("0:00", 2)
    for scenario, names in {"paced": ["60"], "steady": slices, "accuracy": ["PublicTest"]}.items():
        for case in names:
            assert {row.candidate for row in report.of(scenario, case=case)} == set(CANDIDATES) - {"null"}
    latencies = [repr(row.latency) for row in report.rows]
    assert len(set(latencies)) == len(latencies)
    assert all(row.latency.n >= 20 for row in report.rows)
    assert report.complete
    assert report.died == {}


def test_a_frame_is_at_least_the_sum_of_its_stages(report: Report) -> None:
    """The whole call holds its four stages, frame by frame, so its mean is no less than theirs together."""
    for name in CANDIDATES:
        (whole,) = (row for row in report.of("frame") if row.candidate == name)
        stages = [row for stage in STAGES for row in report.of("frame", stage=stage) if row.candidate == name]
        assert len(stages) == len(STAGES)
        assert {row.latency.n for row in stages} == {whole.latency.n}
        assert 0 < sum(row.latency.mean_ms for row in stages) <= whole.latency.mean_ms


def test_the_report_names_machine_files_and_starts(report: Report) -> None:
    """Versions, states from before to after, sha256 of what was timed, and each candidate's start are in it."""
    assert {"cpu", "cores", "python", "numpy", "onnxruntime"} <= report.machine.keys()
    assert (report.states[0].when, report.states[-1].when) == ("before", "after")
    assert "frame" in {state.when for state in report.states}
    card = {str(artefact): artefact.files for artefact in read_card(SHIPPED / "student").artefacts}
    assert report.files == {name: card[name] for name in ("onnx int8", "tflite int8")}
    assert set(report.starts) == set(CANDIDATES)
    assert all((row.figures["n"], row.latency.n >= 84) == (84, True) for row in report.of("accuracy"))


def test_the_report_names_the_labelled_faces(report: Report, small_csv: Path) -> None:
    """By their file's sha256: what is compared with it must have seen the same faces."""
    assert report.data == hashlib.sha256(small_csv.read_bytes()).hexdigest()


def test_an_engine_that_dies_leaves_a_report(options: BenchOptions, tmp_path: Path, monkeypatch: Any) -> None:
    """What it gave before it died and all of the others is in the report, which says so; the command ends with 3."""
    load = module.load

    class Dying:
        left = 70

        def __init__(self, backend: Any) -> None:
            self.backend = backend

        def infer(self, batch: np.ndarray) -> Any:
            self.left -= 1
            if self.left < 0:
                message = "the engine is gone"
                raise RuntimeError(message)
            return self.backend.infer(batch)

    def load_dying(bundle: str, artefact: Any, threads: int) -> Any:
        classifier = load(bundle, artefact, threads)
        if str(artefact) == "onnx int8":
            classifier.backend = Dying(classifier.backend)  # type: ignore[assignment]
        return classifier

    start = Start(import_ms=1.0, load_ms=1.0, first_ms=1.0, resident_mb=None)
    monkeypatch.setattr(module, "measure_start", lambda *_: start)
    monkeypatch.setattr(module, "load", load_dying)
    out = tmp_path / "report.json"
    with pytest.raises(BundleError, match=r"onnx int8 died.*the engine is gone"):
        bench(dataclasses.replace(options, scenarios=("single", "offline"), duration="", out=out))
    report = read_report(out)
    assert report.died == {"onnx int8": "in single face: RuntimeError: the engine is gone"}
    assert [row.case for row in report.rows if row.candidate == "onnx int8"] == [ENGINE_ALONE]
    assert len(report.of("offline")) == 2
    assert "the engine is gone" in out.with_suffix(".html").read_text(encoding="utf-8")


def test_an_artefact_that_does_not_load_leaves_the_others(
    options: BenchOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that started in a process of its own and cannot be loaded here is told of; the others are measured."""
    load = module.load

    def load_but_one(bundle: str, artefact: Any, threads: int) -> Any:
        if str(artefact) == "onnx int8":
            message = "two runtimes in one process"
            raise RuntimeError(message)
        return load(bundle, artefact, threads)

    start = Start(import_ms=1.0, load_ms=1.0, first_ms=1.0, resident_mb=None)
    monkeypatch.setattr(module, "measure_start", lambda *_: start)
    monkeypatch.setattr(module, "load", load_but_one)
    out = tmp_path / "report.json"
    with pytest.raises(BundleError, match=r"onnx int8 died.*two runtimes in one process"):
        bench(dataclasses.replace(options, scenarios=("offline",), duration="", out=out))
    report = read_report(out)
    assert report.complete
    assert report.died == {"onnx int8": "in loading: RuntimeError: two runtimes in one process"}
    assert [row.candidate for row in report.of("offline")] == ["tflite int8", "null"]


@pytest.mark.parametrize(
    ("flag", "values"),
    [
        ("--source", {"source": ""}),
        ("--faces", {"faces": (0,)}),
        ("--batches", {"batches": (0, 8)}),
        ("--threads", {"threads": (0,)}),
        ("--fps", {"fps": (0.0,)}),
        ("--duration", {"duration": "10"}),
        ("--min-count", {"min_count": 0}),
        ("--out", {"out": Path("report.txt")}),
        ("--faces", {"faces": (1, 1)}),
    ],
)
def test_bad_options_are_refused(flag: str, values: dict[str, Any]) -> None:
    """No clip, zero faces, a rate of zero, a time without a unit and the like name their flags."""
    with pytest.raises(UsageError, match=flag):
        BenchOptions(**({"source": "x"} | values))


def test_a_baseline_that_is_not_measured_is_refused(options: BenchOptions) -> None:
    """The message lists what could be named."""
    with pytest.raises(UsageError, match="expected one of onnx int8, tflite int8, got openvino fp32"):
        bench(dataclasses.replace(options, baseline="openvino fp32"))


def test_a_clip_that_cannot_be_opened_leaves_no_report(options: BenchOptions, tmp_path: Path) -> None:
    """A missing clip ends in a SourceError before anything is measured."""
    out = tmp_path / "report.json"
    with pytest.raises(SourceError):
        bench(dataclasses.replace(options, source=str(tmp_path / "nowhere.mp4"), out=out))
    assert not out.exists()
