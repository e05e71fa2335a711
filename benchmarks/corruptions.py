"""A fixed, seeded corruption suite for 48×48 grey faces, in the manner of ImageNet-C (Hendrycks & Dietterich 2019).

Ten kinds, five severities. Strengths are for this size: at severity 1 a person hardly notices, at 5 one still reads
most faces. What a kind draws depends on the seed, the kind and the severity alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

Faces = NDArray[np.uint8]
Reals = NDArray[np.floating[Any]]
Random = np.random.Generator

SEVERITIES = (1, 2, 3, 4, 5)


def corrupt(faces: Faces, kind: str, severity: int, seed: int = 0) -> Faces:
    """Return faces uint8 (n, 48, 48) corrupted by one of ``KINDS`` at a severity of 1 to 5."""
    function, strengths = KINDS[kind]
    random = np.random.default_rng([seed, list(KINDS).index(kind), severity])
    changed = function(faces.astype(np.float32) / 255, strengths[severity - 1], random)
    return np.rint(np.clip(changed, 0, 1) * 255).astype(np.uint8)


def _gaussian_noise(faces: Reals, deviation: float, random: Random) -> Reals:
    return faces + deviation * random.standard_normal(faces.shape, np.float32)


def _shot_noise(faces: Reals, photons: float, random: Random) -> Reals:
    """White is ``photons`` counts."""
    return (random.poisson(faces * photons) / photons).astype(np.float32)


def _impulse_noise(faces: Reals, share: float, random: Random) -> Reals:
    """A share of the pixels is black or white."""
    draw = random.random(faces.shape, np.float32)
    return np.where(draw < share, (draw < share / 2).astype(np.float32), faces)


def _defocus_blur(faces: Reals, radius: float, _random: Random) -> Reals:
    """A disk of ``radius`` pixels, its rim drawn at eight times the resolution."""
    half = math.ceil(radius)
    fine = (np.arange((2 * half + 1) * 8) + 0.5) / 8 - half - 0.5
    disk = (fine[:, None] ** 2 + fine[None, :] ** 2 <= radius**2).astype(np.float32)
    kernel = disk.reshape(2 * half + 1, 8, 2 * half + 1, 8).mean(axis=(1, 3))
    return _filtered(faces, [kernel / kernel.sum()] * len(faces))


def _motion_blur(faces: Reals, length: float, random: Random) -> Reals:
    """A line of ``length`` pixels, in a direction of each face's own."""
    half = math.ceil(length / 2)
    place = np.linspace(-length / 2, length / 2, 41)
    kernels = []
    for angle in random.uniform(0, math.pi, len(faces)):
        kernel = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
        x, y = place * math.cos(angle) + half, place * math.sin(angle) + half
        left, top = np.minimum(x.astype(int), 2 * half - 1), np.minimum(y.astype(int), 2 * half - 1)
        for dx, dy in ((0, 0), (0, 1), (1, 0), (1, 1)):  # bilinear
            share = (1 - np.abs(x - left - dx)) * (1 - np.abs(y - top - dy))
            np.add.at(kernel, (top + dy, left + dx), share.astype(np.float32))
        kernels.append(kernel / kernel.sum())
    return _filtered(faces, kernels)


def _low_light(faces: Reals, exposure: float, random: Random) -> Reals:
    """Less light and the sensor's read noise."""
    return faces * exposure + 0.01 * random.standard_normal(faces.shape, np.float32)


def _contrast(faces: Reals, share: float, _random: Random) -> Reals:
    mean = faces.mean(axis=(1, 2), keepdims=True)
    flat: Reals = (faces - mean) * share + mean
    return flat


def _illumination(faces: Reals, swing: float, random: Random) -> Reals:
    """Light falls from 1 + swing on one side to 1 - swing on the other, in a direction of each face's own."""
    angle = random.uniform(0, 2 * math.pi, (len(faces), 1, 1)).astype(np.float32)
    place = np.linspace(-1, 1, faces.shape[1], dtype=np.float32)
    slope = place[None, None, :] * np.cos(angle) + place[None, :, None] * np.sin(angle)
    lit: Reals = faces * np.maximum(1 + swing * slope, 0)
    return lit


def _jpeg(faces: Reals, quality: float, _random: Random) -> Reals:
    import cv2

    pixels = np.rint(faces * 255).astype(np.uint8)
    for face in pixels:
        _, encoded = cv2.imencode(".jpg", face, [cv2.IMWRITE_JPEG_QUALITY, int(quality)])
        face[:] = cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE)
    return pixels.astype(np.float32) / 255


def _occlusion(faces: Reals, side: float, random: Random) -> Reals:
    """A black square of that share of the side, anywhere."""
    size = faces.shape[1]
    width = round(side * size)
    covered = faces.copy()
    for face, (x, y) in zip(covered, random.integers(0, size - width + 1, (len(faces), 2)), strict=True):
        face[y : y + width, x : x + width] = 0
    return covered


def _filtered(faces: Reals, kernels: list[Reals]) -> Reals:
    import cv2

    pairs = zip(faces, kernels, strict=True)
    return np.stack([cv2.filter2D(face, -1, kernel, borderType=cv2.BORDER_REPLICATE) for face, kernel in pairs])


KINDS: MappingProxyType[str, tuple[Callable[[Reals, float, Random], Reals], tuple[float, ...]]] = MappingProxyType(
    {
        "gaussian noise": (_gaussian_noise, (0.04, 0.06, 0.08, 0.12, 0.18)),
        "shot noise": (_shot_noise, (200, 100, 50, 25, 12)),
        "impulse noise": (_impulse_noise, (0.01, 0.02, 0.04, 0.08, 0.15)),
        "defocus blur": (_defocus_blur, (1.0, 1.4, 1.8, 2.4, 3.0)),
        "motion blur": (_motion_blur, (3, 5, 7, 9, 12)),
        "low light": (_low_light, (0.6, 0.4, 0.25, 0.15, 0.1)),
        "contrast": (_contrast, (0.6, 0.45, 0.3, 0.2, 0.12)),
        "illumination": (_illumination, (0.3, 0.5, 0.7, 0.85, 1.0)),
        "jpeg": (_jpeg, (40, 25, 18, 12, 7)),
        "occlusion": (_occlusion, (0.2, 0.3, 0.4, 0.5, 0.6)),
    }
)
"""Kind -> its function and the strength of each severity."""
