"""What the loop shows, as it runs by default, of pictures and clips with known faces."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge_runtime import Frame, FrameResult, Recogniser, open_source
from edge_runtime.emotions.labels import EMOTIONS
from edge_runtime.faces.detectors import open_detector
from edge_runtime.faces.track import box_overlap
from edge_runtime.sources.synthetic import FRAMES, PanSource, warp_boxes

FPS = 30
EXPRESSIONS = {"surprise": "0-f1-su-ph.jpg", "happy": "0-f15-hao-ph.jpg"}
Picture = NDArray[np.uint8]


@pytest.fixture(params=["mtcnn", "yunet"])
def recogniser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recogniser]:
    """Load the shipped student with each detector."""
    if request.param == "yunet":
        monkeypatch.setenv("FER_EDGE_YUNET", str(request.getfixturevalue("yunet_file")))
    with Recogniser.load("student", detector=request.param) as loaded:
        yield loaded


def portrait(group_picture: Path, name: str, side: int) -> Picture:
    """Read a square picture of one face that lies beside the one of the group."""
    picture: Picture = cv2.resize(cv2.imread(str(group_picture.with_name(name))), (side, side))
    return picture


def with_sensor_noise(picture: Picture, seed: int) -> Iterator[Picture]:
    """Yield the picture again and again with new noise, of 20 grey values, and light that flickers by 2 %."""
    random = np.random.default_rng(seed)
    height, width = picture.shape[:2]
    fields = random.normal(0, 20, (4, 2 * height, 2 * width, 1)).astype(np.float32)
    while True:
        y, x = random.integers(height), random.integers(width)
        noise = fields[random.integers(4), y : y + height, x : x + width]
        yield (picture * random.normal(1, 0.02) + noise).clip(0, 255).astype(np.uint8)


def shown(recogniser: Recogniser, pictures: Iterator[Picture]) -> Iterator[FrameResult]:
    """Yield the results of pictures that come thirty a second."""
    for index, picture in enumerate(pictures):
        yield recogniser.process(Frame(image=picture, index=index, captured_ns=round(index * 1e9 / FPS)))


def test_a_still_face_keeps_its_label(
    recogniser: Recogniser, group_picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In half a minute of four still faces under sensor noise no shown label changes more than once, as raw ones do."""
    names = ("0-f1-su-ph.jpg", "0-f15-hao-ph.jpg", "15-f13-anc-ph.jpg", "45-m7-di-ph.jpg")
    faces = [portrait(group_picture, name, 240) for name in names]
    picture = np.vstack([np.hstack(faces[:2]), np.hstack(faces[2:])])
    raw: dict[int, list[int]] = {}
    update = recogniser._smoother.update

    def listening(track: int, probabilities: NDArray[np.float32], now_ns: int) -> tuple[NDArray[np.float32], int]:
        raw.setdefault(track, []).append(int(probabilities.argmax()))
        return update(track, probabilities, now_ns)

    monkeypatch.setattr(recogniser._smoother, "update", listening)
    labels: dict[int, list[int]] = {}
    frames = itertools.islice(with_sensor_noise(picture, 0), 30 * FPS)
    for result in shown(recogniser, frames):
        for face in result.faces:
            labels.setdefault(face.track_id, []).append(EMOTIONS.index(face.emotion))
    assert sorted(labels) == [1, 2, 3, 4]
    assert all(len(of_one) == 30 * FPS for of_one in labels.values())
    changes, changes_raw = (
        [int(np.count_nonzero(np.diff(of_one))) for _, of_one in sorted(each.items())] for each in (labels, raw)
    )
    print(f"label changes in half a minute, each face: shown {changes}, raw {changes_raw}")
    assert max(changes) <= 1
    assert max(changes_raw) >= 20


