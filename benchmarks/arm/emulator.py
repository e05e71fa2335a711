"""The emulated user spaces, made from Debian and PyPI packages into a folder: QEMU, two Debians, the device's wheels.

Nothing of it needs root to run; making it needs mmdebstrap, which root may have installed here. What is there already
is not made again.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.arm.boards import BOARDS, lay
from edge_runtime.emotions.contract import Engine
from edge_runtime.errors import FerEdgeError, NotInstalledError

CHECKOUT = Path(__file__).resolve().parents[2]

_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
# 7.2, dynamic, to count with: the static build and trixie's 10.0 take no plugin
_QEMU = ("amd64", "bookworm", "qemu-user")
# 10.0, static, for x86: by 7.2's AVX2 OpenVINO's int8 comes out otherwise than on a processor that has it
_QEMU_X86 = ("amd64", "trixie", "qemu-user")
X86_PLAYER = "qemu-x86/usr/bin/qemu-x86_64"
# what the wheels load beside what Python itself needs
_LIBRARIES = "libstdc++6,libgomp1,libatomic1"
# any C library up to bookworm's
_PLATFORMS = ("manylinux2014_aarch64", *(f"manylinux_2_{minor}_aarch64" for minor in range(17, 37)))
# what pip and apt say without a network, and nobody else
_UNREACHABLE = (
    "ConnectionError",
    "Connection broken",
    "Connection refused",
    "Connection timed out",
    "Could not connect to",
    "Could not resolve",
    "Read timed out",
    "Temporary failure",
    "Network is unreachable",
)
_LIMIT_S = 400


class NoEmulatorError(NotInstalledError):
    """What the emulator is made from cannot be had here: another machine, no root, no apt, no network."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """A device's Python with its packages: a Debian suite, the extras of our wheel, the engines that they bring."""

    suite: str
    python: str
    extras: str
    engines: tuple[Engine, ...]
    constrained: bool = True


ENVIRONMENTS = {
    "3.11": Environment(suite="bookworm", python="3.11", extras="pi,onnx,nuc", engines=("tflite", "onnx", "openvino")),
    "3.13": Environment(suite="trixie", python="3.13", extras="pi,onnx,nuc", engines=("tflite", "onnx", "openvino")),
    "3.11-legacy": Environment(
        suite="bookworm", python="3.11", extras="pi-legacy", engines=("tflite",), constrained=False
    ),
}
"""Raspberry Pi OS is bookworm or trixie; tflite-runtime, with its numpy 1, has an environment of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Emulator:
    """What ``prepare`` has made in ``folder``, and how a program is started in it."""

    folder: Path
    version: str

    def command(self, board: str, environment: str, count_file: Path, *, yunet: bool) -> list[str]:
        """Return the command that starts the board's Python, counting instructions in ``count_file`` of the folder.

        It is to be run in the folder, with no environment: paths are relative and the same variables are set, so that
        the same instructions are executed in any checkout.
        """
        env = ENVIRONMENTS[environment]
        root = f"{board}-{env.suite}"
        variables = {
            "PYTHONPATH": f"wheel:site-{environment}",
            "PYTHONHASHSEED": "0",  # sets in the same order, so that the same instructions are executed again
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": "/nonexistent",
            **({"FER_EDGE_YUNET": "yunet.onnx"} if yunet else {}),
        }
        (self.folder / count_file).write_bytes(bytes(8))
        given = [word for name, value in variables.items() for word in ("-E", f"{name}={value}")]
        player = [*_qemu(self.folder), "-cpu", BOARDS[board].cpu, "-seed", "0"]
        plugin = ["-plugin", f"{self.folder / 'libcounter.so'},count={count_file}"]
        return [*player, *plugin, "-L", root, *given, f"{root}/usr/bin/python{env.python}"]


def _qemu(folder: Path) -> list[str]:
    """Return the start of a command by bookworm's QEMU, on bookworm's own libraries whatever the host's are."""
    root = folder / "qemu"
    libraries = ":".join(str(root / part / "x86_64-linux-gnu") for part in ("lib", "usr/lib"))
    return [str(root / "lib64/ld-linux-x86-64.so.2"), "--library-path", libraries, str(root / "usr/bin/qemu-aarch64")]


def prepare(folder: Path) -> Emulator:
    """Make what is not there yet; raise ``NoEmulatorError`` where it cannot be had, ``FerEdgeError`` where it fails."""
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        got = f"{sys.platform} on {platform.machine()}"
        raise _missing("Linux on x86-64", got, "run it on such a machine")
    folder.mkdir(parents=True, exist_ok=True)
    python = f"{_LIBRARIES},python"
    for name, (arch, suite, packages) in {
        "qemu": _QEMU,
        "qemu-x86": _QEMU_X86,
        "bookworm": ("arm64", "bookworm", python + "3.11"),
        "trixie": ("arm64", "trixie", python + "3.13"),
    }.items():
        if not (folder / name).exists():
            _debian(folder / name, arch, suite, packages)
    for name, board in BOARDS.items():
        for suite in ("bookworm", "trixie"):
            _board_root(folder, f"{name}-{suite}", suite)
            lay(board, folder / f"{name}-{suite}")
    _require("gcc", "gcc", "libc6-dev")
    source = Path(__file__).with_name("counter.c")
    _run(["gcc", "-O2", "-shared", "-fPIC", "-o", str(folder / "libcounter.so"), str(source)], "counter.c")
    wheel = _build_wheel(folder)
    for name, environment in ENVIRONMENTS.items():
        _packages(folder / f"site-{name}", environment, wheel)
    banners = [_run([*player, "--version"], "QEMU") for player in (_qemu(folder), [str(folder / X86_PLAYER)])]
    return Emulator(folder=folder, version=" and ".join(banner.splitlines()[0] for banner in banners))


