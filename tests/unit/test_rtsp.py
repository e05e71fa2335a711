"""Network cameras that speak RTSP, by a real loopback server: JPEG in RTP packets over TCP (RFC 2326 and 2435)."""

from __future__ import annotations

import re
import socketserver
import struct
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from edge_runtime.errors import SourceError
from edge_runtime.sources import open_source
from edge_runtime.sources.base import ANY_CAMERA
from edge_runtime.sources.live import Patience

cv2 = pytest.importorskip("cv2")

SIZE_WH = (64, 48)
PATIENCE = Patience(first_wait_s=0.05, longest_wait_s=0.2, give_up_after_s=30)
SDP = (
    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=video 0 RTP/AVP 26\r\na=control:0\r\n"
)


def packet(value: int, number: int) -> bytes:
    """Return an even picture as one RTP packet, framed for the RTSP connection."""
    image = np.full((SIZE_WH[1], SIZE_WH[0], 3), value, np.uint8)
    jpeg = cv2.imencode(".jpg", image)[1].tobytes()
    tables = b"".join(jpeg[m.end() : m.end() + 64] for m in re.finditer(rb"\xff\xdb\x00\x43[\x00\x01]", jpeg))
    scan = jpeg.index(b"\xff\xda")
    scan += 2 + int.from_bytes(jpeg[scan + 2 : scan + 4])
    # fragment at 0, 4:2:0, tables follow; a marker ends the picture; the clock has 90,000 ticks a second
    head = struct.pack(">IBBBB", 0, 1, 255, SIZE_WH[0] // 8, SIZE_WH[1] // 8) + struct.pack(">HH", 0, len(tables))
    rtp = struct.pack(">BBHII", 0x80, 0x80 | 26, number % 2**16, number * 3_000, 7) + head + tables + jpeg[scan:-2]
    return struct.pack(">cBH", b"$", 0, len(rtp)) + rtp


class Handler(socketserver.StreamRequestHandler):
    """One connection: answers until it is asked to play, then plays."""

    server: Server

    def handle(self) -> None:
        """Talk RTSP."""
        while request := self.rfile.readline().decode():
            fields = {}
            while (line := self.rfile.readline().decode().strip()) != "":
                name, _, value = line.partition(":")
                fields[name.lower()] = value.strip()
            method, answer, body = request.split()[0], f"CSeq: {fields['cseq']}\r\nSession: 1\r\n", ""
            if method == "OPTIONS":
                answer += "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
            if method == "DESCRIBE":
                answer, body = f"{answer}Content-Type: application/sdp\r\nContent-Length: {len(SDP)}\r\n", SDP
            if method == "SETUP":
                answer += "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"
            self.wfile.write(f"RTSP/1.0 200 OK\r\n{answer}\r\n{body}".encode())
            if method == "PLAY":
                return self.play()
        return None

    def play(self) -> None:
        """Send pictures until there are no more of them or the other side has gone."""
        try:
            for number in range(self.server.pictures):
                self.wfile.write(packet(200 if number % 2 else 50, number))
                time.sleep(0.02)
        except OSError:
            pass


class Server(socketserver.ThreadingTCPServer):
    """Plays so many pictures to whoever asks, then cuts the connection."""

    allow_reuse_address = True
    daemon_threads = True
    pictures = 10**6


@pytest.fixture
def server() -> Iterator[Server]:
    """Return a running server."""
    with Server(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield running
        running.shutdown()


def address(server: Server) -> str:
    """Return its address, with credentials that nobody may see."""
    return f"rtsp://user:s3cret@127.0.0.1:{server.server_address[1]}/live"


def test_a_stream_gives_its_pictures(server: Server) -> None:
    """Pictures of an RTSP camera come as frames, in their order."""
    with open_source(address(server), ANY_CAMERA, PATIENCE) as source:
        assert source.live
        frames = [frame for frame, _ in zip(source, range(10), strict=False)]
    assert {frame.image.shape for frame in frames} == {(48, 64, 3)}
    assert {round(float(frame.image.mean()), -1) for frame in frames} == {50, 200}
    assert [frame.index for frame in frames] == sorted({frame.index for frame in frames})


def test_a_connection_that_is_cut_is_made_anew(server: Server, capfd: pytest.CaptureFixture[str]) -> None:
    """Each time the camera hangs up it is asked again; its password is told to nobody."""
    server.pictures = 20
    with open_source(address(server), ANY_CAMERA, PATIENCE) as source:
        for _ in source:
            if source.reopened >= 2:  # type: ignore[attr-defined]
                break
    printed = "".join(capfd.readouterr())
    assert "has gone; waiting for it" in printed
    assert "s3cret" not in printed


def test_a_camera_that_is_off_is_told_without_its_password(server: Server) -> None:
    """The error names where it was looked for."""
    server.shutdown()
    server.server_close()
    with pytest.raises(SourceError, match=r"rtsp://…@127\.0\.0\.1") as caught:
        open_source(address(server), ANY_CAMERA, PATIENCE)
    assert "s3cret" not in str(caught.value)
