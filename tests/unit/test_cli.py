"""The console command: light to start, and one exit code for each way to fail."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_runtime import cli, errors
from edge_runtime.cli import COMMANDS, Command, main

ROOT = Path(__file__).resolve().parents[2]
HEAVY = frozenset({
    "torch", "cv2", "onnx", "onnxruntime", "openvino", "ai_edge_litert", "tflite_runtime", "pyarrow", "safetensors",
    "nncf", "litert_torch", "tensorflow", "scipy",
})  # fmt: skip
"""What must not be loaded before it is needed."""

HELP = """
import json, sys
import edge_runtime
loaded = {"import edge_runtime": sorted(sys.modules)}
from edge_runtime import cli
loaded["import edge_runtime.cli"] = sorted(sys.modules)
try:
    cli.main(sys.argv[1:])
except SystemExit as leaving:
    loaded["code"] = leaving.code
loaded["help"] = sorted(sys.modules)
print(json.dumps(loaded), file=sys.stderr)
"""


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a fresh interpreter in the checkout, without the settings of this one."""
    environment = {**os.environ, "COLUMNS": "80", "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment,
        text=True,
        capture_output=True,
        check=False,
        timeout=240,
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("reader", ["gone", "full"])
def test_what_is_printed_and_not_taken(reader: str, unbuffered: str) -> None:
    """A pipe whose reader has gone, and a full disk: one line and exit code 5, with and without Python's buffer."""
    if reader == "gone":
        end, out = os.pipe()
        os.close(end)
    else:
        out = os.open("/dev/full", os.O_WRONLY)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": unbuffered}
    command = [sys.executable, "-m", "edge_runtime", "inspect"]
    done = subprocess.run(command, stdout=out, stderr=subprocess.PIPE, text=True, env=environment, check=False)
    os.close(out)
    assert done.returncode == 5, done.stderr
    assert done.stderr.startswith("fer-edge: standard output: expected room for what is printed, got ")
    assert len(done.stderr.splitlines()) == 1


def test_sigterm_ends_every_command_as_ctrl_c_does() -> None:
    """It unwinds, so that what is half made is removed, and ends with 130."""
    script = (
        "import os, signal; from edge_runtime import cli\n"
        "def wait(_):\n"
        "    try: os.kill(os.getpid(), signal.SIGTERM)\n"
        "    finally: print('tidied')\n"
        "cli._load = lambda target: wait if target.endswith(':inspect') else load(target)\n"
        "load = lambda target, load=cli._load: load(target)\n"
    )
    script = script.replace("cli._load = ", "real = cli._load; cli._load = ").replace("load=cli._load", "load=real")
    done = python("-c", script + "import sys; sys.argv[1:] = ['inspect']; cli.console()")
    assert (done.returncode, done.stdout) == (130, "tidied\n"), done.stderr


def test_a_terminal_that_knows_few_characters_gets_them_spelled() -> None:
    """What it has no character for is printed as its number, and is no error."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"}
    script = "from edge_runtime import cli; cli.main = lambda: print('1 → 2 µs') or 0; cli.console()"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stdout) == (0, "1 \\u2192 2 \\xb5s\n")


def tops(modules: list[str]) -> set[str]:
    """Return the packages that modules belong to."""
    return {module.partition(".")[0] for module in modules}


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each_command_is_light(command: str) -> None:
    """The help of a command lists its options and loads neither torch nor OpenCV nor an engine."""
    run = python("-c", HELP, command, "--help")
    loaded = json.loads(run.stderr.splitlines()[-1])
    assert loaded["code"] == 0
    assert run.stdout.startswith(f"usage: fer-edge {command} [-h] ")
    assert "\n  -h, --help" in run.stdout
    assert len(run.stdout.splitlines()) >= 8
    assert not tops(loaded["help"]) & HEAVY
    others = {"train", "distill", "export", "benchmarks"} & tops(loaded["help"])
    folder = COMMANDS[command].options.partition(".")[0]
    needed = {folder} | {"distill": {"train"}, "export": {"train"}}.get(folder, set())
    assert others <= needed


def test_importing_is_light_and_prints_nothing() -> None:
    """Importing edge_runtime and the command table loads nothing but the standard library and numpy."""
    run = python("-c", HELP, "--help")
    loaded = json.loads(run.stderr.splitlines()[-1])
    assert len(run.stderr.splitlines()) == 1
    for when in ("import edge_runtime", "import edge_runtime.cli", "help"):
        # names with an underscore: __main__, and what .pth files load into every interpreter
        foreign = tops(loaded[when]) - sys.stdlib_module_names - {"edge_runtime", "numpy"}
        assert not {name for name in foreign if not name.startswith("_")}


def test_help_is_pinned() -> None:
    """The help of the whole command is, word for word, the one that was agreed."""
    run = python("-c", "from edge_runtime.cli import main; main(['--help'])")
    assert run.returncode == 0
    assert run.stdout == (ROOT / "tests" / "golden" / "help.txt").read_text(encoding="utf-8")


def test_console_script_is_the_command() -> None:
    """The installed script runs the same program and passes its exit code on."""
    script = Path(sys.executable).with_name("fer-edge")
    if not script.exists():
        pytest.skip("the package fer-edge is not installed beside this Python")
    run = subprocess.run([script, "run", "--source", "nowhere.mp4"], text=True, capture_output=True, check=False)
    assert run.returncode == 5
    assert run.stderr.startswith("fer-edge: source: expected a file or a camera index")


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_points_at_what_is_there(name: str) -> None:
    """Each command's options and function exist under the names in the table; nothing heavy is imported to see it."""
    for target, kind in ((COMMANDS[name].options, ast.ClassDef), (COMMANDS[name].function, ast.FunctionDef)):
        module, _, attribute = target.partition(":")
        source = (ROOT / module.replace(".", "/")).with_suffix(".py").read_text(encoding="utf-8")
        assert attribute in {node.name for node in ast.parse(source).body if isinstance(node, kind)}


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nothing"],
        ["--threads", "1"],
        ["run", "--unknown"],
        ["run", "--threads", "x"],
        ["run", "--engine", "torch"],
        ["run", "--precision", "int4"],
        ["bench", "--faces"],
    ],
)
def test_a_wrong_command_line_ends_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """What argparse refuses ends with exit code 2 and a usage line on standard error."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    output = capsys.readouterr()
    assert output.err.startswith("usage: fer-edge")
    assert not output.out


@pytest.fixture
def picture(tmp_path: Path) -> str:
    """Write a picture."""
    cv2 = pytest.importorskip("cv2")
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((20, 20, 3), np.uint8))
    return str(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["bench"], 2, "--source is out of range"),
        (["run", "--source", "PICTURE", "--bundle", "nowhere"], 3, "bundle nowhere"),
        (["run", "--source", "nowhere.mp4"], 5, "source: expected a file"),
        (["run", "--source", "99"], 5, "camera 99"),
        (["evaluate", "--data", "nowhere.csv"], 6, "face data not found"),
    ],
)
def test_each_error_has_its_exit_code(
    picture: str, arguments: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An error of the project's own is one line on standard error and its class's exit code."""
    assert main([picture if word == "PICTURE" else word for word in arguments]) == code
    output = capsys.readouterr()
    assert output.err.startswith("fer-edge: ")
    assert message in output.err
    assert output.err.count("\n") == 1
    assert not output.out


