"""Scores of a torch model on labelled faces: each face once through it, no averaging over views."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from tqdm import tqdm

from edge_runtime.emotions.normalise import normalise


@torch.inference_mode()
def predict(model: nn.Module, faces: NDArray[np.uint8], title: str | None = None) -> NDArray[np.float32]:
    """Logits float32 (n, 7) of faces uint8 (n, 48, 48), in evaluation mode, on the model's device.

    In single precision, or in the caller's autocast: a run scores its epochs in its own arithmetic. ``title``: of a
    progress bar, for those who show none yet.
    """
    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    batch = 32 if device.type == "cpu" else 512  # a CPU's caches hold the maps of so many: twice as fast
    logits = [
        model(torch.from_numpy(normalise(faces[i : i + batch])).to(device)).float().cpu().numpy()
        for i in tqdm(range(0, len(faces), batch), title, leave=False, mininterval=1, disable=title is None)
    ]
    model.train(was_training)
    return np.concatenate(logits)