@pytest.mark.parametrize(("first", "second"), [("surprise", "happy"), ("happy", "surprise")])
def test_a_change_of_expression_is_shown_within_half_a_second(
    recogniser: Recogniser, group_picture: Path, first: str, second: str
) -> None:
    """A surprised face that is a happy one from one frame to the next, and back: the label follows in 15 frames."""
    before, after = (with_sensor_noise(portrait(group_picture, EXPRESSIONS[name], 480), 1) for name in (first, second))
    pictures = itertools.chain(itertools.islice(before, FPS), itertools.islice(after, FPS))
    labels = [[face.emotion for face in result.faces] for result in shown(recogniser, pictures)]
    assert labels[FPS - 1] == [first]
    assert labels[FPS + FPS // 2 - 1 :] == [[second]] * (FPS // 2 + 1)


def test_found_followed_entered_and_timed_in_one_run(
    recogniser: Recogniser, group_picture: Path, known_xyxy: NDArray[np.float32], tmp_path: Path
) -> None:
    """Four rounds of the clip with five faces; the fifth is away for the first 2.5 seconds of each, and new after them.

    In 95 % of the face-frames there is a box with an intersection over union of 0.5, and the fifth is shown again
    within half a second. What a frame takes is printed beside it, and judged on a machine that does nothing else.
    """
    four = cv2.imread(str(group_picture))
    x1, y1, x2, y2 = known_xyxy[4].astype(int) + np.array((-25, -40, 25, 25))
    four[y1:y2, x1:x2] = cv2.blur(four, (151, 151))[y1:y2, x1:x2]
    cv2.imwrite(str(tmp_path / "four.png"), four)
    away, clip = int(2.5 * FPS), PanSource(group_picture)
    pictures = [frame.image for frame in itertools.islice(PanSource(tmp_path / "four.png"), away)]
    pictures += [frame.image for frame in itertools.islice(clip, away, None)]
    found, times_ms, delays = [], [], []
    for index, picture in enumerate(pictures * 4):
        frame = Frame(image=picture, index=index, captured_ns=round(index * 1e9 / FPS))
        started_ns = time.perf_counter_ns()
        faces = recogniser.process(frame).faces
        times_ms.append((time.perf_counter_ns() - started_ns) / 1e6)
        place = index % FRAMES
        known = warp_boxes(known_xyxy[: 4 if place < away else 5], clip.transform(place))
        boxes = np.array([face.box_xyxy for face in faces], np.float32).reshape(-1, 4)
        hit = (box_overlap(known, boxes) >= 0.5).any(axis=1)
        found += hit.tolist()
        if place == away:
            delays.append(FRAMES)
        if place >= away and hit[4]:
            delays[-1] = min(delays[-1], place - away + 1)
    print(
        f"{recogniser.classifier}, faces by {recogniser.detector.name}: {np.mean(times_ms):.2f} ms a frame, "
        f"p99 {np.quantile(times_ms, 0.99):.2f}; found in {np.mean(found):.2%} of {len(found)} face-frames; "
        f"the fifth shown {[round(1000 * delay / FPS) for delay in delays]} ms after it came"
    )
    assert np.mean(found) >= 0.95
    assert max(delays) <= FPS / 2


def test_a_face_that_enters_a_real_clip_is_shown_within_half_a_second(
    recogniser: Recogniser, group_picture: Path
) -> None:
    """From the frame on in which the detector alone, run on every frame, finds a face and goes on finding it."""
    with open_source(str(group_picture.with_name("noface_face.mov"))) as clip:
        frames, fps = list(clip), clip.fps
    alone = open_detector(recogniser.detector.name)  # type: ignore[arg-type]
    present = [len(alone.detect(frame.image)) > 0 for frame in frames]
    enters = next(i for i in range(1, len(frames)) if all(present[i : i + 5]) and not any(present[: i - 1]))
    seen = [len(recogniser.process(frame).faces) > 0 for frame in frames]
    assert not any(seen[: enters - 1])
    assert any(seen[enters : enters + round(fps / 2)])