def test_exit_codes_are_the_agreed_ones() -> None:
    """Each error class has the exit code of the architecture, and all have one root."""
    codes = {"UsageError": 2, "BundleError": 3, "NotInstalledError": 4, "SourceError": 5, "DataError": 6}
    codes |= {"SinkError": 5, "RegressionError": 7}
    kinds = errors.FerEdgeError.__subclasses__()
    assert {kind.__name__: kind.exit_code for kind in kinds} == codes


def stub(monkeypatch: pytest.MonkeyPatch, name: str, outcome: BaseException | None) -> list[Any]:
    """Put a function in place of a command's: it keeps its options, then raises ``outcome`` if there is one."""
    called: list[Any] = []

    def function(options: Any) -> None:
        called.append(options)
        if outcome is not None:
            raise outcome

    module = types.ModuleType("stub_of_a_command")
    vars(module)["function"] = function
    monkeypatch.setitem(sys.modules, module.__name__, module)
    old = COMMANDS[name]
    new = Command(purpose=old.purpose, options=old.options, function=f"{module.__name__}:function", extra=old.extra)
    monkeypatch.setitem(COMMANDS, name, new)
    return called


def test_a_command_gets_its_options_and_ends_with_0(monkeypatch: pytest.MonkeyPatch) -> None:
    """The function is called once with the options of the command line."""
    called = stub(monkeypatch, "run", None)
    assert main(["run", "--source", "bench", "--sink", "none", "jsonl:-", "--engine", "onnx"]) == 0
    (options,) = called
    assert (options.source, options.sink, options.engine) == ("bench", ("none", "jsonl:-"), "onnx")


