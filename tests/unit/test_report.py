"""The report as a document and as a table."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.report import SCHEMA, read_report, write_report
from benchmarks.table import added_face_ms, milliseconds, table
from edge_runtime.errors import DataError
from edge_runtime.recogniser import STAGES


def test_it_round_trips(bench_report: Any, tmp_path: Path) -> None:
    """What was read is what was written, to the last digit, and written again it is the same file."""
    report = bench_report(died={"tflite int8": "in frame: RuntimeError: gone"})
    write_report(report, tmp_path / "new" / "report.json")
    read = read_report(tmp_path / "new" / "report.json")
    assert read == report
    write_report(read, tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "new" / "report.json").read_bytes()
    assert [path.name for path in tmp_path.rglob("*.partial")] == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": SCHEMA + 1}, f"a benchmark report of schema {SCHEMA}, got schema {SCHEMA + 1}"),
        ({"schema": None}, "got schema None"),
        ({"rows": 5}, r"report\.rows: expected a list, got 5"),
        ({"unknown": 1}, "keys of report"),
        ({"complete": "yes"}, r"report\.complete: expected bool"),
        ({"starts": {"onnx int8": {}}}, r"keys of report\.starts\.onnx int8"),
    ],
)
def test_another_document_is_refused(bench_report: Any, tmp_path: Path, change: dict[str, Any], message: str) -> None:
    """Another schema, an unknown key and a wrong type each end in a DataError that names the place."""
    path = tmp_path / "report.json"
    write_report(bench_report(), path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(DataError, match=message):
        read_report(path)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (["states"], [], "states: expected at least one"),
        (["options"], {}, "options: expected baseline, duration"),
        (["machine", "cpu"], None, r"report\.machine\.cpu: expected str"),
        (["machine", "cpu"], "\ud800", "expected whole characters"),
        (["clip"], {"sha256": ""}, "clip: expected pictures, faces"),
        (["rows", 0, "latency", "p50_ms"], None, "intervals_95: expected among"),
        (["rows", 0, "latency", "p50_ms"], -5.0, "times of a latency: expected at least 0"),
        (["rows", 0, "latency", "bins"], {}, "bins: expected 500 calls by bin"),
        (["rows", 0, "latency", "bins"], {"x": 500}, "bins: expected 500 calls by bin"),
        (["rows", 0, "scenario"], "paced", "figures of paced: expected within_budget, dropped"),
        (["rows", 0, "scenario"], "steady", "case of steady: expected minutes and seconds"),
    ],
)
def test_what_no_run_can_have_measured_is_refused(
    bench_report: Any, tmp_path: Path, place: list[Any], value: Any, message: str
) -> None:
    """What has the right form and cannot be shown or compared ends in a DataError that names the place."""
    path = tmp_path / "report.json"
    write_report(bench_report(), path)
    inner = document = json.loads(path.read_text())
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    path.write_text(json.dumps(document))
    with pytest.raises(DataError, match=message):
        read_report(path)


@pytest.mark.parametrize("text", ["[]", "", "{", "[" * 100_000, "\udcff"])
def test_what_is_no_report_is_refused(tmp_path: Path, text: str) -> None:
    """A list, nothing at all, half a document, a bottomless one and bytes that are no text end in a DataError."""
    (tmp_path / "report.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(DataError, match="a benchmark report"):
        read_report(tmp_path / "report.json")
    with pytest.raises(DataError):
        read_report(tmp_path / "nowhere.json")


def test_the_table_holds_every_scenario_and_is_no_wider_than_a_terminal(bench_report: Any) -> None:
    """Each row's median is in it, each section is there, and no line is longer than 120 characters."""
    report = bench_report()
    text = table(report)
    assert max(map(len, text.splitlines())) <= 120
    for row in report.rows:
        if not row.stage and row.scenario != "steady":
            assert milliseconds(row.latency.p50_ms) in text, row.case
    heads = ("single", "faces", "frame", "paced", "offline", "accuracy", "steady", "start in a fresh process")
    assert all(any(line.startswith(head) for line in text.splitlines()) for head in heads)
    assert "times as long as onnx int8" in text
    assert "overhead of the harness: 2.0 µs a call, 1.0% of the fastest artefact's p50" in text
    assert "°C 48.5 → 61.0 → 61.0" in text
    assert not any(word in text for word in ("DIED", "THROTTLED", "INCOMPLETE"))


