"""Sinks: what they write, when their file appears, and that nothing half-written stays."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from edge_runtime.emotions.labels import EMOTIONS
from edge_runtime.errors import SinkError, UsageError
from edge_runtime.results import DetectionReport, Face, Frame, FrameResult
from edge_runtime.sinks import open_sink
from edge_runtime.sinks.base import Sink
from edge_runtime.sinks.jsonl import line

cv2 = pytest.importorskip("cv2")

HAPPY = np.array([0.01, 0.02, 0.03, 0.71234, 0.1, 0.05, 0.07766], np.float32)


def face(box: tuple[float, float, float, float] = (10, 60, 30, 80)) -> Face:
    """Return a happy face."""
    return Face(track_id=3, box_xyxy=box, score=0.98765, probabilities=HAPPY, emotion="happy")


def result(
    index: int, *faces: Face, size_wh: tuple[int, int] = (160, 120), grey: int = 40, fps: float = 3.0
) -> FrameResult:
    """Return the result of frame ``index`` of ``fps`` a second."""
    image = np.full((size_wh[1], size_wh[0], 3), grey, np.uint8)
    frame = Frame(image=image, index=index, captured_ns=5_000_000_000 + round(index * 1e9 / fps), dropped=4)
    detection = DetectionReport(ran=index % 2 == 0, every=2, width=320)
    return FrameResult(frame=frame, faces=faces, stage_ms={"detect": 4.12345, "align": 0.5}, detection=detection)


def opened(address: str) -> Sink:
    """Open a sink that is one."""
    sink = open_sink(address, 25.0)
    assert sink is not None
    return sink


def names(folder: Path) -> list[str]:
    """Return what lies in a folder."""
    return sorted(path.name for path in folder.iterdir())


def test_none_is_no_sink() -> None:
    """The address none opens nothing."""
    assert open_sink("none", 25.0) is None


@pytest.mark.parametrize("address", ["", "jsonl", "jsonl:", "video:", "None", "csv:a.csv", "a.webm"])
def test_unknown_address_is_refused(address: str) -> None:
    """An address that names no sink is refused and shown."""
    with pytest.raises(UsageError, match=r"sink: expected window, video:FILE, jsonl:FILE, jsonl:- or none") as caught:
        open_sink(address, 25.0)
    assert caught.value.got == repr(address)


def test_jsonl_line_has_the_agreed_schema(tmp_path: Path) -> None:
    """A line has the agreed keys in the agreed order, rounded, with all seven probabilities."""
    sink = opened(f"jsonl:{tmp_path / 'a.jsonl'}")
    sink.write(result(17))
    sink.write(result(18, face((1.26, 2, -3.04, 4)), face()))
    sink.close()
    text = (tmp_path / "a.jsonl").read_text(encoding="utf-8")
    empty, full = map(json.loads, text.splitlines())
    assert text.endswith("\n")
    assert empty == {
        "schema": 1,
        "frame": 17,
        "t_ms": 0.0,
        "age_ms": None,
        "faces": [],
        "dropped": 4,
        "detection": {"ran": False, "every": 2, "width": 320},
        "stage_ms": {"detect": 4.123, "align": 0.5},
    }
    still = dataclasses.replace(result(0).frame, still=True, picture="a.jpg")
    assert [*line(dataclasses.replace(result(0), frame=still), 0.0).items()][:3] == [
        ("schema", 1), ("frame", 0), ("picture", "a.jpg"),
    ]  # fmt: skip
    assert list(full) == ["schema", "frame", "t_ms", "age_ms", "faces", "dropped", "detection", "stage_ms"]
    assert (full["frame"], full["t_ms"], len(full["faces"])) == (18, 333.3, 2)
    assert list(full["faces"][0]) == ["track", "box_xyxy", "score", "emotion", "confidence", "probabilities"]
    assert full["faces"][0] == {
        "track": 3,
        "box_xyxy": [1.3, 2.0, -3.0, 4.0],
        "score": 0.9877,
        "emotion": "happy",
        "confidence": 0.7123,
        "probabilities": dict(zip(EMOTIONS, (0.01, 0.02, 0.03, 0.7123, 0.1, 0.05, 0.0777), strict=True)),
    }


def test_jsonl_to_standard_output_is_written_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads the pipe has each line before the next frame; closing does not close standard output."""
    pipe = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(pipe, encoding="utf-8"))
    sink = opened("jsonl:-")
    for index in range(3):
        sink.write(result(index, face()))
        assert [json.loads(line)["frame"] for line in pipe.getvalue().splitlines()] == list(range(index + 1))
    sink.close()
    print("still open", flush=True)
    assert pipe.getvalue().endswith(b"}\nstill open\n")


