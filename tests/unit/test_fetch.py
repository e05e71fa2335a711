"""Fetching a model: from a real loopback server, whole, in pieces, wrong, and offline."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from edge_runtime.cli import main
from edge_runtime.errors import SourceError
from edge_runtime.faces import fetch as fetching
from edge_runtime.faces.fetch import Download, cached, retrieve

CONTENT = bytes(range(256)) * 1_000


class Server(ThreadingHTTPServer):
    """Sends ``CONTENT``, or what it is told to; remembers what was asked."""

    def __init__(self) -> None:
        """Listen on a loopback port."""
        self.content, self.cut, self.ranges, self.asked = CONTENT, len(CONTENT), True, []
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        """Where the file is."""
        return f"http://127.0.0.1:{self.server_port}/models/net.onnx"


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Server

    def do_GET(self) -> None:
        """Send the file, or its rest."""
        wanted = self.headers.get("Range")
        self.server.asked.append(wanted)
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.server.ranges else 0
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(self.server.content) - start))
        self.end_headers()
        self.wfile.write(self.server.content[start : max(start, self.server.cut)])

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    """Return a running server."""
    running = Server()
    threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield running
    running.shutdown()
    running.server_close()


def download(server: Server) -> Download:
    """Return what is to be fetched from a server."""
    return Download(url=server.url, sha256=hashlib.sha256(CONTENT).hexdigest(), size=len(CONTENT))


def test_a_download_arrives_whole(server: Server, tmp_path: Path) -> None:
    """The file is there under its name, with every byte, in a folder that was not there before."""
    retrieve(download(server), tmp_path / "new" / "net.onnx")
    assert (tmp_path / "new" / "net.onnx").read_bytes() == CONTENT
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["net.onnx"]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_download_that_broke_off_goes_on(server: Server, tmp_path: Path, *, ranges: bool) -> None:
    """The second attempt asks for the rest alone; a server that sends the whole again does no harm."""
    server.cut, server.ranges = 100_000, ranges
    with pytest.raises(SourceError, match=r"net\.onnx: expected 256000 bytes from http"):
        retrieve(download(server), tmp_path / "net.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["net.onnx.partial"]
    server.cut = len(CONTENT)
    retrieve(download(server), tmp_path / "net.onnx")
    assert server.asked == [None, "bytes=100000-"]
    assert (tmp_path / "net.onnx").read_bytes() == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ["net.onnx"]


@pytest.mark.parametrize("content", [CONTENT[:-1] + b"x", CONTENT * 2, b"<html>" + CONTENT[6:]])
def test_another_file_is_refused_and_not_kept(server: Server, tmp_path: Path, content: bytes) -> None:
    """A changed byte, a longer file and a web page are no model: nothing stays, and the next attempt begins anew."""
    server.content, server.cut = content, len(content)
    with pytest.raises(SourceError, match="expected sha256"):
        retrieve(download(server), tmp_path / "net.onnx")
    assert list(tmp_path.iterdir()) == []


def test_offline_is_one_clear_message(tmp_path: Path) -> None:
    """Without a network the message says what to do instead."""
    nowhere = Download(url="http://127.0.0.1:1/net.onnx", sha256="0" * 64, size=10)
    with pytest.raises(SourceError, match="Connection refused") as caught:
        retrieve(nowhere, tmp_path / "net.onnx")
    assert "put it at" in caught.value.next_step
    assert str(tmp_path / "net.onnx") in caught.value.next_step


def test_the_command_fetches_once(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It prints where the file is, in the user's cache, and asks the server the first time alone."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(fetching, "DOWNLOADS", {"yunet": download(server)})
    for _ in range(2):
        assert main(["fetch", "yunet"]) == 0
        assert capsys.readouterr().out.strip() == str(tmp_path / "fer-edge" / "net.onnx")
    assert len(server.asked) == 1
    assert cached(download(server)).read_bytes() == CONTENT


@pytest.mark.parametrize("garbage", [b"", b"<html>sign in</html>", CONTENT[:-1] + b"x"])
def test_a_damaged_file_in_the_cache_is_fetched_anew(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, garbage: bytes
) -> None:
    """What lies there counts only with the right content."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(fetching, "DOWNLOADS", {"yunet": download(server)})
    (tmp_path / "fer-edge").mkdir()
    cached(download(server)).write_bytes(garbage)
    assert main(["fetch", "yunet"]) == 0
    assert cached(download(server)).read_bytes() == CONTENT


def test_the_pinned_file_is_the_one_that_is_tested_with(yunet_file: Path) -> None:
    """Size and sha256 of the download are those of the file that every test of YuNet uses."""
    assert yunet_file.stat().st_size == fetching.YUNET.size
    assert hashlib.sha256(yunet_file.read_bytes()).hexdigest() == fetching.YUNET.sha256
