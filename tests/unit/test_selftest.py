"""The self-test: its pictures never change, and an engine that computes something else is refused."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_runtime.emotions import selftest
from edge_runtime.emotions.contract import CARD_NAME, ModelCard, read_card
from edge_runtime.emotions.normalise import MEAN, STD, normalise
from edge_runtime.errors import BundleError


class Fixed:
    """A backend that answers what it was given, over again where it is asked for more, and keeps what it was asked."""

    name = "double"
    version = "1"

    def __init__(self, logits: NDArray[np.float32]) -> None:
        """Keep the answer."""
        self.logits, self.batches = logits, list[NDArray[np.float32]]()

    def infer(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the next rows of the answer."""
        first = sum(map(len, self.batches))
        self.batches.append(batch)
        return self.logits[np.arange(first, first + len(batch)) % len(self.logits)]

    def close(self) -> None:
        """Nothing is held."""


@pytest.fixture
def card(valid_card: str, tmp_path: Path) -> ModelCard:
    """Read the valid card."""
    (tmp_path / CARD_NAME).write_text(valid_card, encoding="utf-8")
    return read_card(tmp_path)


def expected(card: ModelCard) -> NDArray[np.float32]:
    """Return the logits that the card's first artefact expects."""
    return np.array(card.artefacts[0].selftest.logits, np.float32)


def test_faces_are_pinned() -> None:
    """The faces of a seed are these bytes on every machine and numpy: the logits in shipped cards rest on them."""
    faces = selftest.faces(7, 4)
    assert (faces.shape, faces.dtype) == ((4, 48, 48), np.uint8)
    digest = hashlib.sha256(faces.tobytes()).hexdigest()
    assert digest == "2382054d84581bbd75ca0ce20f82671887f75443def583cf022b21b042c2db80"


def test_faces_depend_on_the_seed_alone() -> None:
    """The same seed gives the same faces on every call, whatever else was drawn; another seed gives others."""
    first = selftest.faces(3, 5)
    np.random.default_rng().random(10)
    np.testing.assert_array_equal(selftest.faces(3, 5), first)
    assert (selftest.faces(4, 5) != first).any()


def test_the_expected_logits_pass(card: ModelCard) -> None:
    """The card's own logits pass, and those a little less than the tolerance away."""
    artefact = card.artefacts[0]
    for offset in (0.0, 0.049, -0.049):
        selftest.check(Fixed(expected(card) + np.float32(offset)), artefact, card.input)


def test_the_backend_reads_the_drawn_faces_normalised(card: ModelCard) -> None:
    """The backend is asked with the faces of the card's seed, normalised by the card's mean and deviation."""
    backend = Fixed(expected(card))
    selftest.check(backend, card.artefacts[0], card.input)
    first, second, several = backend.batches
    pictures = normalise(selftest.faces(7, 2), 0.5, 0.25)
    np.testing.assert_array_equal(first, pictures[:1])
    np.testing.assert_array_equal(second, pictures[1:])
    np.testing.assert_array_equal(several, pictures[[0, 1, 0, 1, 0, 1, 0, 1, 0]])


@pytest.mark.parametrize("wrong_where", [{1}, {9}])
def test_one_face_and_several_are_both_looked_at(card: ModelCard, wrong_where: set[int]) -> None:
    """An engine whose kernels for one face, or for eight, compute something else is refused."""

    class Uneven(Fixed):
        def infer(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
            return super().infer(batch) + np.float32(len(batch) in wrong_where)

    with pytest.raises(BundleError, match="self-test"):
        selftest.check(Uneven(expected(card)), card.artefacts[0], card.input)


@pytest.mark.parametrize("place", [(0, 0), (0, 6), (1, 3)])
@pytest.mark.parametrize("wrong", [0.06, -0.06, np.nan, np.inf])
def test_a_single_wrong_logit_is_refused(card: ModelCard, place: tuple[int, int], wrong: float) -> None:
    """One logit beyond the tolerance, or one that is no number, refuses the artefact and names it and the engine."""
    logits = expected(card)
    logits[place] += np.float32(wrong)
    with pytest.raises(BundleError, match=r"self-test of onnx int8 on double 1: expected logits within 0\.05"):
        selftest.check(Fixed(logits), card.artefacts[0], card.input)


@pytest.mark.parametrize("shape", [(2, 8), (2, 1), (2, 7, 1)])
def test_logits_of_another_shape_are_refused(card: ModelCard, shape: tuple[int, ...]) -> None:
    """A network with other outputs is refused, even where numpy would broadcast them."""
    with pytest.raises(BundleError, match="self-test"):
        selftest.check(Fixed(np.zeros(shape, np.float32)), card.artefacts[0], card.input)


def test_normalise_is_its_formula() -> None:
    """A batch is (pixel / 255 - mean) / std in float32 with a channel axis, and the faces stay as they were."""
    faces = selftest.faces(1, 3)
    before = faces.copy()
    batch = normalise(faces)
    assert (batch.shape, batch.dtype) == ((3, 1, 48, 48), np.float32)
    np.testing.assert_allclose(batch[:, 0], (faces / 255 - MEAN) / STD, atol=1e-6)
    np.testing.assert_array_equal(faces, before)