def test_without_arguments_the_process_own_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """The console script calls main() without arguments."""
    called = stub(monkeypatch, "evaluate", None)
    monkeypatch.setattr(sys, "argv", ["fer-edge", "evaluate", "--bundle", "toy"])
    assert main() == 0
    assert called[0].bundle == "toy"


def test_interruption_ends_with_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C is no error and leaves no traceback."""
    stub(monkeypatch, "run", KeyboardInterrupt())
    assert main(["run"]) == 130
    assert not capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "missing", "step"),
    [
        ("run", "cv2", "in the checkout, pip install '.[pi]'"),
        ("bench", "cv2", "in the checkout, pip install '.[pi]'"),
        ("evaluate", "pyarrow.parquet", "in the checkout, pip install '.[pi]'"),
        ("train", "torch", "from a checkout, pip install -e '.[train]'"),
        ("distill", "torch", "from a checkout, pip install -e '.[train]'"),
        ("export", "nncf", "from a checkout, pip install -e '.[export]'"),
    ],
)
def test_missing_package_ends_with_4_and_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, command: str, missing: str, step: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A third-party package that is not installed is named with the extra that brings it."""
    stub(monkeypatch, command, ModuleNotFoundError(f"No module named {missing!r}", name=missing))
    arguments = ["--teachers", "a"] if command == "distill" else ["--source", "a"] if command == "bench" else []
    assert main([command, *arguments]) == 4
    top = missing.partition(".")[0]
    expected = f"fer-edge: fer-edge {command}: expected the package {top}, got not installed. Next: {step}.\n"
    assert capsys.readouterr().err == expected


def test_command_of_the_checkout_says_so_on_a_device(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the wheel alone is installed, train says that it needs a checkout."""
    stub(monkeypatch, "train", ModuleNotFoundError("No module named 'train'", name="train"))
    assert main(["train"]) == 4
    assert "from a checkout, pip install -e '.[train]'" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["edge_runtime.nothing", "benchmarks.nothing", "train.nothing"])
def test_missing_module_of_the_program_itself_is_raised(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A part of the program that is missing is a fault, not a package to install."""
    stub(monkeypatch, "run", ModuleNotFoundError(f"No module named {name!r}", name=name))
    with pytest.raises(ModuleNotFoundError, match="nothing"):
        main(["run"])


@pytest.mark.parametrize("error", [ValueError("a fault"), ImportError("libgomp.so.1"), ZeroDivisionError()])
def test_a_fault_of_the_program_is_raised(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """What is not foreseen keeps its traceback."""
    stub(monkeypatch, "run", error)
    with pytest.raises(type(error)):
        main(["run"])


def test_an_absent_command_module_does_not_stop_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command runs where the other commands' modules cannot even be imported."""
    for name in ("train", "distill", "export"):
        monkeypatch.setitem(sys.modules, name, None)
    called = stub(monkeypatch, "run", None)
    assert main(["run"]) == 0
    assert len(called) == 1
    assert cli.INTERRUPTED == 130
