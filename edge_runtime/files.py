"""Files that appear whole or not at all: written beside their name, then renamed."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edge_runtime.errors import SinkError


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yield the name to write to, which becomes ``path`` when the block ends; its folder is made where it is missing.

    Raise ``SinkError`` when the system refuses (a full disk, no right to write): what had that name before keeps it,
    and nothing half-written is left.
    """
    try:
        path = destination(path)
    except OSError as error:
        raise _refused(path, error) from error
    make_folder(path.parent)
    # the number keeps two programs apart; the suffix stays last, by which a library may choose the format
    partial = path.with_name(f"{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        yield partial
        partial.replace(path)
    except BaseException as error:
        with suppress(OSError):  # a disk that takes nothing any more may not even let go
            partial.unlink()
        if isinstance(error, OSError):
            raise _refused(path, error) from error
        raise


def destination(path: Path) -> Path:
    """Return what is to be replaced by a file of that name: where a link leads, so that the link stays.

    Raise ``OSError`` for a folder, a device or a pipe, none of which a file may take the place of, and ``ValueError``
    for a name that no file can have.
    """
    real = Path(os.path.realpath(path))
    if os.path.exists(real) and not os.path.isfile(real):  # noqa: PTH110, PTH113  (Path's raise when a name is too long)
        raise FileExistsError(errno.EEXIST, "a folder, device or pipe of that name", str(path))
    return real


def is_utf8(path: Path) -> bool:
    """Whether its name is text in UTF-8: OpenCV dies of any other."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def write_text(path: Path, text: str) -> None:
    """Write UTF-8, whole or not at all; errors as of ``whole``."""
    with whole(path) as partial:
        partial.write_text(text, encoding="utf-8")


def make_folder(path: Path) -> None:
    """Make the folder and those above it where they are missing; raise ``SinkError`` when that cannot be."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _refused(path, error) from error


def _refused(path: Path, error: OSError) -> SinkError:
    expected, step = "a place that takes it", "make room, or name another place; what was there before is whole"
    return SinkError(f"{path} cannot be written", expected=expected, got=str(error), next_step=step)
