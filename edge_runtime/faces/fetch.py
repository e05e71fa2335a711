"""``fer-edge fetch``: models that may be downloaded and not shipped, into the user's cache, by their sha256."""

from __future__ import annotations

import hashlib
import os
import urllib.error
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Literal

from tqdm import tqdm

from edge_runtime.errors import SourceError
from edge_runtime.options import option

_TIMEOUT_S = 30
_BLOCK = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """A file on the network: where it is, what it is, how large."""

    url: str
    sha256: str
    size: int

    @property
    def name(self) -> str:
        """Its file name."""
        return self.url.rpartition("/")[2]


YUNET = Download(
    url="https://media.githubusercontent.com/media/opencv/opencv_zoo/main/models/face_detection_yunet/"
    "face_detection_yunet_2023mar.onnx",
    sha256="8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
    size=232_589,
)
"""YuNet (Wu, Peng & Yu 2023), MIT licence, as OpenCV's model zoo distributes it."""

DOWNLOADS = {"yunet": YUNET}


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchOptions:
    """Options of ``fer-edge fetch``."""

    model: Literal["yunet"] = option("yunet", "what to fetch", positional=True)


def fetch(options: FetchOptions) -> None:
    """Download a model into the cache, unless it is there and whole, and say where."""
    download = DOWNLOADS[options.model]
    path = cached(download)
    if not _is_whole(download, path):
        retrieve(download, path)
    print(path)


def cached(download: Download) -> Path:
    """Return where a download lies in the user's cache, whether it is there or not."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "fer-edge" / download.name


def _is_whole(download: Download, path: Path) -> bool:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == download.sha256
    except OSError:
        return False


def retrieve(download: Download, path: Path) -> None:
    """Download to ``path``; what an earlier attempt left is gone on with. ``path`` appears only when it is right.

    Raises ``SourceError`` when the server cannot be reached or sends something else.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _receive(download, partial)
        got = hashlib.sha256(partial.read_bytes()).hexdigest()
    except (OSError, HTTPException) as error:  # URLError and time-outs are OSErrors
        reason = getattr(error, "reason", None) or error
        step = f"go online and try again, or download it elsewhere and put it at {path}"
        expected = f"{download.size} bytes from {download.url}"
        raise SourceError(f"{download.name}", expected=expected, got=str(reason), next_step=step) from error
    if got != download.sha256:
        partial.unlink()
        step = "try again; if it stays so, the file was changed: report it"
        raise SourceError(f"{download.name}", expected=f"sha256 {download.sha256}", got=got, next_step=step)
    partial.replace(path)


def _receive(download: Download, partial: Path) -> None:
    """Bring ``partial`` to its full size, from where it ends."""
    have = partial.stat().st_size if partial.exists() else 0
    if have >= download.size:
        return
    request = urllib.request.Request(download.url, headers={"Range": f"bytes={have}-"} if have else {})  # noqa: S310  (the address is one of DOWNLOADS)
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310  (as above)
        goes_on = answer.status == 206  # noqa: PLR2004  (partial content; a server may send the whole instead)
        bar = tqdm(desc=download.name, total=download.size, unit="B", unit_scale=True, leave=False, disable=None)
        with bar, partial.open("ab" if goes_on else "wb") as file:
            bar.update(have if goes_on else 0)
            while block := answer.read(_BLOCK):
                file.write(block)
                bar.update(len(block))
                if file.tell() > download.size:
                    break
    size = partial.stat().st_size
    if size < download.size:
        message = f"the connection ended after {size} bytes"
        raise OSError(message)
