"""The page of a benchmark report in a real browser."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from benchmarks.charts import STAGE_COLOURS
from benchmarks.page import write_page
from edge_runtime.recogniser import STAGES

BROWSER = shutil.which("chromium")
QUIET = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
QUIET += " --disable-component-update --disable-sync --enable-logging=stderr --hide-scrollbars --window-size=1060,4000"


@pytest.mark.skipif(BROWSER is None, reason="the page was NOT looked at: no chromium (apt-get install chromium)")
def test_the_page_opens_with_its_plots_and_without_an_error(bench_report: Any, tmp_path: Path) -> None:
    """Six plots are in the page as the browser read it, the stages are painted, and the console stays empty."""
    page, picture = tmp_path / "page.html", tmp_path / "page.png"
    write_page(bench_report(), page)

    def browse(*flags: str) -> str:
        command = [str(BROWSER), *QUIET.split(), f"--user-data-dir={tmp_path / 'profile'}", *flags, page.as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        assert "CONSOLE" not in done.stderr
        return done.stdout

    assert len(re.findall(r"<svg[ >]", browse("--dump-dom"))) == 6
    browse(f"--screenshot={picture}")
    pixels = cv2.imread(str(picture))
    assert pixels is not None
    for stage, colour in zip(STAGES, STAGE_COLOURS, strict=True):
        bgr = np.array([int(colour[at : at + 2], 16) for at in (5, 3, 1)])
        assert (pixels == bgr).all(axis=2).sum() > 500, stage
