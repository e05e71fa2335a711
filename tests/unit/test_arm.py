"""make arm without its emulator: the boards' files, the gate, the estimate, and when it is skipped."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from benchmarks.arm import __main__ as arm
from benchmarks.arm import emulator, guest, runs
from benchmarks.arm.boards import BOARDS, lay
from benchmarks.arm.estimate import SSD_MS, YUNET_MS, estimate
from benchmarks.arm.gate import BASELINE, Record, judge, off, read_record, write_record
from benchmarks.arm.runs import Job, compare_faces, emulate, require_countable
from edge_runtime.emotions.classifier import bundle_folder, shipped_bundles
from edge_runtime.emotions.contract import read_card
from edge_runtime.errors import BundleError, DataError, FerEdgeError, NotInstalledError, RegressionError, UsageError

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
    """Without FER_EDGE_YUNET its frames are not missed, and the rest is still gated."""
    counts = {name: n for name, n in RECORD.counts.items() if "yunet" not in name}
    without = dataclasses.replace(RECORD, counts=counts, files={"student-int8.tflite": "ab"})
    assert judge(without, RECORD) == "counts as in the baseline"


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


@pytest.mark.parametrize("name", BOARDS)
def test_a_board_s_files_name_the_processor_that_is_played(name: str, tmp_path: Path) -> None:
    """Four cores, the part number of the core, and dot products on the Pi 5 alone."""
    lay(BOARDS[name], tmp_path)
    cpuinfo = (tmp_path / "proc/cpuinfo").read_text()
    assert cpuinfo.count("processor\t:") == 4
    assert ("asimddp" in cpuinfo) == (name == "pi5")
    assert {"pi4": "0xd08", "pi5": "0xd0b"}[name] in cpuinfo
    assert BOARDS[name].cpu == {"pi4": "cortex-a72", "pi5": "cortex-a76"}[name]
    assert (tmp_path / "sys/devices/system/cpu/cpu3/topology/thread_siblings").read_text() == "8\n"


def test_faces_must_be_the_same_on_both_sides() -> None:
    """Another emotion, a moved box, a face less and no face at all are refused; the last digit is not."""
    face = {"emotion": "happy", "confidence": 0.9, "box_xyxy": [10.0, 10.0, 50.0, 50.0]}
    compare_faces("pi5", [face | {"confidence": 0.91}], [face])
    for other in ([], [face | {"emotion": "sad"}], [face | {"box_xyxy": [10.0, 10.0, 50.0, 53.0]}], [face, face]):
        with pytest.raises(BundleError, match="pi5: faces"):
            compare_faces("pi5", other, [face])
    with pytest.raises(BundleError):
        compare_faces("pi5", [], [])


def test_without_an_emulator_it_is_skipped_loudly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No mmdebstrap and not root: exit code 0, and one line that says what is missing."""
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr(sys, "argv", ["arm", "--picture", "x.jpg", "--folder", str(tmp_path), "--out", "none"])
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    assert arm.main() == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("make arm: SKIPPED")
    assert "expected mmdebstrap, or root and apt-get" in last


def test_another_machine_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The emulator's packages are for Linux on x86-64."""
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    with pytest.raises(NotInstalledError, match="Linux on x86-64"):
        emulator.prepare(tmp_path)


def ends(code: int, message: str) -> Callable[[list[str]], subprocess.CompletedProcess[str]]:
    """Return what ends a program with ``code`` and ``message``."""
    return lambda command: subprocess.CompletedProcess(command, code, stdout="", stderr=message)


