"""fer-edge bench, on the toy bundle."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from benchmarks.bench import BenchOptions, bench
from benchmarks.report import Report, read_report, table, write_report
from edge_runtime.emotions.contract import read_card
from edge_runtime.errors import DataError, SourceError, UsageError
from edge_runtime.recogniser import STAGES


@pytest.fixture(scope="module")
def report_file(toy_bundle: Path, group_picture: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run the benchmark once, briefly."""
    out = tmp_path_factory.mktemp("bench") / "report.json"
    source = f"synthetic:{group_picture}"
    bench(BenchOptions(source=source, bundle=str(toy_bundle), out=out, min_seconds=0.01, min_count=20, faces=(1, 4)))
    return out


def test_report_has_every_artefact_in_every_scenario(report_file: Path, toy_bundle: Path) -> None:
    """Nine artefacts and the null backend are timed with 1 and 4 faces and frame by frame, each by itself."""
    report = read_report(report_file)
    names = [str(artefact) for artefact in read_card(toy_bundle).artefacts] + ["null"]
    for faces in (1, 4):
        assert [row.candidate for row in report.rows if row.scenario == "faces" and row.faces == faces] == names
    stages = [*STAGES, "total"]
    assert [row.stage for row in report.rows if row.scenario == "frame" and row.candidate == names[0]] == stages
    latencies = [dataclasses.astuple(row.latency) for row in report.rows]
    assert len(set(latencies)) == len(latencies)  # no row repeats another's record
    assert all(row.latency.n >= 20 for row in report.rows)
    assert set(report.load_ms) == set(report.first_ms) == set(names)


def test_frame_total_is_the_sum_of_its_stages(report_file: Path) -> None:
    """The mean total of a frame is the sum of the stages' means."""
    rows = [row for row in read_report(report_file).rows if row.scenario == "frame" and row.candidate == "onnx int8"]
    *stages, total = (row.latency.mean_ms for row in rows)
    assert total == pytest.approx(sum(stages))


def test_report_names_machine_versions_and_files(report_file: Path, toy_bundle: Path) -> None:
    """Conditions and the sha256 of what was timed are in it."""
    report = read_report(report_file)
    assert report.conditions["cpu"] != "unknown"
    assert {"cores", "governor", "python", "numpy", "onnxruntime"} <= report.conditions.keys()
    assert report.files == {n: s for a in read_card(toy_bundle).artefacts for n, s in a.files.items()}


def test_report_round_trips(report_file: Path, tmp_path: Path) -> None:
    """What was read and written again is the same document."""
    report = read_report(report_file)
    write_report(report, tmp_path / "again.json")
    assert json.loads((tmp_path / "again.json").read_text()) == json.loads(report_file.read_text())
    assert all(row.candidate in table(report) for row in report.rows)


def test_a_report_of_another_schema_is_refused(report_file: Path, tmp_path: Path) -> None:
    """Another schema, and something else than a report, end in a DataError."""
    other: Report = dataclasses.replace(read_report(report_file), schema=2)
    write_report(other, tmp_path / "other.json")
    with pytest.raises(DataError, match="expected schema 1, got 2"):
        read_report(tmp_path / "other.json")
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(DataError, match="a benchmark report"):
        read_report(tmp_path / "list.json")


def test_bad_options_are_refused() -> None:
    """No clip, zero faces and zero calls name their flags."""
    with pytest.raises(UsageError, match="--source"):
        BenchOptions()
    with pytest.raises(UsageError, match="--faces"):
        BenchOptions(source="x", faces=(0,))
    with pytest.raises(UsageError, match="--min-count"):
        BenchOptions(source="x", min_count=0)


def test_a_clip_without_faces_is_refused(toy_bundle: Path, tmp_path: Path) -> None:
    """The faces scenario has nothing to read on a clip without a face."""
    import cv2
    import numpy as np

    cv2.imwrite(str(tmp_path / "grey.png"), np.full((480, 640, 3), 128, np.uint8))
    with pytest.raises(SourceError, match="at least one face"):
        bench(BenchOptions(source=str(tmp_path / "grey.png"), bundle=str(toy_bundle), out=tmp_path / "report.json"))
    assert not (tmp_path / "report.json").exists()
