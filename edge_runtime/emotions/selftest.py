"""The self-test: a few seeded pictures whose logits are known, run whenever an artefact is loaded.

Engines do, silently, compute something else on some devices and versions; what does is refused, never used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edge_runtime.emotions.labels import FACE_SIZE
from edge_runtime.emotions.normalise import normalise
from edge_runtime.errors import BundleError

if TYPE_CHECKING:
    from edge_runtime.emotions.backends.base import Backend
    from edge_runtime.emotions.contract import Artefact, Input


_SEVERAL = 9
"""An engine computes one face, and eight at once, by kernels of their own: nine or more, and one, reach all of them."""


def faces(seed: int, n: int) -> NDArray[np.uint8]:
    """Return ``n`` seeded pictures uint8 (n, 48, 48): light and shade in patches, and grain, excite every layer."""
    # RandomState, not Generator: numpy promises that its stream never changes
    random = np.random.RandomState(seed)
    coarse = random.randint(24, 232, (n, 6, 6))
    grain = random.randint(-24, 24, (n, FACE_SIZE, FACE_SIZE))
    return (coarse.repeat(FACE_SIZE // 6, 1).repeat(FACE_SIZE // 6, 2) + grain).astype(np.uint8)


def run(backend: Backend, reads: Input, seed: int, n: int) -> NDArray[np.float32]:
    """Logits (n, 7) that ``backend`` gives for the seeded pictures."""
    return backend.infer(normalise(faces(seed, n), reads.mean, reads.std))


def check(backend: Backend, artefact: Artefact, reads: Input) -> None:
    """Raise ``BundleError`` when ``backend`` does not give the artefact's expected logits."""
    test = artefact.selftest
    batch, expected = normalise(faces(test.seed, test.n), reads.mean, reads.std), np.asarray(test.logits, np.float32)
    difference = np.float32(0)
    for index in (np.arange(1), np.arange(max(_SEVERAL, test.n)) % test.n):
        logits = backend.infer(batch[index])
        fits = logits.shape == (len(index), *expected.shape[1:])
        difference = np.maximum(difference, np.abs(logits - expected[index]).max() if fits else np.inf)
    if not difference <= test.tolerance:  # a NaN must not pass
        raise BundleError(
            f"self-test of {artefact} on {backend.name} {backend.version}",
            expected=f"logits within {test.tolerance:g} of the model card's",
            got=f"a difference of {difference:.3g}",
            next_step="choose another --engine or --precision; this one computes something else here",
        )