def hangs(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run out of time."""
    raise subprocess.TimeoutExpired(command, 1800)


@pytest.fixture
def make_arm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Return a function that runs make arm with one program replaced, all others succeed; its exit code and words."""

    def run(program: str, how: Callable[[list[str]], Any], *, fetched: bool) -> tuple[int, str, str]:
        for name in ("qemu", "bookworm", "trixie") if fetched else ():
            (tmp_path / name).mkdir()
        monkeypatch.setattr(shutil, "which", lambda name: None if name == "mmdebstrap" else f"/usr/bin/{name}")
        monkeypatch.setattr("os.geteuid", lambda: 0)
        monkeypatch.setattr("platform.machine", lambda: "x86_64")
        monkeypatch.setattr(
            subprocess, "run", lambda command, **_: (how if program in command else ends(0, ""))(command)
        )
        monkeypatch.setattr(sys, "argv", ["arm", "--picture", "x.jpg", "--folder", str(tmp_path), "--out", "none"])
        code = arm.main()
        return code, *capsys.readouterr()

    return run


@pytest.mark.parametrize(
    ("program", "how", "fetched", "said"),
    [
        ("gcc", ends(1, "counter.c:20:1: error: unknown type name"), True, r"counter\.c: .*unknown type name"),
        ("build", ends(1, "ERROR Backend subprocess exited"), True, "the device wheel: .*Backend subprocess"),
        ("build", hangs, True, r"the device wheel: expected an end within 400 s"),
        ("apt-get", ends(100, "E: Unable to locate package mmdebstrap"), False, "apt-get update: .*Unable to locate"),
    ],
)
def test_a_step_that_fails_fails_make_arm(make_arm: Any, program: str, how: Any, fetched: bool, said: str) -> None:  # noqa: FBT001
    """A compile error, a wheel that is not built, a step without end, apt's own errors: exit code 1 and one line."""
    code, out, err = make_arm(program, how, fetched=fetched)
    assert code == FerEdgeError.exit_code
    assert "SKIPPED" not in out
    assert re.match(f"make arm: {said}", err)
    assert err.count("\n") == 1


def is_not_there(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Find no such program."""
    raise FileNotFoundError(command[0])


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (
            ends(100, "W: Failed to fetch http://deb/InRelease  Could not resolve 'deb'\nE: Some index files failed."),
            "expected a network for apt-get update",
        ),
        (is_not_there, "expected apt-get, got no such program"),
    ],
)
def test_no_network_and_no_apt_are_skipped_loudly(make_arm: Any, how: Any, said: str) -> None:
    """What apt cannot reach, and a system without apt: exit code 0, and one line that says so."""
    code, out, _ = make_arm("apt-get", how, fetched=False)
    assert code == 0
    assert re.search(f"make arm: SKIPPED, nothing was tested on Arm: .*{said}", out)


@pytest.mark.parametrize(
    ("message", "raised"),
    [
        ("NewConnectionError: Failed to establish a new connection: ConnectionError", emulator.NoEmulatorError),
        ("ERROR: No matching distribution found for lapx==0.11.1", FerEdgeError),
    ],
)
def test_a_package_without_an_arm_wheel_is_a_failure_and_no_network_is_not(
    message: str, raised: type[FerEdgeError], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What pip cannot reach skips the run; what it reaches and does not find fails it."""
    monkeypatch.setattr(subprocess, "run", lambda command, **_: ends(1, message)(command))
    with pytest.raises(FerEdgeError, match="wheels") as caught:
        emulator._run([sys.executable, "-m", "pip", "install"], "wheels")
    assert type(caught.value) is raised


def test_an_emulated_run_that_hangs_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job under emulation without an end names itself, and what was waited for."""
    monkeypatch.setattr(subprocess, "run", lambda command, **_: hangs(command))
    job = Job(board="pi5", environment="3.11", task=guest.Task(engine="onnx", bundles=("student",)))
    with pytest.raises(FerEdgeError, match=r"pi5 / 3\.11 / student onnx: expected an end within 400 s"):
        emulate(emulator.Emulator(folder=tmp_path, version="7.2"), job, "run")


def counting(folder: Path, **found: Any) -> Callable[..., dict[Any, Any]]:
    """Return what emulates nothing: each job's bundle was copied, and counted as many thousands as its board's name."""

    def emulate_all(_: emulator.Emulator, jobs: list[Job]) -> dict[Any, Any]:
        results = {}
        for job in jobs:
            (bundle,) = job.task.bundles
            assert (folder / bundle / "model.json").exists()
            counts = {f"{Path(bundle).name} tflite int8": {"network": int(job.board[2:]) * 1000}}
            results[job] = {"counts": counts, "refused": {}} | found
        return results

    return emulate_all


def test_any_bundle_s_network_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shipped names and folders, each on both boards; one that a board refuses is an error that says why."""
    folder = shutil.copytree(bundle_folder("student"), tmp_path / "mine" / "other")
    folders = require_countable(["student", str(folder)])
    place = emulator.Emulator(folder=tmp_path / "arm", version="7.2")
    monkeypatch.setattr(runs, "_emulate_all", counting(place.folder))
    counts = {"pi4": 4000, "pi5": 5000}
    assert runs.count_networks(place, folders) == {"student": counts, "other": counts}
    monkeypatch.setattr(runs, "_emulate_all", counting(place.folder, refused={"x": "a difference of 3"}))
    with pytest.raises(BundleError, match=r"pi4 / 3\.11 / bundles/student tflite: .*a difference of 3"):
        runs.count_networks(place, folders)


def test_what_cannot_be_counted_is_refused_first(tmp_path: Path) -> None:
    """No bundle, one without TFLite int8, and two of one name, before anything is emulated."""
    with pytest.raises(BundleError):
        require_countable([str(tmp_path / "none")])
    with pytest.raises(UsageError, match="different names"):
        require_countable(["student", str(shutil.copytree(bundle_folder("student"), tmp_path / "student"))])
    card = json.loads((tmp_path / "student/model.json").read_text())
    card["artefacts"] = [a for a in card["artefacts"] if (a["engine"], a["precision"]) != ("tflite", "int8")]
    (tmp_path / "student/model.json").write_text(json.dumps(card))
    with pytest.raises(UsageError, match="expected tflite int8"):
        require_countable([str(tmp_path / "student")])


def test_the_instruction_clock_reads_what_the_counter_writes(tmp_path: Path) -> None:
    """A change of the file is seen at once, and a call costs what the counter moved by, over its calls."""
    file = tmp_path / "count"
    file.write_bytes((5).to_bytes(8, "little"))
    clock = guest.instruction_clock(file)
    assert clock() == 5

    def call() -> None:
        with file.open("r+b") as counter:
            counter.write((clock() + 700).to_bytes(8, "little"))

    assert guest.count(call, clock) == 700
    assert clock() == 5 + 700 * (guest.WARM_UP + guest.CALLS)
