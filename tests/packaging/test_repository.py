"""The repository: speaks of the project alone, and its files stay small enough to read."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TRACKED = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
TEXT = [name for name in TRACKED if Path(name).suffix in {".py", ".md", ".toml", ".txt", ".yml", ""}]


def test_files_stay_readable() -> None:
    """No source file is longer than 330 lines."""
    lengths = {name: len((ROOT / name).read_text().splitlines()) for name in TRACKED if name.endswith(".py")}
    assert {name: length for name, length in lengths.items() if length > 330} == {}


@pytest.mark.parametrize(
    "name", [name for name in TEXT if name not in {".ci/run", "tests/packaging/test_repository.py"}]
)
def test_no_path_of_a_machine(name: str) -> None:
    """No tracked text names a folder beside the checkout or of somebody's machine."""
    assert not re.search(r"\.\./shared|/root/|/home/(?!\$|<)\w+/|/work/", (ROOT / name).read_text(encoding="utf-8"))


def test_constraints_pin_every_direct_dependency() -> None:
    """Every package that an extra names, but the legacy one, has its pin in constraints.txt."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pinned = {line.partition("==")[0].lower() for line in (ROOT / "constraints.txt").read_text().splitlines()}
    extras = {k: v for k, v in project["optional-dependencies"].items() if k != "pi-legacy"}
    wanted = {
        re.split(r"[\[<>=; ]", need)[0] for needs in [project["dependencies"], *extras.values()] for need in needs
    }
    assert wanted - pinned - {"fer-edge"} == set()


def test_the_readme_s_commands_exist() -> None:
    """Every make target and every fer-edge command and flag that the README shows is there."""
    from edge_runtime.cli import COMMANDS, _load
    from edge_runtime.options import _options

    readme, makefile = (ROOT / "README.md").read_text(), (ROOT / "Makefile").read_text()
    assert {"make run", "make test"} <= set(re.findall(r"make \w+", readme))
    for target in re.findall(r"^make (\w+)", readme, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    blocks = "\n".join(re.findall(r"```(?:sh)?\n(.*?)```", readme, re.DOTALL)).replace("\\\n", " ")
    shown = re.findall(r"fer-edge (\w+)([^#\n]*)", blocks)
    assert {name for name, _ in shown} <= set(COMMANDS)
    for name, rest in shown:
        flags = {"--" + field.name.replace("_", "-") for field in _options(_load(COMMANDS[name].options))}
        assert set(re.findall(r"--[a-z-]+", rest)) <= flags, (name, rest)
