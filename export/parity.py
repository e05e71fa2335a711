"""The parity gate: an artefact is what the torch model is, by its own engine, or it is not written."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_runtime.emotions.contract import Parity, Precision

TOP1_AGREEMENT: dict[Precision, float] = {"fp32": 0.999, "fp16": 0.995, "int8": 0.96}
"""Least share of faces on which artefact and torch model must name the same emotion.

The smaller a network, the more faces it is undecided about: int8 changes 2 % of the student's answers and 3 % of the
nano's, about as many for the better as for the worse. A wrong kernel or range changes tens of per cent.
"""

LARGEST_DIFFERENCE: dict[Precision, float] = {"fp32": 1e-3, "fp16": 0.05, "int8": 1.5}
"""Most that a logit may differ anywhere: for floats by rounding, for int8 by a fraction of the logits' spread (±4)."""

SELF_TEST_TOLERANCE: dict[Precision, float] = {"fp32": 1e-3, "fp16": 1e-3, "int8": 0.25}
"""Most that a logit may differ from device to device.

An int8 kernel may round activations the other way: tflite-runtime is 0.15 off ai-edge-litert. OpenVINO on Arm is 0.4
to 0.6 off x86, on real faces up to 1.8, and its confidences by a seventh.
"""


def compare(reference: NDArray[np.float32], logits: NDArray[np.float32]) -> Parity:
    """Compare an artefact's logits (n, 7) with the torch model's on the same faces."""
    agreement = float((reference.argmax(axis=1) == logits.argmax(axis=1)).mean())
    return Parity(max_abs_diff=float(np.abs(reference - logits).max()), top1_agreement=agreement, n=len(reference))


def objection(parity: Parity, precision: Precision) -> str | None:
    """Say why an artefact may not be written, or None when it may."""
    if not parity.top1_agreement >= TOP1_AGREEMENT[precision]:  # a NaN must not pass
        asked = f"at least {TOP1_AGREEMENT[precision]} is asked"
        return f"top-1 agreement with torch is {parity.top1_agreement:.4f}, {asked}"
    if not parity.max_abs_diff <= LARGEST_DIFFERENCE[precision]:
        return f"a logit is {parity.max_abs_diff:.3g} off torch's, at most {LARGEST_DIFFERENCE[precision]} is allowed"
    return None
