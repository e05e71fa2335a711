"""What a board says of itself, and what it does not."""

from __future__ import annotations

import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from edge_runtime import health
from edge_runtime.health import UNKNOWN, Health, HealthWatch, read_health


def write(path: Path, text: str) -> None:
    """Write a file of the system."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def said(monkeypatch: pytest.MonkeyPatch, text: str | None) -> None:
    """Let vcgencmd print a text; None: it is not there."""

    def run(*_: Any, **__: Any) -> subprocess.CompletedProcess[str]:
        assert text is not None, "no process is forked for a program that is not there"
        return subprocess.CompletedProcess([], 0, stdout=text)

    monkeypatch.setattr(shutil, "which", lambda name: None if text is None else f"/usr/bin/{name}")
    monkeypatch.setattr(subprocess, "run", run)


@pytest.mark.parametrize(
    ("text", "now", "since_boot"),
    [
        ("throttled=0x0\n", "none", "none"),
        ("throttled=0x50005\n", "under-voltage, throttled", "under-voltage, throttled"),
        ("throttled=0x80002\n", "frequency capped", "soft temperature limit"),
        ("VCHI initialization failed\n", UNKNOWN, UNKNOWN),
    ],
)
def test_the_firmware_s_bits(
    text: str, now: str, since_boot: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each bit has its name, now and since boot; an answer of another form is unknown, never fine."""
    said(monkeypatch, text)
    assert read_health(tmp_path) == Health(temperature_c=None, throttling=now, since_boot=since_boot)


@pytest.mark.parametrize(("alarm", "now"), [("1\n", "under-voltage"), ("0\n", "no under-voltage"), ("?", UNKNOWN)])
def test_the_supply_s_alarm_where_the_firmware_may_not_be_asked(
    alarm: str, now: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sensor is found by its name, for its number changes from boot to boot."""
    said(monkeypatch, None)
    write(tmp_path / "sys/class/hwmon/hwmon0/name", "cpu_thermal\n")
    write(tmp_path / "sys/class/hwmon/hwmon3/name", "rpi_volt\n")
    write(tmp_path / "sys/class/hwmon/hwmon3/in0_lcrit_alarm", alarm)
    assert read_health(tmp_path).throttling == now


@pytest.mark.parametrize(("text", "degrees"), [("48312\n", 48.312), ("-5000\n", -5.0), ("", None), ("hot", None)])
def test_the_temperature(text: str, degrees: float | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousandths of a degree become degrees; anything else is unknown."""
    said(monkeypatch, None)
    write(tmp_path / "sys/class/thermal/thermal_zone0/temp", text)
    assert read_health(tmp_path).temperature_c == degrees


@pytest.mark.parametrize("kind", ["x86_pkg_temp", "cpu-thermal"])
def test_the_processors_own_sensor_is_preferred(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A PC's first zone is often the mainboard's, which hardly changes."""
    said(monkeypatch, None)
    for number, (name, text) in enumerate([("acpitz", "27800"), ("INT3400 Thermal", "20000"), (kind, "71000")]):
        write(tmp_path / f"sys/class/thermal/thermal_zone{number}/type", name + "\n")
        write(tmp_path / f"sys/class/thermal/thermal_zone{number}/temp", text + "\n")
    assert read_health(tmp_path).temperature_c == 71.0


def test_nothing_is_left_out_of_the_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that says nothing is described as unknown in each respect."""
    said(monkeypatch, None)
    assert str(read_health(tmp_path)) == "temperature unknown · throttling unknown (since boot: unknown)"


def test_what_is_wrong_from_the_start_is_said_at_the_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A weak supply is told of with the first state, once, and not only when the run ends weeks later."""
    seen = threading.Semaphore(0)

    def run(*_: Any, **__: Any) -> subprocess.CompletedProcess[str]:
        seen.release()
        return subprocess.CompletedProcess([], 0, stdout="throttled=0x10001")

    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(health, "EVERY_S", 0.01)
    with HealthWatch(tmp_path):
        for _ in range(4):
            assert seen.acquire(timeout=10)
    said = "board: temperature unknown · throttling under-voltage (since boot: under-voltage)\n"
    assert capsys.readouterr().err == said


def test_a_change_is_said_while_the_loop_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A line when throttling begins, none while it stays, and the last state is there at the end."""
    states = iter(["throttled=0x0", "throttled=0x0", *["throttled=0x4"] * 100])
    seen = threading.Semaphore(0)

    def run(*_: Any, **__: Any) -> subprocess.CompletedProcess[str]:
        seen.release()
        return subprocess.CompletedProcess([], 0, stdout=next(states))

    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(health, "EVERY_S", 0.01)
    with HealthWatch(tmp_path) as watch:
        for _ in range(6):
            assert seen.acquire(timeout=10)
    assert capsys.readouterr().err == "board: temperature unknown · throttling throttled (since boot: none)\n"
    assert watch.health.throttling == "throttled"


def test_a_firmware_that_hangs_at_the_end_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The board is asked in the watch's own thread alone: files and the program's end do not hang on it."""
    asked_by: list[str] = []

    def ask(_: Path) -> Health:
        asked_by.append(threading.current_thread().name)
        return Health(temperature_c=None, throttling=UNKNOWN, since_boot=UNKNOWN)

    monkeypatch.setattr(health, "read_health", ask)
    with HealthWatch() as watch:
        pass
    assert watch.health.throttling == UNKNOWN
    assert set(asked_by) == {"health"}
