"""Five landmarks to an upright 48×48 grey face, framed as FER2013 frames its faces: the one implementation of it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from edge_runtime.emotions.labels import FACE_SIZE
from edge_runtime.errors import UsageError
from edge_runtime.results import MAX_SIDE_PX

# Where the landmarks lie in a FER2013 face: x and y from the middle of the first pixel, in the order of LANDMARKS.
# Measured with YuNet on FER2013 Training: 3,000 faces drawn with numpy's default_rng(2024) and their mirror images,
# each enlarged four times (cubic) with 16 pixels of repeated border; medians over the 5,623 pictures (2,861 faces) with
# exactly one detection at 0.7, made symmetric about x = 23.5. MTCNN, on the first 1,000 of them, puts eyes and nose
# within 0.3 pixels of these, and the corners of the mouth 1.5 lower.
_TEMPLATE = ((14.7, 17.8), (32.3, 17.8), (23.5, 28.2), (16.4, 35.5), (30.6, 35.5))

_MIDDLE = (FACE_SIZE - 1) / 2
_MAX_SAMPLES = 16  # across a pixel of the crop: beyond 768 pixels a face is sampled with gaps, which the mean hides
_MIN_SPREAD_PX = 1.0
_MIN_LIKENESS = 0.5  # a face in full profile has 0.74, one with left and right exchanged 0.1


def alignable(landmarks: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Tell which faces' ``landmarks``, (n, 5, 2), can be aligned: bool (n,).

    Not those that are not finite, lie further out than any picture reaches (32,766 pixels), are closer together than a
    pixel (root mean square about their middle), or resemble no turned and scaled face (correlation below 0.5).
    """
    _check_landmarks(landmarks)
    usable = np.all(np.abs(landmarks) <= MAX_SIDE_PX, axis=(1, 2))  # false for what is not a number, too
    points, template = _centred(np.where(usable[:, None, None], landmarks, 0)), _centred(np.array([_TEMPLATE]))
    spread, template_spread = np.sqrt((np.abs(points) ** 2).sum(axis=1)), math.sqrt((np.abs(template) ** 2).sum())
    wide = spread >= _MIN_SPREAD_PX * math.sqrt(len(_TEMPLATE))
    alike = np.abs((points.conj() * template).sum(axis=1)) >= _MIN_LIKENESS * spread * template_spread
    answer: NDArray[np.bool_] = usable & wide & alike
    return answer


def align(grey: NDArray[np.uint8], landmarks: NDArray[np.float32], margin: float) -> NDArray[np.uint8]:
    """Cut upright faces out of ``grey``, uint8 (h, w), by their ``landmarks``, (n, 5, 2): uint8 (n, 48, 48).

    Each face is moved, turned and scaled so that its landmarks come closest to FER2013's in the sense of least squares
    (Umeyama 1991). A ``margin`` of 0 frames it as FER2013 does; otherwise that share of the side, at most 1, is added
    on each of the four sides (0.25: one and a half times the side). Outside the picture its border is repeated.
    A large face is averaged, not subsampled. Raises ``UsageError`` for another picture or margin, and for landmarks
    that are not ``alignable``: drop those first.
    """
    import cv2

    _check_picture(grey)
    if not 0 <= margin <= 1:
        step = "correct input.crop.margin in model.json"
        raise UsageError("crop margin", expected="0 to 1", got=str(margin), next_step=step)
    if not (usable := alignable(landmarks)).all():
        got, step = f"{np.count_nonzero(~usable)} of {len(usable)} that are not", "drop what alignable() refuses"
        raise UsageError("landmarks to align", expected="alignable ones", got=got, next_step=step)
    faces = np.empty((len(landmarks), FACE_SIZE, FACE_SIZE), np.uint8)
    for face, turn, middle in zip(faces, *_crop_to_picture(landmarks, margin), strict=True):
        # as many samples in a pixel of the crop as it covers pixels of the picture, then their mean: nothing aliases;
        # 5 % of slack, so that rounding does not make two samples, a blur, of a face that is 48 pixels wide already
        samples = min(_MAX_SAMPLES, math.ceil(abs(turn) - 0.05))
        side = FACE_SIZE * samples
        step = turn / samples
        first = middle - step * (side - 1) / 2 * (1 + 1j)
        matrix = np.array([[step.real, -step.imag, first.real], [step.imag, step.real, first.imag]])
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP  # for a face below 48 pixels, where linear blurs
        crop = cv2.warpAffine(grey, matrix, (side, side), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        face[:] = crop if samples == 1 else cv2.resize(crop, (FACE_SIZE, FACE_SIZE), interpolation=cv2.INTER_AREA)
    return faces


def _crop_to_picture(
    landmarks: NDArray[np.float32], margin: float
) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
    """Return where a step to the right in the crop leads in the picture, and the crop's middle there: complex (n,).

    With points as complex numbers a similarity is a·p + b, and the least-squares one from p to the template q, both
    about their means, has a = Σ p̄q / Σ |p|²: one number, which cannot mirror as Umeyama's general solution could.
    """
    points, template = _centred(landmarks), _centred(np.array([_TEMPLATE]))
    turn: NDArray[np.complex128] = (np.abs(points) ** 2).sum(axis=1) / (points.conj() * template).sum(axis=1)  # 1 / a
    from_template = complex(*(_MIDDLE - np.mean(_TEMPLATE, axis=0)))
    mean_xy = landmarks.mean(axis=1, dtype=np.float64)
    return turn * (1 + 2 * margin), mean_xy[:, 0] + 1j * mean_xy[:, 1] + turn * from_template


def _centred(points: NDArray[np.float32] | NDArray[np.float64]) -> NDArray[np.complex128]:
    """Points (n, 5, 2) about their means, as complex numbers: (n, 5)."""
    numbers = points[..., 0] + 1j * points[..., 1].astype(np.float64)
    centred: NDArray[np.complex128] = numbers - numbers.mean(axis=1, keepdims=True)
    return centred


def _check_landmarks(landmarks: NDArray[np.float32]) -> None:
    if landmarks.ndim != 3 or landmarks.shape[1:] != (5, 2):  # noqa: PLR2004  (faces, landmarks, x and y)
        got, step = str(landmarks.shape), "pass Detections.landmarks"
        raise UsageError("shape of landmarks", expected="(n, 5, 2)", got=got, next_step=step)


def _check_picture(grey: NDArray[np.uint8]) -> None:
    if grey.ndim != 2 or grey.dtype != np.uint8 or not 0 < min(grey.shape) <= max(grey.shape) <= MAX_SIDE_PX:  # noqa: PLR2004  (height, width)
        got, step = f"{grey.dtype} {grey.shape}", "convert it with cv2.cvtColor, or make it smaller"
        expected = f"uint8 (h, w), grey, not empty, at most {MAX_SIDE_PX:,} pixels a side"
        raise UsageError("picture to align", expected=expected, got=got, next_step=step)