@pytest.mark.parametrize("name", ["a.jsonl", "a.webm", "a.mp4"])
def test_file_appears_whole_at_close(tmp_path: Path, name: str) -> None:
    """Until it is closed a file is not there under its name; afterwards it is, and nothing else."""
    sink = opened(f"{'jsonl' if name == 'a.jsonl' else 'video'}:{tmp_path / 'new' / 'folder' / name}")
    for index in range(3):
        sink.write(result(index))
        assert name not in names(tmp_path / "new" / "folder")
    sink.close()
    assert names(tmp_path / "new" / "folder") == [name]


@pytest.mark.parametrize("name", ["a.jsonl", "a.webm"])
@pytest.mark.parametrize("frames", [0, 2])
def test_discarded_file_leaves_an_older_one_as_it_was(tmp_path: Path, name: str, frames: int) -> None:
    """After an error the file of an earlier run is untouched and no part of the new one stays."""
    (tmp_path / name).write_text("an earlier run")
    sink = opened(f"{'jsonl' if name == 'a.jsonl' else 'video'}:{tmp_path / name}")
    for index in range(frames):
        sink.write(result(index, face()))
    sink.discard()
    assert names(tmp_path) == [name]
    assert (tmp_path / name).read_text() == "an earlier run"


def test_closed_file_replaces_an_older_one(tmp_path: Path) -> None:
    """A finished run replaces the file of an earlier one."""
    (tmp_path / "a.jsonl").write_text("an earlier run")
    sink = opened(f"jsonl:{tmp_path / 'a.jsonl'}")
    sink.write(result(0))
    sink.close()
    assert json.loads((tmp_path / "a.jsonl").read_text())["frame"] == 0


@pytest.mark.parametrize("name", ["a.webm", "a.jsonl"])
def test_no_frames_are_no_file(tmp_path: Path, name: str) -> None:
    """A run without a frame leaves no empty file, and one from an earlier run as it was."""
    address = f"{'jsonl' if name == 'a.jsonl' else 'video'}:{tmp_path / name}"
    opened(address).close()
    assert names(tmp_path) == []
    (tmp_path / name).write_text("an earlier run")
    opened(address).close()
    assert (tmp_path / name).read_text() == "an earlier run"


def test_a_folder_that_has_gone_is_one_clear_error(tmp_path: Path) -> None:
    """What was written cannot be put anywhere; it is no traceback."""
    sink = opened(f"jsonl:{tmp_path / 'new' / 'a.jsonl'}")
    sink.write(result(0))
    shutil.rmtree(tmp_path / "new")
    with pytest.raises(SinkError, match=r"a\.jsonl"):
        sink.close()


def test_a_folder_that_has_gone_is_one_clear_error_of_a_video(tmp_path: Path) -> None:
    """It is noticed when the room on its disk is looked at, before the run ends; giving up then is no error."""
    sink = opened(f"video:{tmp_path / 'new' / 'a.mp4'}")
    for index in range(30):
        sink.write(result(index, fps=25))
    shutil.rmtree(tmp_path / "new")
    with pytest.raises(SinkError, match=r"a\.mp4: expected 64 MiB free, got No such file or directory"):
        sink.write(result(30, fps=25))
    (tmp_path / "new").touch()  # below a file nothing can be removed
    sink.discard()


