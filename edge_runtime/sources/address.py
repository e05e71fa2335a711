"""Which source an address names."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from edge_runtime.errors import SourceError, UsageError
from edge_runtime.say import say
from edge_runtime.sources.base import ANY_CAMERA, Camera, CameraOptions, Source
from edge_runtime.sources.live import LiveSource, Patience

_MAX_DIGITS = 9  # OpenCV takes a camera index as a C int
_DEVICE = re.compile(r"/dev/(video\d+|v4l/[!-~]+)")  # below v4l/ are names that survive replugging
_STREAMS = ("rtsp://", "rtsps://", "http://", "https://")


def open_source(address: str, camera: CameraOptions = ANY_CAMERA, patience: Patience | None = None) -> Source:
    """Open what ``address`` names; raise ``SourceError`` when it does not exist or cannot be read.

    ``0``, ``webcam:0``, ``/dev/video0`` or ``/dev/v4l/by-id/…``: a camera · ``picamera2:`` or ``picamera2:1``: a camera
    of a Raspberry Pi · ``rtsp://…`` or ``http://…``: a network camera · ``synthetic:PICTURE``: a clip that pans and
    zooms over a picture · anything else: the path of a picture, a folder of pictures or a video file.

    Raise ``UsageError`` when ``camera`` asks something of a source that is not a camera of this machine.
    """
    opener = _opener(address, camera)
    if camera.flags and (opener is None or _is_stream(address)):
        expected, step = "a camera of this machine as --source", "leave out what is asked of it, or name a camera"
        raise UsageError(" ".join(camera.flags), expected=expected, got=repr(redacted(address)), next_step=step)
    if opener:
        return LiveSource(redacted(address), opener, patience=patience, say=say)
    kind, _, rest = address.partition(":")
    if kind in ("webcam", "picamera2"):
        expected, step = f"{kind}: and a number, as in {kind}:0", "correct --source"
        raise SourceError("camera address", expected=expected, got=repr(redacted(address)), next_step=step)
    if kind == "synthetic" and rest:
        from edge_runtime.sources.synthetic import PanSource

        return PanSource(Path(rest))
    path = Path(address)
    if os.path.isdir(path) and address:  # noqa: PTH112  (Path.is_dir raises when a name is too long)
        from edge_runtime.sources.images import PictureSource

        return PictureSource(path)
    if not os.path.isfile(path):  # noqa: PTH113  (as above)
        step = "name a camera, an address, a video file, a picture, a folder or synthetic:PICTURE with --source"
        got = repr(redacted(address))
        raise SourceError("source", expected="a file or a camera index", got=got, next_step=step)
    from edge_runtime.sources.images import PICTURE_SUFFIXES, PictureSource

    if path.suffix.lower() in PICTURE_SUFFIXES:
        return PictureSource(path)
    from edge_runtime.sources.opencv import VideoSource

    return VideoSource(path)


def redacted(address: str) -> str:
    """Return ``address`` without the credentials in it: those before an @, and the values of a query.

    An @ elsewhere may be that of a password with a / or ? in it: of such an address only the protocol is shown.
    Without :// it may be a mistyped address: what stands before an @ is hidden when there is a colon in it.
    """
    protocol, mark, _ = address.partition("://")
    if not mark:
        before, _, rest = address.rpartition("@")
        return re.sub(r"([?&]\w+=)[^&#]*", r"\1…", f"…@{rest}" if ":" in before else address)
    whole = re.fullmatch(r"(\w+://)([^/?#@]*@)?([^@]*)", address, re.DOTALL)
    if not whole:
        return redacted(protocol) + "://…"
    return whole[1] + ("…@" if whole[2] else "") + re.sub(r"=[^&#]*", "=…", whole[3])


def _opener(address: str, camera: CameraOptions) -> Callable[[], Camera] | None:
    """Return what opens the camera that ``address`` names; None when it names none."""
    kind, _, rest = address.partition(":")
    if kind == "picamera2" and _is_number(rest or "0"):
        from edge_runtime.sources.picamera2 import PiCamera

        return lambda: PiCamera(int(rest or 0), camera)
    index = rest if kind == "webcam" else address
    target: int | str
    if _is_number(index):
        target = int(index)
    elif _DEVICE.fullmatch(address) or _is_stream(address):
        target = address
    else:
        return None
    from edge_runtime.sources.opencv import OpenCvCamera

    name = f"camera {target}" if isinstance(target, int) else redacted(address)
    return lambda: OpenCvCamera(target, name, camera)


def _is_stream(address: str) -> bool:
    return address.lower().startswith(_STREAMS)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS
