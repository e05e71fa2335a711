"""Augmented views of faces, each a pure function of (seed, view number, face index).

The paper's set (rotation by up to 10 degrees, horizontal mirror, zoom, small shifts of width and height), light, and a
rectangle erased (Zhong et al. 2020). Because a view depends on nothing else, an interrupted run resumes exactly, and a
teacher's logits of a view can be stored for a student.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """Ranges of the random changes; each is drawn uniformly from ± its value."""

    rotation_deg: float = 12.0
    shift: float = 0.12
    """Share of the picture's side."""
    zoom: float = 0.15
    """0.1 means a scale between 0.9 and 1.1."""
    brightness: float = 0.15
    contrast: float = 0.25
    erase_share: float = 0.5
    """Share of the faces that lose a rectangle of 0.1 to 0.4 of the side each way: a hand, hair, a mask."""


def draw_view(n: int, seed: int, view: int, augmentation: Augmentation) -> Tensor:
    """Draw the parameters of one view of ``n`` faces: float32 (n, 12).

    Columns: a 2×3 affine matrix from output to input coordinates in [-1, 1] (``affine_grid``), gain and offset of the
    grey value, then centre (x, y) and half sides of the erased rectangle in the same coordinates (half sides 0: none).
    """
    generator = torch.Generator().manual_seed(seed * 1_000_003 + view)
    u = torch.rand(n, 12, generator=generator) * 2 - 1
    angle = u[:, 0] * math.radians(augmentation.rotation_deg)
    scale = 1 / (1 + u[:, 1] * augmentation.zoom)
    mirror = torch.where(u[:, 2] < 0, -1.0, 1.0)
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    # affine_grid counts in half sides, so a shift by a share s of the side is 2·s there
    x_row = [mirror * cos, -sin, 2 * augmentation.shift * u[:, 3]]
    y_row = [mirror * sin, cos, 2 * augmentation.shift * u[:, 4]]
    light = [1 + augmentation.contrast * u[:, 5], augmentation.brightness * u[:, 6]]
    erased = (u[:, 7] + 1) / 2 < augmentation.erase_share
    half_sides = (0.25 + 0.15 * u[:, 10:12]) * erased.unsqueeze(1)
    return torch.cat([torch.stack([*x_row, *y_row, *light], dim=1), u[:, 8:10], half_sides], dim=1)


def apply_view(images: Tensor, parameters: Tensor, side: int | None = None) -> Tensor:
    """Apply drawn parameters (n, 12) to images uint8 (n, 48, 48); return float32 (n, 1, side, side) in [0, 1].

    A ``side`` below 48 cuts out the view's middle: its pixels keep their size.
    """
    pixels, side = images.unsqueeze(1).float() / 255, side or images.shape[-1]
    matrix = parameters[:, :6].view(-1, 2, 3)
    part = torch.cat([matrix[:, :, :2] * (side / images.shape[-1]), matrix[:, :, 2:]], dim=2)
    grid = F.affine_grid(part, [len(images), 1, side, side], align_corners=False)
    # border padding repeats the outermost pixel: black corners would be a clue that no camera gives
    warped = F.grid_sample(pixels, grid, mode="bilinear", padding_mode="border", align_corners=False)
    gain, offset = parameters[:, 6].view(-1, 1, 1, 1), parameters[:, 7].view(-1, 1, 1, 1)
    lit = ((warped - 0.5) * gain + 0.5 + offset).clamp_(0, 1)
    border = (images.shape[-1] - side) // 2
    place = torch.linspace(-1, 1, images.shape[-1], device=images.device)[border : border + side]
    centre, half = parameters[:, 8:10, None], parameters[:, 10:12, None]
    x_inside, y_inside = ((place - centre).abs() < half).unbind(1)  # (n, 48) each
    return lit.masked_fill_((y_inside.unsqueeze(2) & x_inside.unsqueeze(1)).unsqueeze(1), 0.5)


def mixture(mixup_share: float, cutmix_share: float, side: int, generator: torch.Generator) -> Tensor:
    """Draw how a step's faces are mixed in pairs: each pixel's own share, float32 (side, side) in [0, 1].

    A face's label counts by the mean share. All ones: nothing is mixed. One value below 1 everywhere: mixup (Zhang et
    al. 2018). Ones with a rectangle of zeros: cutmix (Yun et al. 2019). Its own share is at least one half in either.
    """
    kind, own, x, y = torch.rand(4, generator=generator, device=generator.device)
    own = 0.5 + 0.5 * own
    patch = (side * (1 - own).sqrt()).round()
    place = torch.arange(side, device=generator.device)
    left, top = (x * (side - patch + 1)).floor(), (y * (side - patch + 1)).floor()
    inside = ((place >= top) & (place < top + patch)).unsqueeze(1) & (place >= left) & (place < left + patch)
    cut = 1 - inside.float() * (kind < mixup_share + cutmix_share)
    return torch.where(kind < mixup_share, own, cut)


def partners(n: int, generator: torch.Generator) -> Tensor:
    """Draw with which face each of ``n`` is mixed: a permutation, int64 (n,)."""
    return torch.rand(n, generator=generator, device=generator.device).argsort()
