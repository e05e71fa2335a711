"""fer-edge inspect and check."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_runtime.cli import main
from edge_runtime.emotions.contract import read_card


def test_inspect_shows_every_artefact(toy_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each artefact has a line with its size and accuracy; the provenance is below."""
    assert main(["inspect", "--bundle", str(toy_bundle)]) == 0
    printed = capsys.readouterr().out
    card = read_card(toy_bundle)
    for artefact in card.artefacts:
        line = next(line for line in printed.splitlines() if line.startswith(f"  {artefact} "))
        assert f"{artefact.metrics['PublicTest'].accuracy:.2%}" in line
        assert line.endswith("yes")
    assert card.provenance.commit in printed
    assert card.provenance.licence in printed


def test_check_says_what_is_in_order(group_picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The shipped bundle, a detector and a picture of five people: a line each."""
    assert main(["check", "--source", str(group_picture), "--detector", "mtcnn"]) == 0
    printed = capsys.readouterr().out
    assert [line.split()[0] for line in printed.splitlines()] == ["bundle", "detector", "source", "board"]
    assert "5 faces" in printed
    assert "self-test" in printed


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--bundle", "nowhere"], 3),
        (["--source", "nowhere.mp4"], 5),
        (["--source", "synthetic:"], 5),
        (["--source", "0", "--camera-size", "wide"], 2),
        (["--precision", "fp16", "--bundle", "."], 3),
        (["--engine", "onnx", "--device", "GPU"], 2),
    ],
)
def test_check_ends_with_the_code_of_what_is_wrong(words: list[str], code: int) -> None:
    """As a run would end."""
    assert main(["check", "--detector", "mtcnn", *words]) == code
