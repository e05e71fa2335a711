"""Whatever stands in a model.json, reading it gives a model card or a BundleError."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.emotions.contract import CARD_NAME, ModelCard, read_card, write_card
from edge_runtime.errors import BundleError

NUMBERS = st.integers() | st.floats() | st.sampled_from([0, 1, 7, 48, -1, 2**31, 2**64, 10**400, 1e-320, 1e308])
WORDS = st.text(max_size=8) | st.sampled_from(["onnx", "int8", "NCHW", "five-point", "0" * 64, "../x", "\ud800"])
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)


def places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every node of a JSON value, the value itself first."""
    yield path
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


def replaced(node: Any, path: tuple[Any, ...], value: Any) -> Any:
    """Return ``node`` with ``value`` at ``path``."""
    if not path:
        return value
    node[path[0]] = replaced(node[path[0]], path[1:], value)
    return node


def check(folder: Path, content: bytes) -> None:
    """Read ``content`` as a model.json: it is refused, or it is a card that survives writing and reading."""
    (folder / CARD_NAME).write_bytes(content)
    try:
        card = read_card(folder)
    except BundleError:
        return
    assert isinstance(card, ModelCard)
    write_card(folder, card)
    assert read_card(folder) == card


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that all examples share."""
    return tmp_path_factory.mktemp("bundle")


@given(content=st.binary(max_size=200) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_read_or_refused(folder: Path, content: bytes) -> None:
    """Any bytes, and any JSON, end in a card or a BundleError."""
    check(folder, content)


@given(data=st.data(), value=VALUES)
def test_any_value_at_any_place_is_read_or_refused(
    folder: Path, valid_card: str, data: st.DataObject, value: Any
) -> None:
    """Any JSON value in place of any part of a valid card ends in a card or a BundleError."""
    card = json.loads(valid_card)
    path = data.draw(st.sampled_from(list(places(card))))
    check(folder, json.dumps(replaced(card, path, value)).encode())


@given(data=st.data())
def test_any_damage_to_the_text_is_read_or_refused(folder: Path, valid_card: str, data: st.DataObject) -> None:
    """A valid card with bytes overwritten and its end cut off ends in a card or a BundleError."""
    content = bytearray(valid_card.encode())
    for _ in range(data.draw(st.integers(0, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    check(folder, bytes(content[: data.draw(st.integers(0, len(content)))]))
