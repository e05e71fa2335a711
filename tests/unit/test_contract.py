"""The bundle contract: a valid model.json is read as it stands, and each single defect refuses it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edge_runtime.emotions.contract import CARD_NAME, Crop, ModelCard, read_card, read_files, write_card
from edge_runtime.emotions.labels import EMOTIONS
from edge_runtime.errors import BundleError

LEVELS = [
    "",
    "input",
    "input.crop",
    "artefacts.0",
    "artefacts.0.metrics.PublicTest",
    "artefacts.0.parity",
    "artefacts.0.selftest",
    "provenance",
]
"""Where the card has an object with agreed keys."""


def steps(where: str) -> list[str | int]:
    """Split a dotted place into keys and indices."""
    return [int(step) if step.isdigit() else step for step in where.split(".") if step]


def at(card: Any, where: str) -> Any:
    """Return what stands at a dotted place."""
    for step in steps(where):
        card = card[step]
    return card


def put(card: Any, where: str, value: Any) -> None:
    """Put ``value`` at a dotted place."""
    *parents, last = steps(where)
    for step in parents:
        card = card[step]
    card[last] = value


def written(folder: Path, card: Any) -> Path:
    """Write ``card`` as a model.json, as JSON where it is not text or bytes already; return the folder."""
    text = card if isinstance(card, str | bytes) else json.dumps(card)
    (folder / CARD_NAME).write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def refusal(folder: Path, card: Any) -> BundleError:
    """Read what must be refused; check that the message has all its parts, and return the error."""
    with pytest.raises(BundleError) as caught:
        read_card(written(folder, card))
    error = caught.value
    assert all((error.what, error.expected, error.got, error.next_step))
    assert CARD_NAME in error.what
    assert len(error.got) <= 200
    return error


def test_valid_card_is_read_as_it_stands(valid_card: str, tmp_path: Path) -> None:
    """Every part arrives typed: tuples for lists, contract classes for objects, nothing lost."""
    card = read_card(written(tmp_path, valid_card))
    assert isinstance(card, ModelCard)
    assert card.labels == EMOTIONS
    assert card.input.size_hw == (48, 48)
    assert card.input.crop == Crop(rule="five-point", margin=0.25)
    assert [str(artefact) for artefact in card.artefacts] == ["onnx int8", "openvino fp16"]
    assert list(card.artefacts[1].files) == ["toy-fp16.xml", "toy-fp16.bin"]
    assert card.artefacts[0].selftest.logits[1] == (1.5, 0.0, -2.25, 0.0, 0.5, 3.0, -1.0)
    assert card.provenance.omitted == {}


def test_card_survives_writing_and_reading(valid_card: str, tmp_path: Path) -> None:
    """What write_card writes is what read_card read, and the JSON differs by what may be missing alone."""
    card = read_card(written(tmp_path, valid_card))
    write_card(tmp_path, card)
    assert read_card(tmp_path) == card
    plain = json.loads((tmp_path / CARD_NAME).read_text(encoding="utf-8"))
    assert plain["provenance"].pop("omitted") == {}
    assert plain["provenance"].pop("weights_sha256") == ""
    assert [artefact.pop("elsewhere") for artefact in plain["artefacts"]] == [{}] * len(plain["artefacts"])
    assert plain == json.loads(valid_card)


def test_omitted_artefacts_are_kept(valid_card: str, tmp_path: Path) -> None:
    """What an export left out, and why, is read and written."""
    card = json.loads(valid_card)
    card["provenance"]["omitted"] = {"tflite int8": "top-1 agreement 0.91"}
    read = read_card(written(tmp_path, card))
    assert read.provenance.omitted == {"tflite int8": "top-1 agreement 0.91"}


def test_what_another_engine_version_said_is_kept(valid_card: str, tmp_path: Path) -> None:
    """An artefact's verdicts of other versions of its engine are read as they were written."""
    card = json.loads(valid_card)
    card["artefacts"][0]["elsewhere"] = {"engine 1.0": "refused: self-test"}
    assert read_card(written(tmp_path, card)).artefacts[0].elsewhere == {"engine 1.0": "refused: self-test"}


def test_whole_numbers_are_floats_where_floats_stand(valid_card: str, tmp_path: Path) -> None:
    """A temperature of 1 is written without a point by some tools, and is a number all the same."""
    card = json.loads(valid_card)
    card["temperature"] = 1
    assert repr(read_card(written(tmp_path, card)).temperature) == "1.0"


