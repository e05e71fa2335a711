"""The self-test: a few drawn faces whose logits are known, run whenever an artefact is loaded.

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
"""An engine computes one face, and eight at once, by kernels of their own: nine or more, and each alone, reach them."""


def faces(seed: int, n: int) -> NDArray[np.uint8]:
    """Return ``n`` seeded drawings of faces uint8 (n, 48, 48), softened, with grain.

    Patches of light and shade would do to find a wrong kernel; one that is merely inexact shows on faces alone.
    """
    # RandomState, not Generator: numpy promises that its stream never changes
    random = np.random.RandomState(seed)
    y, x = np.mgrid[:FACE_SIZE, :FACE_SIZE]

    def draw(low: int, high: int) -> NDArray[np.int64]:
        return random.randint(low, high, (n, 1, 1), np.int64)

    skin = draw(120, 220)
    drawn = np.where(((x - 24) * 5) ** 2 + ((y - 24) * 4) ** 2 < 100**2, skin, draw(20, 120))
    eye_x, eye_y = draw(7, 11), draw(16, 21)
    for side in (x - 24 + eye_x, x - 24 - eye_x):
        eye = side**2 + (draw(1, 5) * (y - eye_y)) ** 2 < draw(8, 20)
        drawn = np.where(eye, draw(10, 70), drawn)
        brow = (abs(side) < draw(4, 7)) & (abs(y - eye_y + draw(4, 7) + side * draw(-3, 4) // 8) <= 1)
        drawn = np.where(brow, draw(10, 90), drawn)
    mouth = (abs(x - 24) < draw(5, 11)) & (abs(y - 37 - draw(-12, 13) * (x - 24) ** 2 // 500) < draw(1, 5))
    drawn = np.where(mouth, draw(10, 80), drawn)
    padded = np.pad(drawn, ((0, 0), (1, 1), (1, 1)), "edge")
    shifted = [padded[:, i : i + FACE_SIZE, j : j + FACE_SIZE] for i in range(3) for j in range(3)]
    soft = np.sum(shifted, axis=0) // 9
    grainy: NDArray[np.int64] = soft + random.randint(-8, 9, soft.shape, np.int64)
    return grainy.astype(np.uint8)


def run(backend: Backend, reads: Input, seed: int, n: int) -> NDArray[np.float32]:
    """Logits (n, 7) that ``backend`` gives for the drawn faces."""
    return backend.infer(normalise(faces(seed, n), reads.mean, reads.std))


def check(backend: Backend, artefact: Artefact, reads: Input) -> None:
    """Raise ``BundleError`` when ``backend`` does not give the artefact's expected logits."""
    test = artefact.selftest
    batch, expected = normalise(faces(test.seed, test.n), reads.mean, reads.std), np.asarray(test.logits, np.float32)
    difference = np.float32(0)
    for index in (*np.arange(test.n)[:, None], np.arange(max(_SEVERAL, test.n)) % test.n):
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
