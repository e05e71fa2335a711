"""The machine's state, as files of a made-up board tell it, and whether it was slowed down."""

from __future__ import annotations

import dataclasses
import shutil
import time
from pathlib import Path

import pytest

from benchmarks.conditions import State, machine, read_state, throttled


@pytest.fixture(autouse=True)
def no_firmware(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let there be no vcgencmd."""
    monkeypatch.setattr(shutil, "which", lambda _: None)


def write(path: Path, text: str) -> None:
    """Write a file of the system."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_board_that_tells_everything(tmp_path: Path) -> None:
    """Governor, the mean frequency of the cores, temperature and throttling are read where Linux keeps them."""
    cpus = tmp_path / "sys/devices/system/cpu"
    for core, khz in enumerate((600_000, 1_800_000)):
        write(cpus / f"cpu{core}/cpufreq/scaling_cur_freq", f"{khz}\n")
        write(cpus / f"cpu{core}/thermal_throttle/core_throttle_count", "0\n")
    write(cpus / "cpu0/cpufreq/scaling_governor", "ondemand\n")
    write(tmp_path / "sys/class/thermal/thermal_zone0/temp", "61250\n")
    state = read_state("before", time.monotonic(), tmp_path)
    assert (state.governor, state.frequency_mhz, state.temperature_c) == ("ondemand", 1200.0, 61.25)
    assert (state.throttling, state.since_boot) == ("unknown", "none")
    write(cpus / "cpu1/thermal_throttle/core_throttle_count", "3\n")
    after = read_state("after", time.monotonic(), tmp_path)
    assert after.since_boot == "3 times"
    assert throttled([state, after]) == "since boot 3 times, and at first none"


def test_a_machine_that_tells_nothing(tmp_path: Path) -> None:
    """What cannot be read is unknown, and unknown is not throttled; a virtual machine names one frequency."""
    state = read_state("before", time.monotonic(), tmp_path)
    assert (state.governor, state.frequency_mhz, state.temperature_c) == ("unknown", None, None)
    assert throttled([state, state]) == ""
    write(tmp_path / "proc/cpuinfo", "processor\t: 0\ncpu MHz\t\t: 2596.144\n")
    assert read_state("before", time.monotonic(), tmp_path).frequency_mhz == 2596.144


@pytest.mark.parametrize(
    ("flags", "since_boot", "said"),
    [
        (["none", "none"], ["none", "none"], ""),
        (["none", "no under-voltage"], ["under-voltage", "under-voltage"], ""),
        (["none", "throttled", "none"], ["none", "throttled", "throttled"], "throttled"),
        (["none", "none"], ["none", "throttled"], "since boot throttled, and at first none"),
        (["none", "unknown", "none"], ["none", "unknown", "none"], ""),
        (["none", "none", "unknown"], ["none", "none", "unknown"], ""),
        (["unknown", "none", "none"], ["unknown", "none", "throttled"], "since boot throttled, and at first none"),
    ],
)
def test_a_slowed_down_machine_is_told_from_a_good_one(flags: list[str], since_boot: list[str], said: str) -> None:
    """A flag at any moment, or one that appeared between two looks; what was before the run is no matter.

    Nor is a look that the board did not answer.
    """
    good = State(
        when="", at_s=0, governor="", frequency_mhz=None, temperature_c=None, throttling="", since_boot="", load_1min=0
    )
    states = [
        dataclasses.replace(good, throttling=now, since_boot=before)
        for now, before in zip(flags, since_boot[: len(flags)], strict=True)
    ]
    assert throttled(states) == said


def test_this_machine_has_a_name_and_versions() -> None:
    """The processor, the cores and every package that figures depend on are named."""
    found = machine()
    assert found["cpu"] not in ("", "unknown")
    assert int(found["cores"]) >= 1
    assert {"numpy", "python", "system"} <= found.keys()
