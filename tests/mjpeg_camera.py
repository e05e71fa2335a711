"""A network camera in a process of its own: ``mjpeg_camera.py PORT FPS FILE…`` sends the files as MJPEG over HTTP.

Whatever the files hold is sent, in turn, to whoever connects, at a steady rate by the monotonic clock.
"""

from __future__ import annotations

import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    def do_GET(self) -> None:
        """Send pictures until the other side has gone."""
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        started_s, count = time.monotonic(), 0
        try:
            while True:
                picture = PICTURES[count % len(PICTURES)]
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
                self.wfile.write(head.encode() + picture + b"\r\n")
                count += 1
                time.sleep(max(0.0, started_s + count / FPS - time.monotonic()))
        except OSError:
            pass

    def log_message(self, *_: object) -> None:
        """Say nothing."""


PORT, FPS = int(sys.argv[1]), float(sys.argv[2])
PICTURES = [Path(name).read_bytes() for name in sys.argv[3:]]
ThreadingHTTPServer.daemon_threads = True
server = ThreadingHTTPServer(("127.0.0.1", PORT), Handler)
print(server.server_port, flush=True)
server.serve_forever()
