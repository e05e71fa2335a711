"""The counts of make arm: what passes the gate, what asks for a new baseline, and what a board is estimated to take."""

from __future__ import annotations

import dataclasses
import json
from itertools import product
from pathlib import Path

import pytest

from benchmarks.arm import __main__ as arm
from benchmarks.arm import emulator
from benchmarks.arm.boards import BOARDS
from benchmarks.arm.estimate import SSD_MS, YUNET_MS, estimate
from benchmarks.arm.gate import BASELINE, Record, judge, off, read_record, write_record
from edge_runtime.emotions.classifier import bundle_folder, shipped_bundles
from edge_runtime.emotions.contract import read_card
from edge_runtime.errors import DataError, RegressionError, UsageError
from edge_runtime.faces.detectors import YUNET_VARIABLE
from edge_runtime.recogniser import STAGES

RECORD = Record(
    conditions={"qemu": "7.2.22", "3.11 numpy": "2.4.6"},
    files={"student-int8.tflite": "ab", "yunet": "cd"},
    counts={
        "pi5 / 3.11 / student tflite int8 / network": 4_000_000,
        "pi5 / 3.11 / student onnx int8 / network": 8_000_000,
        "pi5 / 3.11 / frame by yunet / detect": 20_000_000,
        "pi5 / 3.11 / anchor / yunet": 9_200_000,
    },
    refused={"pi5 / 3.11 / student openvino int8": "a difference of 0.3"},
)


def counted(name: str, factor: float) -> Record:
    """Return the record with one count multiplied."""
    counts = RECORD.counts | {name: round(RECORD.counts[name] * factor)}
    return dataclasses.replace(RECORD, counts=counts)


def test_the_same_counts_pass() -> None:
    """What is as the baseline has it is said to be so."""
    assert judge(RECORD, RECORD) == "counts as in the baseline"


@pytest.mark.parametrize(
    ("name", "inside", "outside"),
    [
        ("pi5 / 3.11 / student tflite int8 / network", 0.004, 0.006),
        ("pi5 / 3.11 / frame by yunet / detect", 0.004, 0.006),
        ("pi5 / 3.11 / student onnx int8 / network", 0.009, 0.011),
    ],
)
def test_a_count_may_move_within_its_tolerance_alone(name: str, inside: float, outside: float) -> None:
    """Half a per cent for LiteRT and OpenCV, one for ONNX Runtime; more is refused, dearer and cheaper alike."""
    for sign in (1, -1):
        judge(counted(name, 1 + sign * inside), RECORD)
        with pytest.raises(RegressionError, match=name):
            judge(counted(name, 1 + sign * outside), RECORD)


def test_another_model_asks_for_a_new_baseline_and_is_no_regression() -> None:
    """A changed file with other counts says re-baseline; one with the same counts passes, and says that it changed."""
    files = RECORD.files | {"student-int8.tflite": "ef"}
    dearer = dataclasses.replace(counted("pi5 / 3.11 / student tflite int8 / network", 1.2), files=files)
    with pytest.raises(DataError, match=r"student-int8\.tflite.*re-baseline: make arm-baseline"):
        judge(dearer, RECORD)
    assert "student-int8.tflite" in judge(dataclasses.replace(RECORD, files=files), RECORD)


def test_another_version_asks_for_a_new_baseline() -> None:
    """A newer package is named beside the counts that it changed."""
    conditions = RECORD.conditions | {"3.11 numpy": "3.0.0"}
    newer = dataclasses.replace(counted("pi5 / 3.11 / student onnx int8 / network", 1.2), conditions=conditions)
    with pytest.raises(DataError, match=r"3\.11 numpy"):
        judge(newer, RECORD)


def test_a_missing_and_a_new_count_are_not_passed_over() -> None:
    """Neither an artefact that was not counted nor one that the baseline does not know goes unsaid."""
    name = "pi5 / 3.11 / student onnx int8 / network"
    fewer = dataclasses.replace(RECORD, counts={k: n for k, n in RECORD.counts.items() if k != name})
    assert off(fewer, RECORD) == [f"{name}: not counted"]
    assert off(RECORD, fewer) == [f"{name}: not in the baseline"]


def test_a_new_refusal_is_a_regression_and_a_mended_one_is_said() -> None:
    """An artefact newly refused by its self-test fails the gate; one refused no longer asks to be recorded."""
    none = dataclasses.replace(RECORD, refused={})
    with pytest.raises(RegressionError, match=r"openvino int8: refused\."):
        judge(RECORD, none)
    assert off(none, RECORD) == ["pi5 / 3.11 / student openvino int8: refused no longer"]