@pytest.mark.parametrize("kind", ["jsonl:{}/a.jsonl", "video:{}/a.webm", "jsonl:{}/in/a.jsonl"])
def test_folder_that_cannot_be_written_is_refused(tmp_path: Path, kind: str) -> None:
    """A file below something that is no folder is refused when opened, not after the run."""
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written: expected a file in a folder to write to") as caught:
        open_sink(kind.format(tmp_path / "file"), 25.0)
    assert "--sink" in caught.value.next_step


@pytest.mark.parametrize("path", ["", ".", "..", "folder", "a" * 300, "a\0b"])
def test_name_that_no_file_can_have_is_refused(tmp_path: Path, path: str) -> None:
    """A folder's name, one that is too long and one with a NUL are refused when opened; nothing is left."""
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError, match="cannot be written"):
        open_sink(f"jsonl:{tmp_path / path}", 25.0)
    assert names(tmp_path) == ["folder"]
    assert names(tmp_path / "folder") == []


@pytest.mark.parametrize("address", ["jsonl:.", "jsonl:/", "jsonl:.."])
def test_the_folder_itself_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, address: str) -> None:
    """Addresses that are a folder by themselves are refused."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"cannot be written: .* got a folder, device or pipe of that name"):
        open_sink(address, 25.0)
    assert names(tmp_path) == []


@pytest.mark.parametrize("name", ["a.avi", "a", ".webm", "a.webm.txt", "a.gif"])
def test_video_of_another_form_is_refused(tmp_path: Path, name: str) -> None:
    """Only the two containers that can be written are taken; nothing is left of the others."""
    with pytest.raises(UsageError, match=r"expected \.webm or \.mp4"):
        open_sink(f"video:{tmp_path / name}", 25.0)
    assert names(tmp_path) == []


@pytest.mark.parametrize("name", ["a.webm", "a.mp4", "a.MP4"])
def test_video_can_be_read_again(tmp_path: Path, name: str) -> None:
    """A written video opens with its size, rate and every frame; a frame of another size is scaled to the first."""
    sink = opened(f"video:{tmp_path / name}")
    for index in range(10):
        sink.write(result(index, face(), size_wh=(160, 120), grey=10 * index, fps=25))
    sink.write(result(10, size_wh=(320, 200), grey=100, fps=25))
    sink.close()
    capture = cv2.VideoCapture(str(tmp_path / name))
    assert capture.get(cv2.CAP_PROP_FPS) == 25.0
    images = []
    while (read := capture.read())[0]:
        images.append(read[1])
    assert {image.shape for image in images} == {(120, 160, 3)}
    corners = [image[100:, 100:].mean() for image in images]  # no label reaches there
    np.testing.assert_allclose(corners, [10 * index for index in range(11)], atol=5)


@pytest.mark.parametrize(("times_s", "frames"), [
    ([0, 0.1, 0.2, 0.3], 9),  # a camera of 25 a second from which the loop took 10: 0.3 s of video
    ([0, 0.01, 0.02, 0.03, 0.04], 2),  # one that is faster than it says
    ([0, 3600, 3600.04], 8),  # an hour's absence is cut out
    ([0, 0.04, 0.0, 0.08], 3),
])  # fmt: skip
def test_a_video_runs_as_fast_as_time_did(tmp_path: Path, times_s: list[float], frames: int) -> None:
    """Frames that a busy loop could not take are stood in for; what comes twice for one moment is written once."""
    sink = opened(f"video:{tmp_path / 'a.mp4'}")
    for index, time_s in enumerate(times_s):
        given = result(index)
        sink.write(dataclasses.replace(given, frame=dataclasses.replace(given.frame, captured_ns=round(time_s * 1e9))))
    sink.close()
    assert cv2.VideoCapture(str(tmp_path / "a.mp4")).get(cv2.CAP_PROP_FRAME_COUNT) == frames


@pytest.mark.parametrize("name", ["a.webm", "a.mp4"])
@pytest.mark.parametrize("tiny_wh", [(1, 1), (3, 3), (640, 15)])
def test_a_video_begins_with_the_first_frame_that_has_a_size(
    tmp_path: Path, name: str, tiny_wh: tuple[int, int]
) -> None:
    """What a camera sends before its first real frame neither ends the run nor gives the video its size."""
    sink = opened(f"video:{tmp_path / name}")
    sink.write(result(0, size_wh=tiny_wh, fps=25))
    for index in (1, 2):
        sink.write(result(index, size_wh=(16, 48), fps=25))
    sink.write(result(3, size_wh=tiny_wh, fps=25))
    sink.close()
    capture = cv2.VideoCapture(str(tmp_path / name))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 3
    assert capture.read()[1].shape == (48, 16, 3)


def test_a_video_of_frames_without_a_size_is_one_clear_error(tmp_path: Path) -> None:
    """At its end: an older video of the same name stays, and nothing else is left."""
    (tmp_path / "a.mp4").write_text("an earlier run")
    sink = opened(f"video:{tmp_path / 'a.mp4'}")
    for index in range(3):
        sink.write(result(index, size_wh=(1, 1)))
    with pytest.raises(SinkError, match=r"a\.mp4: expected a frame of 16×16 pixels, got 3, all smaller"):
        sink.close()
    assert names(tmp_path) == ["a.mp4"]
    assert (tmp_path / "a.mp4").read_text() == "an earlier run"


@pytest.mark.parametrize("name", ["a.jsonl", "a.mp4", "a.webm"])
def test_a_link_stays_and_leads_to_the_new_file(tmp_path: Path, name: str) -> None:
    """Somebody's "latest" shows the newest result, also on another folder's disk and under another suffix."""
    (tmp_path / "there").mkdir()
    target = tmp_path / "there" / "of today"
    target.write_text("older")
    (tmp_path / name).symlink_to(target)
    sink = opened(f"{name.partition('.')[2].replace('mp4', 'video').replace('webm', 'video')}:{tmp_path / name}")
    sink.write(result(0, face()))
    sink.close()
    assert (tmp_path / name).is_symlink()
    assert target.read_bytes() not in (b"", b"older")
    assert names(tmp_path / "there") == ["of today"]


@pytest.mark.parametrize("address", ["jsonl:{}", "video:{}.mp4"])
def test_a_pipe_or_device_is_no_file_to_replace(tmp_path: Path, address: str) -> None:
    """As root /dev/stdout itself would be replaced; what wants a pipe takes standard output."""
    pipe = tmp_path / ("pipe.mp4" if "mp4" in address else "pipe")
    os.mkfifo(pipe)
    with pytest.raises(UsageError, match=r"got a folder, device or pipe of that name.* - for standard output"):
        open_sink(address.format(tmp_path / "pipe"), 25.0)
    assert pipe.is_fifo()
    assert names(tmp_path) == [pipe.name]


@pytest.mark.parametrize("fps", [120.0768, 99.953])
def test_a_video_of_a_high_and_broken_rate_can_be_written(tmp_path: Path, fps: float) -> None:
    """A telephone's slow motion: MPEG-4 has no ticks for such a rate, but for the nearest whole one."""
    sink = open_sink(f"video:{tmp_path}/a.mp4", fps)
    assert sink is not None
    for index in range(20):
        sink.write(result(index, fps=fps))
    sink.close()
    video = cv2.VideoCapture(str(tmp_path / "a.mp4"))
    assert (video.get(cv2.CAP_PROP_FPS), video.get(cv2.CAP_PROP_FRAME_COUNT)) == (round(fps), 20)


def test_no_standard_output_is_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Started with it closed, a run says so before the first frame."""
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(UsageError, match="jsonl:-: expected a standard output, got none"):
        open_sink("jsonl:-", 30.0)
