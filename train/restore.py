"""Before all parts learn together the autoencoder learns alone to undo what a camera does to a face; then it is frozen.

Beside a cross entropy of 1 its squared error of some thousandths has no pull: learning on with the others at SGD's rate
it unlearns within a few epochs what it could, and under a weight that it would feel it diverges. Alone, minutes are
enough.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F
from tqdm import tqdm

from edge_runtime.scoring.datasets import FaceSet
from train.augment import Augmentation, apply_view, draw_view
from train.config import TrainConfig
from train.objective import corrupt_some
from train.parallel import Team
from train.precision import autocast

_PEAK_RATE = 3e-3
_CORRUPTED = 0.5  # the others teach it to leave a clean face as it is


def learn_to_restore(autoencoder: nn.Module, faces: FaceSet, epochs: int, config: TrainConfig, run: Team) -> float:
    """Teach ``autoencoder``, faces (n, 1, 48, 48) in [0, 1] to the same, for ``epochs``, at least one.

    AdamW, its rate falling as a cosine. Returns the last epoch's squared error as a share of the corrupted faces' own.
    Every process of a team does the same from the same seed.
    """
    autoencoder.to(config.device).requires_grad_(requires_grad=True).train()
    images, steps = torch.from_numpy(faces.images).to(config.device), len(faces) // config.batch
    generator = torch.Generator(config.device).manual_seed(config.seed)
    optimiser = torch.optim.AdamW(autoencoder.parameters(), lr=_PEAK_RATE, fused=True)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs * steps)
    left = before = torch.zeros((), device=config.device)
    for epoch in range(epochs):
        view = draw_view(len(faces), config.seed, epoch, Augmentation(erase_share=config.erase_share)).to(config.device)
        order = torch.randperm(len(faces), generator=generator, device=config.device)[: steps * config.batch]
        left = before = torch.zeros((), device=config.device)
        title = f"restoring {epoch + 1}/{epochs}"
        for index in tqdm(order.view(steps, -1), title, unit="step", leave=False, mininterval=1, disable=not run.leads):
            clean = apply_view(images[index], view[index])
            seen = corrupt_some(clean, _CORRUPTED, generator)
            with autocast(config):
                restored = autoencoder(seen)
            error = F.mse_loss(restored.float(), clean)
            optimiser.zero_grad()
            error.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            falling.step()
            left, before = left + error.detach(), before + F.mse_loss(seen, clean)
    autoencoder.requires_grad_(requires_grad=False).eval()
    return float(left / before)
