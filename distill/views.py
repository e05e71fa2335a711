"""What the teachers say of seeded augmented views: computed once, kept as a table, read by every epoch.

The student sees the very view that its teachers saw (Beyer et al. 2022, "consistent teaching"), its middle (--crop), or
the mirror image of either.
"""

from __future__ import annotations

import hashlib
import tokenize
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from distill.config import DistillConfig
from distill.networks import take_in
from edge_runtime.emotions.labels import EMOTIONS
from edge_runtime.emotions.normalise import MEAN, STD
from edge_runtime.errors import DataError
from edge_runtime.files import make_folder, whole
from edge_runtime.scoring.datasets import FaceSet
from train.augment import Augmentation, apply_view, draw_view
from train.precision import autocast


@torch.inference_mode()
def teacher_targets(teachers: Sequence[nn.Module], faces: FaceSet, config: DistillConfig) -> Tensor:
    """Probabilities float16 (views, n, 7), softened by ``config.temperature``.

    They are averaged over the teachers, and over each view and its mirror image: that makes one teacher 1.5 points
    better on PublicTest. They are kept in ``config.targets``, or ``config.out``, in a file whose name all that decides
    them decides: weights, faces, views, seed, temperature, augmentation. The precision that they were computed in is
    not told apart, so that fine-tuning in fp32 reads what a run in bf16 has left. It is written after each view, those
    that are not labelled yet as no numbers: labelling that was interrupted goes on. Raises ``DataError`` when that file
    is damaged.
    """
    cache = (config.targets or config.out) / f"targets-{_key(teachers, faces, config)[:16]}.npy"
    shape = (config.views, len(faces), len(EMOTIONS))
    targets = _read(cache, shape) if cache.exists() else torch.full(shape, torch.nan, dtype=torch.float16)
    todo = [view for view in range(config.views) if targets[view].isnan().any()]
    if not todo:
        return targets
    make_folder(cache.parent)  # minutes before the table is written
    changes = Augmentation(erase_share=config.erase_share)
    for teacher in teachers:
        teacher.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    images = torch.from_numpy(faces.images).to(config.device)
    total = len(todo) * len(faces)
    with tqdm(total=total, desc="teachers", unit="face", unit_scale=True, mininterval=1) as progress:
        for view in todo:
            parameters = draw_view(len(faces), config.seed, view, changes).to(config.device)
            for start in range(0, len(faces), 512):
                index = slice(start, start + 512)
                batch = (apply_view(images[index], parameters[index]) - MEAN) / STD
                with autocast(config):
                    logits = torch.stack(
                        [teacher(side).float() for teacher in teachers for side in (batch, batch.flip(-1))]
                    )
                targets[view, index] = torch.softmax(logits / config.temperature, dim=-1).mean(0).half().cpu()
                progress.update(len(batch))
            with whole(cache) as partial, partial.open("wb") as file:
                np.save(file, targets.numpy())
    return targets


def unsmoothed(targets: Tensor, smoothing: float, temperature: float) -> Tensor:
    """Take back the label smoothing from the teachers' softened ``targets`` float16 (views, n, 7); float16.

    Teachers who learnt that ``smoothing`` of every label is spread over all emotions (Szegedy et al. 2016) say so of
    every face: their surest word is never sure, and a student repeats it (Müller, Kornblith & Hinton 2019). What is
    left is their probabilities at temperature 1 less that share, of which no emotion has less than a thousandth.
    """
    said = torch.softmax(targets.float().log() * temperature, dim=-1)
    left = (said - smoothing / len(EMOTIONS)).clamp(min=1e-3)
    return torch.softmax(left.log() / temperature, dim=-1).half()


def _read(cache: Path, shape: tuple[int, ...]) -> Tensor:
    expected = f"{torch.float16} {shape}"
    try:
        targets = torch.from_numpy(np.load(cache))
        got = f"{targets.dtype} {tuple(targets.shape)}"
    except (OSError, ValueError, EOFError, TypeError, tokenize.TokenError, zipfile.BadZipFile) as error:
        got = str(error)
    if got != expected:
        step = "delete it: it is computed anew"
        raise DataError(f"the teachers' table {cache}", expected=expected, got=got, next_step=step)
    return targets


def _key(teachers: Sequence[nn.Module], faces: FaceSet, config: DistillConfig) -> str:
    changes = Augmentation(erase_share=config.erase_share)
    decisive = f"{faces.sha256} {config.views} {config.temperature} {config.seed} {changes}"
    digest = hashlib.sha256(decisive.encode())
    for teacher in teachers:
        take_in(digest, teacher)
    return digest.hexdigest()