def test_yunet_s_counts_are_wanted_only_where_its_file_is() -> None:
    """Without it its frames are not missed, which is said, and the rest is still gated."""
    counts = {name: n for name, n in RECORD.counts.items() if "yunet" not in name}
    without = dataclasses.replace(RECORD, counts=counts, files={"student-int8.tflite": "ab"})
    assert "YuNet's frames were NOT COUNTED" in judge(without, RECORD)
    with pytest.raises(RegressionError):
        judge(dataclasses.replace(without, counts={name: 2 * n for name, n in counts.items()}), RECORD)


def test_a_baseline_without_yunet_is_not_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It would lose the frames that the committed one holds: refused before anything is counted."""
    monkeypatch.delenv(YUNET_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["arm", "--picture", "people.jpg", "--renew"])
    monkeypatch.setattr(arm, "prepare", lambda _: None)
    assert arm.main() == UsageError.exit_code
    assert "fer-edge fetch yunet" in capsys.readouterr().err


def test_a_record_round_trips_and_another_is_refused(tmp_path: Path) -> None:
    """What was written is read again; another schema, other keys and no file are a DataError."""
    path = tmp_path / "folder" / "arm.json"
    write_record(RECORD, path)
    assert read_record(path) == RECORD
    for text in (json.dumps(dataclasses.asdict(RECORD) | {"schema": 2}), "{}", "[1]", "no JSON"):
        path.write_text(text)
        with pytest.raises(DataError):
            read_record(path)
    with pytest.raises(DataError, match="counts of make arm"):
        read_record(tmp_path / "none.json")


def test_the_committed_baseline_counts_every_artefact_or_says_that_it_is_refused() -> None:
    """On both boards, both Pythons and tflite-runtime, nothing of the shipped bundles is left out."""
    record = read_record(BASELINE)
    for board, (name, environment), bundle in product(BOARDS, emulator.ENVIRONMENTS.items(), shipped_bundles()):
        for artefact in read_card(bundle_folder(bundle)).artefacts:
            if artefact.engine in environment.engines:
                place = f"{board} / {name} / {bundle} {artefact}"
                counted_parts = {f"{place} / {part}" for part in ("network", "face")} <= record.counts.keys()
                assert counted_parts != (place in record.refused), place


def test_int8_pays_on_the_pi_5_and_the_estimate_spans_its_anchors() -> None:
    """YuNet's own count is estimated at its published time at the fast end; a Pi 5 is faster than a Pi 4."""
    record = read_record(BASELINE)
    network = {board: record.counts[f"{board} / 3.11 / student tflite int8 / network"] for board in BOARDS}
    assert network["pi5"] < 0.7 * network["pi4"]
    guesses = {}
    for board in BOARDS:
        guess = estimate(record, board, record.counts[f"{board} / 3.11 / anchor / yunet"])
        assert guess
        assert YUNET_MS[board] in (pytest.approx(guess.low_ms), pytest.approx(guess.high_ms))
        assert guess.low_ms < guess.middle_ms < guess.high_ms
        guesses[board] = guess.middle_ms
    assert guesses["pi5"] < guesses["pi4"]
    assert set(SSD_MS) == set(YUNET_MS) == set(BOARDS)


def test_no_estimate_without_an_anchor() -> None:
    """A record that did not count YuNet estimates nothing."""
    assert estimate(dataclasses.replace(RECORD, counts={}), "pi5", 1) is None


def test_the_page_shows_the_baseline() -> None:
    """Millions of instructions a face and a frame in docs/benchmarks.md are the committed counts, rounded."""
    counts = read_record(BASELINE).counts
    page = (Path(__file__).parents[2] / "docs/benchmarks.md").read_text(encoding="utf-8")

    def both(place: str, form: str = "#.3g") -> str:
        return " · ".join(f"{counts[f'{board} / {place}'] / 1e6:{form}}" for board in ("pi5", "pi4"))

    artefacts = ("tflite int8", "tflite fp32", "onnx int8", "onnx fp32", "openvino fp32")
    for bundle in shipped_bundles():
        cells = [both(f"3.11 / {bundle} {artefact} / face") for artefact in artefacts]
        cells.append(both(f"3.11-legacy / {bundle} tflite int8 / face"))
        assert f"| {bundle} | {' | '.join(cells)} |" in page
    for name, detector in (("YuNet", "yunet"), ("MTCNN", "mtcnn")):
        places = [f"3.11 / frame by {detector} / {stage}" for stage in STAGES]
        totals = (sum(counts[f"{board} / {place}"] for place in places) / 1e6 for board in ("pi5", "pi4"))
        cells = [*(both(place, ".1f") for place in places), " · ".join(f"{total:.1f}" for total in totals)]
        assert f"| {name} in every third frame | {' | '.join(cells)} |" in page
    floats, bytes_ = (
        counts[f"pi4 / 3.11 / student-nano tflite {precision} / network"] for precision in ("fp32", "int8")
    )
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    assert f"which needs {1 - floats / bytes_:.0%} fewer".replace("%", " %") in readme
