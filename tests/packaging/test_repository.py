"""The repository: speaks of the project alone, and its files stay small enough to read."""

from __future__ import annotations

import argparse
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from edge_runtime.options import add_options

ROOT = Path(__file__).resolve().parents[2]
TRACKED = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
PAGES = ["README.md", *sorted(name for name in TRACKED if name.startswith("docs/") and name.endswith(".md"))]
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


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page_exist(page: str) -> None:
    """Every make target and every fer-edge command and flag that its blocks show is there."""
    from edge_runtime.cli import COMMANDS, _load

    text, makefile = (ROOT / page).read_text(), (ROOT / "Makefile").read_text()
    blocks = "\n".join(re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)).replace("\\\n", " ")
    for target in re.findall(r"^make ([\w-]+)", blocks, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for words in re.findall(r"fer-edge ([a-z][^#\n]*)", blocks):
        name = next(name for name in sorted(COMMANDS, key=len, reverse=True) if words.startswith(name))
        parser = argparse.ArgumentParser()
        add_options(parser, _load(COMMANDS[name].options))
        flags = {flag for action in parser._actions for flag in action.option_strings}
        assert set(re.findall(r"--[a-z][a-z-]*", words)) <= flags, words


def test_the_readme_shows_how_everything_is_run() -> None:
    """Its blocks have every command and the two make targets that a newcomer needs."""
    from edge_runtime.cli import COMMANDS

    text = (ROOT / "README.md").read_text()
    blocks = "\n".join(re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE))
    assert {"make run", "make test"} <= set(re.findall(r"^make \w+", blocks, re.MULTILINE))
    assert [name for name in COMMANDS if f"fer-edge {name}" not in " ".join(text.split())] == []


@pytest.mark.parametrize(
    "page", ["README.md", "CHANGELOG.md", *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
)
def test_no_figure_of_a_page_is_left_out(page: str) -> None:
    """What was to be filled in with a measured figure was."""
    assert re.findall(r"@[A-Z]{1,}|TODO|FIXME", (ROOT / page).read_text()) == []
