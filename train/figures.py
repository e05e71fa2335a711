"""``fer-edge figures``: what the full model's autoencoder restores, and where its attention looks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor
from torch.nn import functional as F

from edge_runtime.emotions.labels import EMOTIONS
from edge_runtime.emotions.normalise import MEAN, STD
from edge_runtime.errors import DataError, UsageError
from edge_runtime.files import make_folder, whole, write_text
from edge_runtime.options import data_path, from_plain
from edge_runtime.scoring.datasets import FaceSet, read_faces
from train.checkpoint import load_shape, load_weights
from train.config import FiguresOptions, ModelConfig
from train.corruptions import blur, corrupt, illumination, jpeg, sensor_noise
from train.model import FullModel, SoftAttention

# Where FER2013's framing puts eyes and mouth, in pixels of 48, (left, top, right, bottom): around the mean landmarks
# that YuNet finds on its Training faces, eyes at (14.7, 17.8) and (32.3, 17.8), mouth corners at (16.4, 35.5) and
# (30.6, 35.5).
EYES = (7, 12, 40, 23)
MOUTH = (12, 30, 35, 42)

SHOWN = 8
"""Faces of a row."""


def figures(options: FiguresOptions) -> None:
    """Write both pictures, and the figures behind them, of PublicTest's faces."""
    config = from_plain(ModelConfig, load_shape(options.weights, "model"))
    if not (config.autoencoder and config.attention):
        got, step = f"{config}", "name the weights of a model that has both"
        raise UsageError("--weights", expected="a model with autoencoder and attention", got=got, next_step=step)
    model = FullModel(config)
    load_weights(options.weights, model)
    model.eval()
    public = read_faces(data_path(options.data), "PublicTest")
    if len(public) < SHOWN:
        expected, step = f"at least the {SHOWN} of a row", "name more faces with --data"
        raise DataError("too few PublicTest faces", expected=expected, got=str(len(public)), next_step=step)
    make_folder(options.out)
    found = {"restored": restored(model, public, options), "attention": attended(model, public, options.out)}
    write_text(options.out / "figures.json", json.dumps(found, indent=1) + "\n")
    print(f"written to {options.out}")


def disturbances(faces: Tensor, seed: int) -> dict[str, Tensor]:
    """Faces (n, 1, 48, 48) in [0, 1], disturbed by each of the four that the autoencoder undoes, and by all."""
    generator = torch.Generator().manual_seed(seed)

    def strength(value: float) -> Tensor:
        return torch.full((len(faces), 1, 1, 1), value)

    return {
        "noise": sensor_noise(faces, strength(0.08), generator).clamp(0, 1),
        "JPEG": jpeg(faces, strength(4.0)).clamp(0, 1),
        "light": illumination(faces, strength(0.6), generator).clamp(0, 1),
        "blur": blur(faces, torch.full((len(faces), 2), 1.2)),
        "all four": corrupt(faces, generator),
    }


