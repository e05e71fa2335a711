"""make arm without its emulator: the boards' files, what is compared and counted, and when it is skipped."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.arm import __main__ as arm
from benchmarks.arm import emulator, guest, runs
from benchmarks.arm.boards import BOARDS, lay
from benchmarks.arm.runs import Job, compare_faces, emulate, require_countable
from edge_runtime.emotions.classifier import bundle_folder
from edge_runtime.errors import BundleError, FerEdgeError, NotInstalledError, UsageError
from edge_runtime.options import from_plain, to_plain


@pytest.mark.parametrize("precision", [None, "int8"])
def test_a_task_survives_its_way_to_the_guest(precision: Any) -> None:
    """It is handed over as JSON, with a precision, as --count does, and without."""
    task = guest.Task(engine="tflite", bundles=("student",), precision=precision)
    assert from_plain(guest.Task, json.loads(json.dumps(to_plain(task)))) == task


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
        for name in ("qemu", "qemu-x86", "bookworm", "trixie") if fetched else ():
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


def test_a_call_that_costs_more_once_moves_no_count() -> None:
    """Work that an engine does beside one of the ten calls is not a tenth of it in each."""
    costs = iter([1_000, 900, 800, *[700] * 6, 500_000, *[700] * 3])
    executed = [0]

    def call() -> None:
        executed[0] += next(costs)

    assert guest.count(call, lambda: executed[0]) == 700
