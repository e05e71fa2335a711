"""What the denoising autoencoder learns to undo: sensor noise, JPEG compression, illumination gradients, blur."""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

# Luminance quantisation table of the JPEG standard (ITU-T T.81, annex K.1), at quality 50.
_JPEG_LUMINANCE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)  # fmt: skip


@cache  # a step that is recorded may not copy from the host
def _luminance_steps(device: torch.device) -> Tensor:
    return torch.tensor(_JPEG_LUMINANCE, device=device, dtype=torch.float32)


def sensor_noise(faces: Tensor, strength: Tensor, generator: torch.Generator) -> Tensor:
    """Add Gaussian noise of standard deviation ``strength`` (n, 1, 1, 1), in units of the full range."""
    return faces + strength * torch.randn(faces.shape, generator=generator, device=faces.device)


def jpeg(faces: Tensor, coarseness: Tensor) -> Tensor:
    """Quantise the 8×8 cosine transform of each block, as JPEG does.

    ``coarseness`` (n, 1, 1, 1) of 1 is quality 50, 5 is quality 10.
    """
    n, _, height, width = faces.shape
    k = torch.arange(8, device=faces.device, dtype=faces.dtype)
    basis = torch.cos(math.pi / 8 * (k[None, :] + 0.5) * k[:, None]) / 2  # DCT-II, rows are frequencies
    basis[0] /= math.sqrt(2)
    blocks = faces.reshape(n, height // 8, 8, width // 8, 8).transpose(2, 3) * 255 - 128  # (n, rows, columns, 8, 8)
    step = _luminance_steps(faces.device) * coarseness.unsqueeze(-1)
    spectrum = torch.round(basis @ blocks @ basis.T / step) * step
    restored = (basis.T @ spectrum @ basis + 128) / 255
    return restored.transpose(2, 3).reshape(faces.shape)


def illumination(faces: Tensor, strength: Tensor, generator: torch.Generator) -> Tensor:
    """Light from one side, a shadow: multiply by a smooth random field of mean 1, swing ± ``strength`` (n, 1, 1, 1)."""
    coarse = torch.rand((len(faces), 1, 3, 3), generator=generator, device=faces.device) * 2 - 1
    field = F.interpolate(coarse, size=list(faces.shape[2:]), mode="bicubic", align_corners=True)
    return faces * (1 + strength * field)


def blur(faces: Tensor, sigma: Tensor) -> Tensor:
    """Blur each face by a Gaussian of its own, of ``sigma`` (n, 2) pixels along x and y: out of focus, or moved."""
    n, _, height, width = faces.shape
    offset = torch.arange(-3, 4, device=faces.device, dtype=faces.dtype)
    profile = torch.softmax(-((offset / sigma.clamp(min=0.1).unsqueeze(-1)) ** 2) / 2, dim=-1)  # (n, 2, 7)
    kernel = (profile[:, 1, :, None] * profile[:, 0, None, :]).unsqueeze(1)  # (n, 1, 7, 7)
    padded = F.pad(faces, (3, 3, 3, 3), mode="replicate")
    return F.conv2d(padded.transpose(0, 1), kernel, groups=n).view(n, 1, height, width)


def corrupt(faces: Tensor, generator: torch.Generator) -> Tensor:
    """Corrupt faces float32 (n, 1, 48, 48) in [0, 1], each in random strength, in the order of a camera.

    Light on every face, the lens on every second one, the sensor on all, the compressed file on every second one.
    """

    def uniform(low: float, high: float, width: int = 1) -> Tensor:
        draws = torch.rand((len(faces), width, 1, 1), generator=generator, device=faces.device)
        return low + (high - low) * draws

    lit = illumination(faces, uniform(0.0, 0.6), generator)
    blurred = torch.where(uniform(0, 1) < 0.5, blur(lit, uniform(0.0, 1.5, 2).flatten(1)), lit)  # noqa: PLR2004
    noisy = sensor_noise(blurred.clamp(0, 1), uniform(0.0, 0.1), generator).clamp(0, 1)
    return torch.where(uniform(0, 1) < 0.5, jpeg(noisy, uniform(0.5, 5.0)), noisy).clamp(0, 1)  # noqa: PLR2004
