"""How an exported bundle takes the place of an older one, and what it says of its origin."""

from __future__ import annotations

from pathlib import Path

import pytest

from export import bundle as exporting


@pytest.mark.parametrize("moved", ["out", "new"])
def test_an_interrupt_between_the_two_names_brings_the_old_bundle_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moved: str
) -> None:
    """Ctrl-C as the old bundle has just moved away, and as the new one is about to take its place."""
    new, out, old = tmp_path / "new", tmp_path / "out", tmp_path / "old"
    for folder in (new, out):
        folder.mkdir()
        (folder / "model.json").write_text(folder.name)
    rename = Path.rename

    def interrupted(path: Path, target: Path) -> Path:
        if path == new:
            raise KeyboardInterrupt
        moving = rename(path, target)
        if path.name == moved:
            raise KeyboardInterrupt
        return moving

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        exporting._replace(new, out, old)
    assert (out / "model.json").read_text() == "out"


def test_without_git_the_commit_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container has the sources and no git: the card says nothing of a commit, and the export goes on."""
    monkeypatch.setenv("PATH", "")
    assert exporting._commit() == ""