def test_a_baseline_that_died_is_told_of(bench_report: Any) -> None:
    """Without ratios to it the table says why; those that it had until then are kept."""
    report = bench_report(died={"onnx int8": "of heat"})
    assert "times as long as onnx int8" in table(report)
    rows = tuple(dataclasses.replace(row, ratio=None) for row in report.rows)
    assert "no ratios: the baseline onnx int8 died" in table(dataclasses.replace(report, rows=rows))


def test_ratios_are_to_the_baseline_beside_it(bench_report: Any) -> None:
    """The candidate made four times as slow as the baseline is told so, and the baseline is itself."""
    ratios = {row.candidate: row.ratio for row in bench_report().of("single", case="face")}
    assert ratios["onnx int8"] == (1.0, 1.0, 1.0)
    ratio, low, high = ratios["onnx fp32"]
    assert 3.0 < low <= ratio <= high < 3.4


def test_what_one_more_face_costs(bench_report: Any) -> None:
    """It is the slope over the number of faces; one number of faces has none."""
    rows = [row for row in bench_report().of("faces") if row.candidate == "onnx int8"]
    assert added_face_ms(rows) == pytest.approx(0.25, rel=0.05)
    assert added_face_ms(rows[:1]) is None


def test_frames_have_their_mean_beside_their_stages(bench_report: Any) -> None:
    """Stages add up to the mean; the median, which a detection in every third frame does not move, is another."""
    report = bench_report()
    lines = table(report).splitlines()
    (frame,) = (row for row in report.of("frame") if row.candidate == "onnx int8")
    first, second = (i for i, line in enumerate(lines) if line.startswith("frame"))
    shown = [next(line for line in lines[start:] if line.startswith("onnx int8")).split() for start in (first, second)]
    assert shown[0][2] == milliseconds(frame.latency.mean_ms)
    assert shown[1][2:] == [milliseconds(row.latency.mean_ms) for row in _stages(report, "onnx int8")]


def _stages(report: Any, name: str) -> list[Any]:
    rows = (row for stage in STAGES for row in report.of("frame", stage=stage))
    return [row for row in rows if row.candidate == name]


def test_a_frequency_that_fell_in_between_is_shown(bench_report: Any) -> None:
    """Slowed down in the middle and fast again at the end: its lowest is what tells; flags from before the run too."""
    first, last = bench_report().states
    slow = dataclasses.replace(first, frequency_mhz=600.0)
    text = table(bench_report(states=(dataclasses.replace(first, since_boot="under-voltage"), slow, last)))
    assert "MHz 1800 → 600 → 1800" in text
    assert "since boot under-voltage" in text


def test_a_harness_that_costs_too_much_is_said(bench_report: Any) -> None:
    """More than 2 % of the fastest artefact."""
    assert "5.0% of the fastest artefact's p50, MORE than the 2%" in table(bench_report(factors={"null": 5.0}))


def test_what_went_wrong_is_said(bench_report: Any) -> None:
    """A dead candidate, a slow machine and a run that was cut off are marked in the table."""
    report = bench_report()
    hot = dataclasses.replace(report.states[0], throttling="throttled")
    text = table(
        bench_report(states=(report.states[0], hot, report.states[1]), died={"onnx fp32": "of heat"}, complete=False)
    )
    assert "DIED: onnx fp32 of heat" in text
    assert "THROTTLED: throttled" in text
    assert "INCOMPLETE" in text


def test_few_samples_show_no_percentile(bench_report: Any) -> None:
    """Of twenty calls there is a median and nothing beyond; the place of the rest stays empty."""
    row = bench_report(n=20).of("single", case="face")[0]
    assert (row.latency.p90_ms, row.latency.p99_ms, row.ratio) == (None, None, None)
    assert row.latency.intervals_95 == {}
    assert "–" in table(bench_report(n=20))
