"""Files appear whole or not at all, and a system that refuses them is named in one line."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from edge_runtime.errors import SinkError
from edge_runtime.files import make_folder, whole, write_text


def test_a_file_appears_whole_in_folders_that_are_made(tmp_path: Path) -> None:
    """While it is written it has another name; then nothing else is left beside it."""
    path = tmp_path / "a" / "b" / "report.json"
    with whole(path) as partial:
        partial.write_text("ä")
        assert not path.exists()
        assert partial.parent == path.parent
    assert path.read_text() == "ä"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("error", "becomes"),
    [(OSError(errno.ENOSPC, "No space left on device"), SinkError), (KeyboardInterrupt(), KeyboardInterrupt)],
)
def test_what_was_there_stays(tmp_path: Path, error: BaseException, becomes: type[BaseException]) -> None:
    """A full disk and an interruption leave the older file as it was, and nothing half-written."""
    path = tmp_path / "report.json"
    write_text(path, "older")

    def fail_half_way() -> None:
        with whole(path) as partial:
            partial.write_text("new")
            raise error

    with pytest.raises(becomes):
        fail_half_way()
    assert path.read_text() == "older"
    assert list(tmp_path.iterdir()) == [path]


def test_a_name_that_no_file_can_have_is_one_line(tmp_path: Path) -> None:
    """Also where not even what was begun can be removed."""
    with pytest.raises(SinkError, match="File name too long"):
        write_text(tmp_path / ("x" * 250), "")


def test_a_link_stays_and_a_pipe_is_not_replaced(tmp_path: Path) -> None:
    """What a link leads to is written anew; as root --out /dev/null would be a file from then on."""
    (tmp_path / "link").symlink_to(tmp_path / "target")
    write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "new"
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SinkError, match="a folder, device or pipe of that name"):
        write_text(tmp_path / "pipe", "")
    assert (tmp_path / "pipe").is_fifo()


def test_two_programs_do_not_share_what_they_begin(tmp_path: Path) -> None:
    """The name of what is begun holds the process's number, and ends as the file's own does."""
    with whole(tmp_path / "plot.png") as partial:
        partial.touch()
        assert str(os.getpid()) in partial.name
        assert partial.suffix == ".png"


def test_a_file_in_a_folder_s_place_is_named(tmp_path: Path) -> None:
    """One line says what cannot be written and why."""
    (tmp_path / "out").write_text("a file")
    for refused in (lambda: make_folder(tmp_path / "out"), lambda: write_text(tmp_path / "out" / "x", "")):
        with pytest.raises(SinkError, match=r"out cannot be written: expected a place that takes it, got .*exists"):
            refused()
