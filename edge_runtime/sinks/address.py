"""Which sink an address names."""

from __future__ import annotations

from pathlib import Path

from edge_runtime.errors import UsageError
from edge_runtime.sinks.base import Sink


def open_sink(address: str, fps: float, *, live: bool = False, still: bool = False, blur: bool = False) -> Sink | None:
    """Open what ``address`` names; raise ``UsageError`` when it names nothing.

    ``window`` · ``video:FILE.webm`` or ``.mp4`` · ``jsonl:FILE``, or ``jsonl:-`` for standard output · ``none``.
    ``fps``: frames a second of the source, written into a video. ``live``: its frames are of now. ``still``: they are
    pictures to be looked at one by one. ``blur``: faces in pictures are made unknowable.
    """
    kind, _, path = address.partition(":")
    if address == "none":
        return None
    if address == "window" or (kind == "video" and path):
        from edge_runtime.sinks.draw import Style

        if address == "window":
            from edge_runtime.sinks.window import WindowSink

            return WindowSink(Style(bars=True, blur=blur), still=still)
        from edge_runtime.sinks.video import VideoSink

        return VideoSink(Path(path), fps, Style(blur=blur))
    if kind == "jsonl" and path:
        from edge_runtime.sinks.jsonl import JsonlSink

        return JsonlSink(None if path == "-" else Path(path), live=live)
    expected = "window, video:FILE, jsonl:FILE, jsonl:- or none"
    raise UsageError("sink", expected=expected, got=repr(address), next_step="correct --sink")
