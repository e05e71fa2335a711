"""fer-edge run, as a person starts it: a process, a clip, files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge_runtime.emotions.labels import EMOTIONS
from edge_runtime.faces.track import box_overlap
from edge_runtime.sources.synthetic import FRAMES, PanSource, warp_boxes


def fer_edge(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    command = [sys.executable, "-m", "edge_runtime", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=240, check=False, env={**os.environ, **environment}
    )


def followed(
    lines: list[dict[str, Any]], picture: Path, known_xyxy: NDArray[np.float32]
) -> tuple[float, list[list[int]]]:
    """Share of the known face-frames that have a box with an intersection over union of at least 0.5.

    And the track ids that each of the five people had in them.
    """
    clip = PanSource(picture)
    tracks: list[list[int]] = [[] for _ in known_xyxy]
    for line in lines:
        boxes = np.array([face["box_xyxy"] for face in line["faces"]], np.float32).reshape(-1, 4)
        overlap = box_overlap(warp_boxes(known_xyxy, clip.transform(line["frame"])), boxes)
        for person, face in zip(*np.nonzero(overlap >= 0.5), strict=True):
            tracks[person].append(line["faces"][face]["track"])
    found = sum(map(len, tracks))
    return found / (len(lines) * len(known_xyxy)), [sorted(set(ids)) for ids in tracks]


@pytest.mark.parametrize("detector", ["mtcnn", "yunet"])
def test_five_faces_of_a_moving_clip(
    detector: str,
    group_picture: Path,
    known_xyxy: NDArray[np.float32],
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    """The shipped int8 student finds the five people in 95 % of the face-frames, and writes both files whole.

    Each keeps the number that it has in the first frame.
    """
    environment = {"FER_EDGE_YUNET": str(request.getfixturevalue("yunet_file"))} if detector == "yunet" else {}
    video, jsonl = tmp_path / "demo.mp4", tmp_path / "demo.jsonl"
    source = f"synthetic:{group_picture}"
    done = fer_edge(
        "run", "--source", source, "--detector", detector, "--sink", f"video:{video}", f"jsonl:{jsonl}", **environment
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in jsonl.read_text().splitlines()]
    assert [line["frame"] for line in lines] == list(range(FRAMES))
    share, tracks = followed(lines, group_picture, known_xyxy)
    assert share >= 0.95
    assert sorted(tracks) == [[1], [2], [3], [4], [5]]
    assert max(len(line["faces"]) for line in lines) == 5
    capture = cv2.VideoCapture(str(video))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == FRAMES
    assert {path.name for path in tmp_path.iterdir()} == {"demo.mp4", "demo.jsonl"}
    for word in ("150 frames", "face 5:", "detect", "classify", "total"):
        assert word in done.stderr


def test_a_line_has_the_documented_form(group_picture: Path) -> None:
    """One picture gives one line on standard output with the documented keys, and probabilities that sum to one."""
    done = fer_edge("run", "--source", group_picture, "--sink", "jsonl:-", "--detector", "mtcnn")
    assert done.returncode == 0, done.stderr
    (line,) = map(json.loads, done.stdout.splitlines())
    keys = {"schema", "frame", "picture", "t_ms", "age_ms", "faces", "dropped", "detection", "stage_ms"}
    assert set(line) == keys
    assert line["picture"] == group_picture.name
    assert len(line["faces"]) == 5
    assert line["age_ms"] is None
    for face in line["faces"]:
        assert set(face) == {"track", "box_xyxy", "score", "emotion", "confidence", "probabilities"}
        assert tuple(face["probabilities"]) == EMOTIONS
        assert sum(face["probabilities"].values()) == pytest.approx(1, abs=1e-3)
        assert face["confidence"] == max(face["probabilities"].values()) == face["probabilities"][face["emotion"]]
    assert [face["box_xyxy"][0] for face in line["faces"]] == sorted(face["box_xyxy"][0] for face in line["faces"])


def test_a_picture_that_is_none_costs_the_others_nothing(group_picture: Path, tmp_path: Path) -> None:
    """A folder's other pictures are in the file, which one was none is said, and the exit code is 5."""
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.jpg").write_bytes(group_picture.read_bytes())
    (tmp_path / "pictures" / "b.jpg").write_bytes(group_picture.read_bytes()[:100])
    (tmp_path / "pictures" / "c.jpg").write_bytes(group_picture.read_bytes())
    out = tmp_path / "out.jsonl"
    done = fer_edge("run", "--source", tmp_path / "pictures", "--sink", f"jsonl:{out}", "--detector", "mtcnn")
    assert done.returncode == 5
    assert "1 of the 3 pictures" in done.stderr
    assert "b.jpg: something else" in done.stderr
    lines = [json.loads(text) for text in out.read_text().splitlines()]
    assert [(line["frame"], line["picture"], len(line["faces"])) for line in lines] == [
        (0, "a.jpg", 5),
        (2, "c.jpg", 5),
    ]


