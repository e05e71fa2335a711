"""How an exported bundle takes the place of an older one, and what it says of its origin."""

from __future__ import annotations

from pathlib import Path

import pytest

from export import bundle as exporting


def test_an_interrupt_between_the_two_names_brings_the_old_bundle_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C after the old bundle has moved away and before the new one is in its place."""
    new, out, old = tmp_path / "new", tmp_path / "out", tmp_path / "old"
    for folder in (new, out):
        folder.mkdir()
        (folder / "model.json").write_text(folder.name)
    rename = Path.rename

    def interrupted(path: Path, target: Path) -> Path:
        if path == new:
            raise KeyboardInterrupt
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        exporting._replace(new, out, old)
    assert (out / "model.json").read_text() == "out"


def test_an_interrupt_as_the_old_bundle_moves_leaves_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C that comes when the old bundle has just moved away."""
    new, out, old = tmp_path / "new", tmp_path / "out", tmp_path / "old"
    for folder in (new, out):
        folder.mkdir()
        (folder / "model.json").write_text(folder.name)
    rename = Path.rename

    def interrupted(path: Path, target: Path) -> Path:
        done = rename(path, target)
        if path == out:
            raise KeyboardInterrupt
        return done

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        exporting._replace(new, out, old)
    assert (out / "model.json").read_text() == "out"


def test_without_git_the_commit_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container has the sources and no git: the card says nothing of a commit, and the export goes on."""
    monkeypatch.setenv("PATH", "")
    assert exporting._commit() == ""
