"""Network cameras, by a real loopback server that sends MJPEG: well, badly, and not at all."""

from __future__ import annotations

import dataclasses
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from edge_runtime.errors import SourceError
from edge_runtime.sources import open_source
from edge_runtime.sources.base import ANY_CAMERA
from edge_runtime.sources.live import Patience
from edge_runtime.sources.opencv import OpenCvCamera

cv2 = pytest.importorskip("cv2")

QUICK = Patience(stall_s=2, first_wait_s=0.05, longest_wait_s=0.2, give_up_after_s=6)


def jpeg(value: int, size_wh: tuple[int, int] = (64, 48)) -> bytes:
    """Return an even picture as JPEG."""
    image = np.full((size_wh[1], size_wh[0], 3), value, np.uint8)
    return bytes(cv2.imencode(".jpg", image)[1].tobytes())


class Server(ThreadingHTTPServer):
    """Sends whatever parts it is given, in a loop, at about 100 a second, to whoever asks."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, parts: list[bytes], port: int = 0) -> None:
        """Listen on a loopback port."""
        self.parts, self.alive, self.paths = parts, True, []
        super().__init__(("127.0.0.1", port), Handler)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        """Cut every connection."""
        self.alive = False
        self.shutdown()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Server

    def do_GET(self) -> None:
        """Send parts until the server stops."""
        self.server.paths.append(self.path)
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        try:
            while self.server.alive:
                for part in self.server.parts:
                    head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(part)}\r\n\r\n"
                    self.wfile.write(head.encode() + part + b"\r\n")
                    time.sleep(0.01)
        except OSError:
            pass

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(*parts: bytes) -> Iterator[Server]:
    """Serve parts for as long as the block lasts."""
    server = Server(list(parts))
    try:
        yield server
    finally:
        server.stop()


def address(server: Server) -> str:
    """Return the address of a server's stream, with credentials that nobody may see."""
    return f"http://user:s3cret@127.0.0.1:{server.server_port}/video.mjpg"


def test_a_stream_gives_its_newest_frames() -> None:
    """Pictures of a network camera come as frames; it is live."""
    with serving(jpeg(50), jpeg(200)) as server, open_source(address(server), ANY_CAMERA, QUICK) as source:
        assert source.live
        frames = [frame for frame, _ in zip(source, range(20), strict=False)]
    assert {frame.image.shape for frame in frames} == {(48, 64, 3)}
    assert {round(float(frame.image.mean()), -1) for frame in frames} == {50, 200}
    assert [frame.index for frame in frames] == sorted({frame.index for frame in frames})


def test_no_frame_is_held_back_by_decoding_in_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 60 frames that build on each other, all but the last two come at once: a container's end is not seen earlier.

    A third is held back where two threads decode, a fourth where three do.
    """
    monkeypatch.setattr("edge_runtime.sources.opencv._STREAM_TIMEOUT_MS", 3_000)
    writer = cv2.VideoWriter(str(tmp_path / "a.ts"), cv2.VideoWriter.fourcc(*"mp4v"), 30, (320, 240))
    for index in range(60):
        bits = np.array([255 * (index >> bit & 1) for bit in range(8)], np.uint8)
        writer.write(np.broadcast_to(np.repeat(bits, 40)[None, :, None], (240, 320, 3)).copy())
    writer.release()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def send() -> None:
            connection, _ = server.accept()
            connection.recv(65_536)
            connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + (tmp_path / "a.ts").read_bytes())
            time.sleep(6)  # the stream has not ended
            connection.close()

        threading.Thread(target=send, daemon=True).start()
        camera = OpenCvCamera(f"http://127.0.0.1:{server.getsockname()[1]}/a.ts", "stream", ANY_CAMERA)
        came: list[tuple[float, int]] = []
        started = time.monotonic()
        while (picture := camera.read()) is not None:
            index = sum(int(picture.image[120, 40 * bit + 20, 1] > 127) << bit for bit in range(8))
            came.append((time.monotonic() - started, index))
            started = time.monotonic()
        camera.close()
    _, after_the_wait = max(came)  # what was held back is handed over when the camera is given up
    assert after_the_wait >= 60 - 2


def test_a_server_that_is_killed_and_comes_back(capfd: pytest.CaptureFixture[str]) -> None:
    """Three times: frames, the server dies, it comes back on its port, frames again; no credential is printed."""
    server = Server([jpeg(100)])
    port = server.server_port
    with open_source(address(server), ANY_CAMERA, QUICK) as source:
        frames = iter(source)
        for _ in range(3):
            for _ in range(5):
                next(frames)
            server.stop()
            time.sleep(0.1)
            server = Server([jpeg(100)], port)
        before = source.reopened
        for _ in range(5):
            next(frames)
        assert source.reopened >= before >= 2
    server.stop()
    printed = "".join(capfd.readouterr())
    assert "has gone; waiting for it" in printed
    assert "s3cret" not in printed
    assert "user" not in printed


def test_truncated_and_broken_pictures_are_survived(capfd: pytest.CaptureFixture[str]) -> None:
    """Between pictures that are cut or are none, the good ones come, and nobody's credentials are printed."""
    good = cv2.imencode(".jpg", np.random.default_rng(0).integers(0, 256, (48, 64, 3)).astype(np.uint8))[1].tobytes()
    parts = (good, good[: len(good) // 2], b"\xff\xd8 nothing \xff\xd9", bytes(500), good)
    with serving(*parts) as server, open_source(address(server), ANY_CAMERA, QUICK) as source:
        shapes = [frame.image.shape for frame, _ in zip(source, range(20), strict=False)]
    assert set(shapes) == {(48, 64, 3)}
    assert "s3cret" not in "".join(capfd.readouterr())


def test_a_stream_of_garbage_is_refused() -> None:
    """A server that sends no pictures at all is no camera: soon, and not after the time that a known one has."""
    patience = dataclasses.replace(QUICK, first_frame_s=1.5, give_up_after_s=600)
    with serving(b"text " * 100) as server, pytest.raises(SourceError, match="expected a"):
        next(iter(open_source(address(server), ANY_CAMERA, patience)))


def test_a_server_that_never_answers_is_refused_in_time() -> None:
    """A port that takes the connection and stays silent ends in an error within the timeout."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        with pytest.raises(SourceError, match="expected a camera that opens"):
            open_source(f"http://127.0.0.1:{silent.getsockname()[1]}/", ANY_CAMERA, QUICK)
        assert time.monotonic() - started < 15