def test_fifty_faces_in_a_picture(group_picture: Path, known_xyxy: NDArray[np.float32], tmp_path: Path) -> None:
    """Ten times the five people, each 64 pixels wide: all are found, named and drawn."""
    picture = cv2.imread(str(group_picture))
    heads = []
    for x1, y1, x2, y2 in known_xyxy.tolist():
        x, y, half = (x1 + x2) / 2, (y1 + y2) / 2, max(x2 - x1, y2 - y1) * 0.75
        head = picture[max(0, int(y - half)) : int(y + half), int(x - half) : int(x + half)]
        heads.append(cv2.resize(head, (64, 64), interpolation=cv2.INTER_AREA))
    crowd = np.vstack([np.hstack([heads[(row + column) % 5] for column in range(10)]) for row in range(5)])
    cv2.imwrite(str(tmp_path / "crowd.png"), crowd)
    sinks = ("--sink", "jsonl:-", f"video:{tmp_path / 'crowd.mp4'}")
    done = fer_edge("run", "--source", tmp_path / "crowd.png", "--detector", "mtcnn", *sinks)
    assert done.returncode == 0, done.stderr
    faces = json.loads(done.stdout)["faces"]
    assert sorted(face["track"] for face in faces) == list(range(1, 51))
    assert len({(face["box_xyxy"][0] // 64, face["box_xyxy"][1] // 64) for face in faces}) == 50


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--source", "99"], 5),
        (["--source", "nowhere.mp4"], 5),
        (["--source", "{text}"], 5),
        (["--source", "{picture}", "--bundle", "nowhere"], 3),
        (["--source", "{picture}", "--sink", "carrier-pigeon"], 2),
        (["--source", "{picture}", "--precision", "int4"], 2),
    ],
)
def test_bad_input_ends_with_one_message_and_its_code(
    arguments: list[str], code: int, group_picture: Path, tmp_path: Path
) -> None:
    """The exit code is the documented one, there is no traceback, and nothing is left behind."""
    text = tmp_path / "text.mp4"
    text.write_text("not a video")
    sinks = (
        [] if "--sink" in arguments else ["--sink", f"jsonl:{tmp_path / 'out.jsonl'}", f"video:{tmp_path / 'o.mp4'}"]
    )
    done = fer_edge("run", *(a.format(text=text, picture=group_picture) for a in arguments), *sinks)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    if code != 2 or "--sink" in arguments:
        message = done.stderr.strip().splitlines()[-1]
        assert message.startswith("fer-edge: ")
        assert "expected" in message
        assert "got" in message
        assert "Next:" in message
    assert [path.name for path in tmp_path.iterdir()] == ["text.mp4"]


def test_a_video_that_ends_early_leaves_nothing_half_written(group_picture: Path, tmp_path: Path) -> None:
    """The message says how many frames were announced and read; an older result of the same name stays."""
    whole = tmp_path / "whole.avi"
    writer = cv2.VideoWriter(str(whole), cv2.VideoWriter.fourcc(*"MJPG"), 30, (640, 480))
    for frame, _ in zip(PanSource(group_picture), range(40), strict=False):
        writer.write(frame.image)
    writer.release()
    cut = tmp_path / "cut.avi"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    out = tmp_path / "out.jsonl"
    out.write_text("an older result")
    done = fer_edge("run", "--source", cut, "--sink", f"jsonl:{out}")
    assert done.returncode == 5, done.stderr
    assert "ends early: expected 40 frames" in done.stderr
    assert out.read_text() == "an older result"
    assert {path.name for path in tmp_path.iterdir()} == {"whole.avi", "cut.avi", "out.jsonl"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_finishes_the_files(number: signal.Signals, group_picture: Path, tmp_path: Path) -> None:
    """After Ctrl-C, and a service manager's SIGTERM, the exit code is 130 and the frames so far are in a whole file."""
    out = tmp_path / "out.jsonl"
    command = [sys.executable, "-m", "edge_runtime", "run", "--source", f"synthetic:{group_picture}"]
    process = subprocess.Popen([*command, "--sink", f"jsonl:{out}"], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not any(path.stat().st_size for path in tmp_path.glob("*.partial.jsonl")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(number)
    _, messages = process.communicate(timeout=60)
    assert process.returncode == 130, messages
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert 0 < len(lines) < FRAMES
    assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl"]
