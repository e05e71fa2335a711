"""The clip that is measured on, and the faces in it: decoded and found beforehand, for neither is what is timed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import SourceError
from edge_runtime.faces.align import align, alignable
from edge_runtime.faces.detectors import ReducedDetector
from edge_runtime.results import Frame
from edge_runtime.sources import open_source
from edge_runtime.sources.address import redacted

MOST_BYTES = 64_000_000
"""Of the clip in memory: two seconds at 640×480."""

JITTER_PX = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """The first pictures of a source, each uint8 (h, w, 3) BGR. ``still``: each is a picture for itself."""

    images: tuple[NDArray[np.uint8], ...]
    fps: float
    still: bool

    def frame(self, number: int) -> Frame:
        """Return frame ``number`` of a video without end: the clip forwards, backwards, and so on, without a jump."""
        n = len(self.images)
        place = number % max(2 * n - 2, 1)
        image = self.images[min(place, 2 * n - 2 - place)] if n > 1 else self.images[0]
        return Frame(image=image, index=number, captured_ns=round(number * 1e9 / self.fps))

    @property
    def sha256(self) -> str:
        """Of all pixels: whether two runs saw the same."""
        digest = hashlib.sha256()
        for image in self.images:
            digest.update(np.ascontiguousarray(image).data)
        return digest.hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One picture in which faces were found: ``grey`` uint8 (h, w), their ``landmarks`` float32 (n ≥ 1, 5, 2)."""

    grey: NDArray[np.uint8]
    landmarks: NDArray[np.float32]

    def crowd(self, n: int) -> NDArray[np.float32]:
        """Return the landmarks of ``n`` faces (n, 5, 2): the scene's own, again and again, each time moved a little."""
        random = np.random.default_rng(n)
        repeated = self.landmarks[np.arange(n) % len(self.landmarks)]
        return repeated + random.normal(0, JITTER_PX, (n, 1, 2)).astype(np.float32)


def read_clip(address: str) -> Clip:
    """Read the beginning of a clip; raise ``SourceError`` when it cannot be opened, or is live."""
    with open_source(address) as source:
        if source.live:
            step = "record a file, or name synthetic:PICTURE"
            expected = "a file: live frames differ from run to run"
            raise SourceError("benchmark clip", expected=expected, got=redacted(address), next_step=step)
        images: list[NDArray[np.uint8]] = []
        for frame in source:
            images.append(frame.image)
            if sum(image.nbytes for image in images) >= MOST_BYTES:
                break
        return Clip(images=tuple(images), fps=source.fps, still=source.still)


def scenes_of(clip: Clip, detector: ReducedDetector) -> list[Scene]:
    """Find the faces of each picture of the clip; raise ``SourceError`` when there is none in all of them."""
    import cv2

    scenes = []
    for image in clip.images:
        landmarks = detector.detect(image).landmarks
        landmarks = landmarks[alignable(landmarks)]
        if len(landmarks):
            grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.uint8, copy=False)
            scenes.append(Scene(grey=grey, landmarks=landmarks))
    if not scenes:
        step = "name another clip with --source"
        raise SourceError("benchmark clip", expected="at least one face", got="none", next_step=step)
    return scenes


def crops_of(scenes: list[Scene], margin: float) -> NDArray[np.uint8]:
    """Cut all faces out of the scenes: uint8 (n, 48, 48)."""
    return np.concatenate([align(scene.grey, scene.landmarks, margin) for scene in scenes])
