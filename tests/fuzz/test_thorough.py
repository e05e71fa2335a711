"""The property tests that any input may meet, with a hundred thousand cases each instead of two hundred."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.timeout(4 * 3600)
@pytest.mark.parametrize("test", [
    "test_contract_property.py",
    "test_sources_property.py::test_any_address_opens_or_is_refused",
    "test_sources_property.py::test_any_bytes_as_a_picture_are_read_or_refused",
    "test_align_property.py::test_only_this_projects_errors_come_out",
    "test_align_property.py::test_what_alignable_lets_through_is_aligned",
    "test_faces_property.py",
])  # fmt: skip
def test_a_hundred_thousand_cases(test: str) -> None:
    """As the fast suite runs it, under hypothesis's profile "thorough"."""
    arguments = ["-q", "-p", "no:cacheprovider", "--timeout", "0", "--hypothesis-profile", "thorough"]
    command = [sys.executable, "-m", "pytest", *arguments, f"tests/property/{test}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-8_000:]
    assert " passed" in done.stdout