def _debian(target: Path, arch: str, suite: str, packages: str) -> None:
    """Extract Debian packages, with what they depend on, into ``target``: whole or not at all."""
    print(f"make arm: fetching {suite} {arch}: {packages}", flush=True)
    _require("mmdebstrap", "mmdebstrap")
    partial = target.with_name(target.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    archive = f"deb [signed-by={_KEYRING}] {_mirror()} {suite} main"
    options = [f"--arch={arch}", "--variant=extract", f"--include={packages}"]
    _run(["mmdebstrap", "--quiet", *options, suite, str(partial), archive], f"Debian's {suite}, {arch}")
    partial.replace(target)


def _require(program: str, *packages: str) -> None:
    """Install the Debian packages of ``program`` where it is not there."""
    if shutil.which(program):
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise _missing(f"{program}, or root and apt-get to install it", "neither", f"apt-get install {program}")
    # without the option apt-get calls it a success when it reaches nobody
    _run(["apt-get", "update", "-qq", "-o", "APT::Update::Error-Mode=any"], "apt-get update")
    _run(["apt-get", "install", "-qq", "--no-install-recommends", *packages], f"apt-get install {program}")


def _mirror() -> str:
    """Return where this machine's own apt fetches Debian from."""
    wanted = "$(ORIGIN) $(LABEL) $(COMPONENT) $(SITE)"
    for line in _run(["apt-get", "indextargets", "--format", wanted], "apt-get indextargets").splitlines():
        origin, _, mirror = line.rpartition(" ")
        if origin == "Debian Debian main":
            return mirror
    raise _missing("a Debian mirror in apt's sources", "none", "apt-get update, on Debian")


def _board_root(folder: Path, name: str, suite: str) -> None:
    """Make a root that is ``suite``'s but for /proc and /sys, so that two boards can run at the same time."""
    root = folder / name
    root.mkdir(exist_ok=True)
    for part in ("bin", "etc", "lib", "usr"):
        # trixie's packages lie below /usr; the links beside it come with base-files, which is not among them
        there = Path(suite) / (part if (folder / suite / part).exists() else f"usr/{part}")
        if not (root / part).is_symlink():
            (root / part).symlink_to(Path("..") / there)


def _build_wheel(folder: Path) -> Path:
    """Build the device wheel of this checkout and unpack it as ``wheel``; return its file."""
    built = folder / "built"
    shutil.rmtree(built, ignore_errors=True)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(built), str(CHECKOUT)]
    _run(build, "the device wheel")
    (file,) = built.glob("*.whl")
    shutil.rmtree(folder / "wheel", ignore_errors=True)
    zipfile.ZipFile(file).extractall(folder / "wheel")
    return file


def _packages(site: Path, environment: Environment, wheel: Path) -> None:
    """Install what the wheel needs on the device into ``site``, anew when what is needed has changed."""
    constraints = CHECKOUT / "constraints.txt"
    metadata = next(wheel.parent.parent.glob("wheel/*.dist-info/METADATA"))
    needs = [line for line in metadata.read_text(encoding="utf-8").splitlines() if line.startswith("Requires-Dist")]
    stamp = hashlib.sha256("\n".join([*needs, constraints.read_text("utf-8"), repr(environment)]).encode()).hexdigest()
    stamp_file = site / "stamp"
    if stamp_file.exists() and stamp_file.read_text("utf-8") == stamp:
        return
    print(f"make arm: installing fer-edge[{environment.extras}] for Python {environment.python} on aarch64", flush=True)
    shutil.rmtree(site, ignore_errors=True)
    abi = "cp" + environment.python.replace(".", "")
    target = ["--python-version", environment.python, "--implementation", "cp", "--only-binary=:all:"]
    target += [word for tag in (abi, "abi3", "none") for word in ("--abi", tag)]
    target += [word for tag in _PLATFORMS for word in ("--platform", tag)]
    pinned = ["--constraint", str(constraints)] if environment.constrained else []
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-compile"]
    _run([*pip, "--target", str(site), *target, *pinned, f"{wheel}[{environment.extras}]"], "wheels for aarch64")
    stamp_file.write_text(stamp, encoding="utf-8")


def run_to_end(
    command: list[str], what: str, *, cwd: Path | None = None, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program and return how it ended; raise ``FerEdgeError`` when it does not."""
    try:
        return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=_LIMIT_S, check=False)
    except subprocess.TimeoutExpired as late:
        expected, step = f"an end within {_LIMIT_S} s", "try again on a quiet machine, or see why it hangs"
        raise FerEdgeError(what, expected=expected, got="none", next_step=step) from late


def _run(command: list[str], what: str) -> str:
    """Run a step and return what it prints.

    Raises ``NoEmulatorError`` when its program is not there or it has no network, and ``FerEdgeError`` when it fails
    for any other reason: what apt, pip and gcc answer is no excuse.
    """
    try:
        done = run_to_end(command, what)
    except FileNotFoundError as absent:
        raise _missing(command[0], "no such program", "run it on Debian") from absent
    if done.returncode == 0:
        return done.stdout
    said = done.stderr or done.stdout
    last = (said.strip().splitlines() or ["no message"])[-1]
    if any(sign in said for sign in _UNREACHABLE):
        raise _missing(f"a network for {what}", last, "connect this machine to one")
    raise FerEdgeError(what, expected="exit code 0", got=f"{done.returncode}, {last}", next_step="see to its message")


def _missing(expected: str, got: str, next_step: str) -> NoEmulatorError:
    return NoEmulatorError("the Arm emulator", expected=expected, got=got, next_step=next_step)