@torch.inference_mode()
def restored(
    model: FullModel, public: FaceSet, options: FiguresOptions, sample: int = 700
) -> dict[str, dict[str, float]]:
    """Write ``restored.png``; return PSNR in dB, SSIM and the feature maps' movement, before and after restoring.

    The movement is the distance between the feature maps of the disturbed and of the clean face, as a share of the
    clean one's norm: what the network behind the autoencoder notices of the disturbance.
    """
    every = slice(None, None, max(1, len(public) // sample))  # a folder's faces are sorted by emotion
    clean = torch.from_numpy(public.images[every][:sample]).unsqueeze(1) / 255
    reference = model.backbone((clean - MEAN) / STD)
    found, rows = {}, {"clean": clean[:SHOWN]}
    for name, disturbed in disturbances(clean, options.seed).items():
        cleaned = model.autoencoder(disturbed)
        rows |= {name: disturbed[:SHOWN], f"{name}, restored": cleaned[:SHOWN]}
        found[name] = _compare(model, clean, reference, disturbed, "disturbed") | _compare(
            model, clean, reference, cleaned, "restored"
        )
        values = found[name]
        print(
            f"{name:<9} PSNR {values['psnr_disturbed']:.1f} → {values['psnr_restored']:.1f} dB, "
            f"SSIM {values['ssim_disturbed']:.3f} → {values['ssim_restored']:.3f}, "
            f"features moved {values['moved_disturbed']:.0%} → {values['moved_restored']:.0%}"
        )
    untouched = _compare(model, clean, reference, model.autoencoder(clean), "restored")
    found["clean"] = untouched
    figure = Figure(figsize=(8, 1.02 * len(rows)), layout="constrained")
    grid = figure.subplots(len(rows), SHOWN)
    for axes, (name, faces) in zip(grid, rows.items(), strict=True):
        for cell, face in zip(axes, faces[:, 0].numpy(), strict=True):
            cell.imshow(face, cmap="gray", vmin=0, vmax=1)
            cell.set(xticks=[], yticks=[])
        axes[0].set_ylabel(name, rotation=0, ha="right", va="center")
    with whole(options.out / "restored.png") as partial:
        figure.savefig(partial, dpi=110)
    return found


def _compare(model: FullModel, clean: Tensor, reference: Tensor, faces: Tensor, suffix: str) -> dict[str, float]:
    features = model.backbone((faces - MEAN) / STD)
    moved = (features - reference).flatten(1).norm(dim=1) / reference.flatten(1).norm(dim=1)
    pairs = list(zip(clean[:, 0].numpy(), faces[:, 0].numpy(), strict=True))
    ssim = [structural_similarity(a, b, data_range=1.0) for a, b in pairs]
    psnr = [peak_signal_noise_ratio(a, b, data_range=1.0) for a, b in pairs if (a != b).any()]
    return {
        f"psnr_{suffix}": float(np.mean(psnr)),
        f"ssim_{suffix}": float(np.mean(ssim)),
        f"moved_{suffix}": float(moved.mean()),
    }


@torch.inference_mode()
def attended(model: FullModel, public: FaceSet, out: Path) -> dict[str, dict[str, float]]:
    """Write ``attention.png``; return, for each emotion, the share of the attention on eyes and mouth.

    ``area`` is the share of the picture that these regions are: what attention spread evenly would give.
    """
    maps = attention_maps(model, public.images)
    inside = {"eyes": _region(EYES), "mouth": _region(MOUTH)}
    found = {"area": {name: float(mask.mean()) for name, mask in inside.items()}}
    for label, emotion in enumerate(EMOTIONS):
        chosen = maps[public.labels == label]
        if len(chosen):
            found[emotion] = {name: float((chosen * mask).sum(axis=(1, 2)).mean()) for name, mask in inside.items()}
    for name, shares in found.items():
        print(f"attention {name:<9} eyes {shares['eyes']:.1%} · mouth {shares['mouth']:.1%}")
    figure = Figure(figsize=(8, 7.4), layout="constrained")
    grid = figure.subplots(len(EMOTIONS), SHOWN)
    highest = float(np.percentile(maps, 99.5))
    for label, (emotion, axes) in enumerate(zip(EMOTIONS, grid, strict=True)):
        index = np.flatnonzero(public.labels == label)[:SHOWN]
        for cell in axes:
            cell.set_axis_off()
        for cell, i in zip(axes, index, strict=False):
            cell.imshow(public.images[i], cmap="gray", vmin=0, vmax=255)
            shown = cell.imshow(maps[i], cmap="inferno", alpha=0.5, vmin=0, vmax=highest)
        axes[0].set_axis_on()
        axes[0].set(xticks=[], yticks=[])
        axes[0].set_ylabel(emotion, rotation=0, ha="right", va="center")
    even = 1 / maps[0].size
    bar = figure.colorbar(shown, ax=grid, shrink=0.5, label="attention, evenly spread = 1")
    times = range(int(highest / even) + 1)
    bar.set_ticks([even * n for n in times], labels=[f"{n}" for n in times])
    with whole(out / "attention.png") as partial:
        figure.savefig(partial, dpi=110)
    return found


def attention_maps(model: FullModel, faces: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Where attention looks, float32 (n, 48, 48), each summing to 1: the weights of the positions, enlarged."""
    assert isinstance(model.attention, SoftAttention)  # noqa: S101  (the caller has checked the configuration)
    parts = []
    for start in range(0, len(faces), 256):
        batch = torch.from_numpy(faces[start : start + 256]).unsqueeze(1) / 255
        weights = model.attention.weights(model.states(model.restore((batch - MEAN) / STD)))
        side = round(weights.shape[1] ** 0.5)
        large = F.interpolate(weights.view(-1, 1, side, side), size=(48, 48), mode="bilinear")[:, 0]
        parts.append((large / large.sum(dim=(1, 2), keepdim=True)).numpy())
    return np.concatenate(parts)


def _region(box: tuple[int, int, int, int]) -> NDArray[np.float32]:
    mask = np.zeros((48, 48), np.float32)
    left, top, right, bottom = box
    mask[top:bottom, left:right] = 1
    return mask
