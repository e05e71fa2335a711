"""Before all parts learn together the autoencoder learns alone to undo what a camera does to a face.

Beside a cross entropy of 1 its squared error of some thousandths has no pull: at SGD's rate it learns nothing there,
and under a weight that it would feel it diverges. Alone, on faces that are all corrupted, minutes are enough.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F
from tqdm import tqdm

from edge_runtime.scoring.datasets import FaceSet
from train.augment import Augmentation, apply_view, draw_view
from train.config import TrainConfig
from train.corruptions import corrupt
from train.parallel import Team

_PEAK_RATE = 3e-3


def learn_to_restore(autoencoder: nn.Module, faces: FaceSet, config: TrainConfig, run: Team) -> float:
    """Teach ``autoencoder``, faces (n, 1, 48, 48) in [0, 1] to the same, for ``config.restore_epochs`` epochs, at least one, by AdamW with a cosine.

    Returns the last epoch's mean squared error. Every process of a team does the same from the same seed.
    """
    autoencoder.to(config.device).train()
    images, steps = torch.from_numpy(faces.images).to(config.device), len(faces) // config.batch
    generator = torch.Generator(config.device).manual_seed(config.seed)
    optimiser = torch.optim.AdamW(autoencoder.parameters(), lr=_PEAK_RATE, fused=True)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, config.restore_epochs * steps)
    total = torch.zeros((), device=config.device)
    for epoch in range(config.restore_epochs):
        view = draw_view(len(faces), config.seed, epoch, Augmentation(erase_share=config.erase_share)).to(config.device)
        order = torch.randperm(len(faces), generator=generator, device=config.device)[: steps * config.batch]
        total.zero_()
        title = f"restoring {epoch + 1}/{config.restore_epochs}"
        for index in tqdm(order.view(steps, -1), title, unit="step", leave=False, mininterval=1, disable=not run.leads):
            clean = apply_view(images[index], view[index])
            seen = corrupt(clean, generator)
            with torch.autocast(config.device, torch.bfloat16, enabled=config.precision == "bf16"):
                restored = autoencoder(seen)
            error = F.mse_loss(restored.float(), clean)
            optimiser.zero_grad()
            error.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            falling.step()
            total += error.detach()
    return float(total) / steps