@pytest.mark.parametrize("where", LEVELS)
def test_unknown_key_is_refused(valid_card: str, tmp_path: Path, where: str) -> None:
    """A key that the contract does not know refuses the card, and is shown."""
    card = json.loads(valid_card)
    at(card, where)["colour"] = 1
    assert "colour" in refusal(tmp_path, card).got


@pytest.mark.parametrize("where", LEVELS)
def test_each_missing_key_is_refused(valid_card: str, tmp_path: Path, where: str) -> None:
    """No key of any object has a silent default."""
    keys = list(at(json.loads(valid_card), where))
    assert keys
    for key in keys:
        if where == "artefacts.0.metrics" and key == "PublicTest":
            continue
        card = json.loads(valid_card)
        del at(card, where)[key]
        assert key in refusal(tmp_path, card).expected


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ("schema", "1"),
        ("schema", True),
        ("schema", 1.0),
        ("name", None),
        ("labels", "angry"),
        ("labels.0", 0),
        ("input", []),
        ("input.size_hw", [48]),
        ("input.size_hw", [48, 48, 1]),
        ("input.size_hw.0", 48.0),
        ("input.mean", "0.5"),
        ("input.std", True),
        ("input.crop", "five-point"),
        ("input.crop.rule", 5),
        ("input.crop.rule", ["five-point"]),
        ("temperature", None),
        ("temperature", [1.3]),
        ("artefacts", {}),
        ("artefacts.0", None),
        ("artefacts.0.engine", {}),
        ("artefacts.0.precision", 8),
        ("artefacts.0.files", ["toy-int8.onnx"]),
        ("artefacts.0.files", {"toy-int8.onnx": None}),
        ("artefacts.0.size_bytes", 1.5),
        ("artefacts.0.metrics", []),
        ("artefacts.0.metrics.PublicTest", 0.7),
        ("artefacts.0.parity.n", "3589"),
        ("artefacts.0.selftest.seed", 7.0),
        ("artefacts.0.selftest.logits", [0.5]),
        ("artefacts.0.selftest.logits.0.0", "0.5"),
        ("provenance.tools", {"torch": 2}),
        ("provenance.omitted", []),
    ],
)
def test_wrong_type_is_refused(valid_card: str, tmp_path: Path, where: str, value: Any) -> None:
    """A value of another type refuses the card, and the message says where it stands."""
    card = json.loads(valid_card)
    put(card, where, value)
    last = next(step for step in reversed(steps(where)) if isinstance(step, str))
    assert last in refusal(tmp_path, card).what


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ("schema", 2),
        ("schema", 0),
        ("labels", list(reversed(EMOTIONS))),
        ("labels", list(EMOTIONS[:6])),
        ("labels", [*EMOTIONS, "contempt"]),
        ("input.size_hw", [48, 64]),
        ("input.channels", 3),
        ("input.std", 0.0),
        ("input.crop.margin", -0.1),
        ("input.crop.margin", 1.1),
        ("input.crop.rule", "two-point"),
        ("temperature", 0),
        ("temperature", 1e-50),
        ("temperature", -1.3),
        ("artefacts", []),
        ("artefacts.0.engine", "torch"),
        ("artefacts.0.precision", "int4"),
        ("artefacts.0.layout", "CHWN"),
        ("artefacts.0.files", {}),
        ("artefacts.0.files", {"a.onnx": "0" * 64, "b.onnx": "0" * 64}),
        ("artefacts.1.files", {"toy-fp16.xml": "0" * 64}),
        ("artefacts.0.files", {"a.onnx": "0" * 63}),
        ("artefacts.0.files", {"a.onnx": "A" * 64}),
        ("artefacts.0.files", {"a.onnx": "0" * 64 + "\n"}),
        ("artefacts.0.files", {"a.onnx": ""}),
        ("artefacts.0.selftest.n", 3),
        ("artefacts.0.selftest", {"seed": 7, "n": 0, "logits": [], "tolerance": 0.05}),
        ("artefacts.0.selftest.logits.1", [0.0] * 6),
        ("artefacts.0.selftest.logits.1", [0.0] * 8),
        ("artefacts.0.selftest.tolerance", 0),
        ("artefacts.0.selftest.seed", -1),
        ("artefacts.0.selftest.seed", 2**32),
    ],
)
def test_impossible_value_is_refused(valid_card: str, tmp_path: Path, where: str, value: Any) -> None:
    """A value of the right type that cannot be right refuses the card."""
    card = json.loads(valid_card)
    put(card, where, value)
    refusal(tmp_path, card)


@pytest.mark.parametrize(
    "name", ["../x", "a/b", "", ".", "..", "/etc/passwd", "a\\b", "a\0b", ".hidden", "a b", "a\n", "é"]
)
def test_file_name_that_is_not_plain_is_refused(valid_card: str, tmp_path: Path, name: str) -> None:
    """A card cannot point out of its own folder, nor at anything but a plain name."""
    card = json.loads(valid_card)
    card["artefacts"][0]["files"] = {name: "0" * 64}
    assert "file name" in refusal(tmp_path, card).what


def test_artefact_twice_is_refused(valid_card: str, tmp_path: Path) -> None:
    """Each engine and precision stands once; which of two would be taken is never guessed."""
    card = json.loads(valid_card)
    card["artefacts"].append(card["artefacts"][0])
    assert "artefacts" in refusal(tmp_path, card).what


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400", "1" + "0" * 400, "1" * 5000])
@pytest.mark.parametrize("where", ["temperature", "input.mean", "artefacts.0.selftest.logits.0.3"])
def test_number_that_is_not_finite_is_refused(valid_card: str, tmp_path: Path, where: str, number: str) -> None:
    """NaN, infinity and numbers beyond a float, all of which Python's JSON reads or chokes on, are refused."""
    card = json.loads(valid_card)
    put(card, where, "@")
    refusal(tmp_path, json.dumps(card).replace('"@"', number))


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00", b"schema: 1", b"[]", b"null", b"1", b'"text"'])
def test_what_is_no_json_object_is_refused(tmp_path: Path, content: bytes) -> None:
    """A file that is no JSON, or JSON of another kind, is refused."""
    refusal(tmp_path, content)


@pytest.mark.parametrize("where", ["", "temperature", "artefacts.0.selftest.logits.0"])
def test_nested_json_is_refused_at_any_depth(valid_card: str, tmp_path: Path, where: str) -> None:
    """Nesting is refused when shallow, when too deep to be read, and when it can just be read but not shown."""
    card = json.loads(valid_card)
    if where:
        put(card, where, "@")
    text = json.dumps(card) if where else '"@"'
    for depth in (2, 50, *range(800, 1000, 2), 100_000):
        refusal(tmp_path, text.replace('"@"', "[" * depth + "]" * depth))


def test_missing_card_is_refused(tmp_path: Path) -> None:
    """A folder without model.json, and no folder at all, say what to name."""
    for folder in (tmp_path, tmp_path / "nowhere", tmp_path / ("a" * 5000)):
        with pytest.raises(BundleError, match=r"a folder with a model\.json.*--bundle"):
            read_card(folder)


@pytest.fixture
def bundle(valid_card: str, tmp_path: Path) -> Path:
    """Write the valid card and the files that it names."""
    for name, content in (
        ("toy-int8.onnx", b"an ONNX network"),
        ("toy-fp16.xml", b"<net/>"),
        ("toy-fp16.bin", b"weights"),
    ):
        (tmp_path / name).write_bytes(content)
    return written(tmp_path, valid_card)


def test_files_come_with_the_main_one_first(bundle: Path) -> None:
    """The bytes are the files', in the order in which the card names them."""
    card = read_card(bundle)
    assert read_files(bundle, card.artefacts[0]) == [b"an ONNX network"]
    assert read_files(bundle, card.artefacts[1]) == [b"<net/>", b"weights"]


@pytest.mark.parametrize("name", ["toy-fp16.xml", "toy-fp16.bin"])
@pytest.mark.parametrize("index", [0, -1])
def test_one_changed_byte_is_refused(bundle: Path, name: str, index: int) -> None:
    """A single changed bit, in the first or the last byte of either file, is refused by its sha256."""
    content = bytearray((bundle / name).read_bytes())
    content[index] ^= 1
    (bundle / name).write_bytes(content)
    with pytest.raises(BundleError, match=f"sha256 of .*{name}"):
        read_files(bundle, read_card(bundle).artefacts[1])


def test_truncated_file_is_refused(bundle: Path) -> None:
    """A file that lost its end is refused by its sha256."""
    (bundle / "toy-int8.onnx").write_bytes(b"an ONNX net")
    with pytest.raises(BundleError, match="sha256"):
        read_files(bundle, read_card(bundle).artefacts[0])


def test_missing_file_is_refused(bundle: Path) -> None:
    """A file that the card names and the folder lacks is named."""
    (bundle / "toy-fp16.bin").unlink()
    with pytest.raises(BundleError, match=r"toy-fp16\.bin: expected a file, got No such file"):
        read_files(bundle, read_card(bundle).artefacts[1])
