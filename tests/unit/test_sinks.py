"""Sinks: what they write, when their file appears, and that nothing half-written stays."""

from __future__ import annotations

import dataclasses
import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_runtime.emotions.labels import EMOTIONS
from edge_runtime.errors import UsageError
from edge_runtime.results import DetectionReport, Face, Frame, FrameResult
from edge_runtime.sinks import open_sink
from edge_runtime.sinks.base import Sink

cv2 = pytest.importorskip("cv2")

from edge_runtime.sinks.draw import COLOURS_BGR, Style, annotate, caption  # noqa: E402  (needs cv2)

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
        "faces": [],
        "dropped": 4,
        "detection": {"ran": False, "every": 2, "width": 320},
        "stage_ms": {"detect": 4.123, "align": 0.5},
    }
    assert list(full) == ["schema", "frame", "t_ms", "faces", "dropped", "detection", "stage_ms"]
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


def test_video_of_no_frames_is_no_file(tmp_path: Path) -> None:
    """A run without a frame leaves no empty video."""
    opened(f"video:{tmp_path / 'a.webm'}").close()
    assert names(tmp_path) == []


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
    with pytest.raises(UsageError, match=r"cannot be written: .* got a folder of that name"):
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


def test_size_that_no_codec_takes_is_refused(tmp_path: Path) -> None:
    """A picture that cannot be encoded is told with its size, and leaves nothing behind when discarded."""
    sink = opened(f"video:{tmp_path / 'a.webm'}")
    with pytest.raises(UsageError, match="expected 1×1 at 25 a second to be encodable"):
        sink.write(result(0, size_wh=(1, 1)))
    sink.discard()
    assert names(tmp_path) == []


def coloured(image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Tell which pixels have exactly the colour of happy."""
    mask: NDArray[np.bool_] = (image == COLOURS_BGR["happy"]).all(axis=2)
    return mask


def changed(image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Tell which pixels are no longer the plain grey of these tests; lines are smoothed, so their colour varies."""
    mask: NDArray[np.bool_] = (image != 40).any(axis=2)
    return mask


def test_annotate_draws_on_a_copy() -> None:
    """The picture that was given stays as it was; the copy has the box's frame, its inside and a label above."""
    image = np.full((120, 160, 3), 40, np.uint8)
    drawn = annotate(image, (face((20, 60, 50, 90)),))
    assert (image == 40).all()
    assert (drawn.shape, drawn.dtype) == (image.shape, np.uint8)
    assert not np.shares_memory(drawn, image)
    assert coloured(drawn)[60, 20:51].all()
    assert changed(drawn)[60:91, 50].all()
    assert (drawn[70:80, 30:40] == 40).all()
    assert coloured(drawn)[45:58].sum() > 300


def test_annotate_without_faces_changes_nothing() -> None:
    """No faces: an equal picture, and yet a copy."""
    image = result(0).frame.image
    drawn = annotate(image, ())
    np.testing.assert_array_equal(drawn, image)
    assert drawn is not image


def test_every_emotion_has_its_own_colour() -> None:
    """Each emotion can be drawn, and no two look alike."""
    assert set(COLOURS_BGR) == set(EMOTIONS)
    assert len(set(COLOURS_BGR.values())) == 7


def test_label_at_the_right_border_is_whole() -> None:
    """The label of a face at the right border is moved in: as many of its pixels are drawn as elsewhere."""
    image = np.full((120, 160, 3), 40, np.uint8)
    middle = annotate(image, (face((20, 60, 40, 90)),))[:58]
    border = annotate(image, (face((140, 60, 160, 90)),))[:58]
    assert changed(middle).sum() == changed(border).sum() > 1000


def test_label_at_the_top_border_is_inside_the_box() -> None:
    """The label of a face at the top is drawn below its upper side instead of outside the picture."""
    image = np.full((120, 160, 3), 40, np.uint8)
    inside = annotate(image, (face((20, 60, 40, 110)),))
    top = annotate(image, (face((20, 0, 40, 50)),))
    label = changed(inside)[:58, 43:].sum()
    assert changed(top)[:, 43:].sum() >= label > 500


@pytest.mark.parametrize(
    "box",
    [
        (-50.0, -50.0, -10.0, -10.0),
        (200.0, 30.0, 260.0, 90.0),
        (-30.0, -30.0, 400.0, 300.0),
        (150.0, 110.0, 170.0, 130.0),
        (-1e5, -1e5, 1e5, 1e5),
        (30.0, 30.0, 30.0, 30.0),
        (50.0, 50.0, 20.0, 20.0),
    ],
)
def test_boxes_outside_the_picture_are_drawn_as_far_as_they_reach(box: tuple[float, float, float, float]) -> None:
    """A box that reaches outside, lies outside or has no area neither fails nor changes the picture's form."""
    image = np.full((120, 160, 3), 40, np.uint8)
    drawn = annotate(image, (face(box),))
    assert (drawn.shape, drawn.dtype) == (image.shape, np.uint8)
    assert (image == 40).all()


def test_box_partly_outside_is_drawn_inside() -> None:
    """Of a box that reaches over two borders the two sides within the picture are drawn."""
    drawn = annotate(np.full((120, 160, 3), 40, np.uint8), (face((120, 80, 300, 300)),))
    assert changed(drawn)[80, 120:].all()
    assert changed(drawn)[80:, 120].all()
    assert not changed(drawn)[85:, 125:].any()


@pytest.mark.parametrize("size_wh", [(1, 1), (16, 12), (3840, 2160)])
def test_pictures_of_any_size_are_annotated(size_wh: tuple[int, int]) -> None:
    """Pictures smaller than a label and large ones are drawn on."""
    image = np.zeros((size_wh[1], size_wh[0], 3), np.uint8)
    drawn = annotate(image, (face((0, 0, size_wh[0], size_wh[1])),))
    assert drawn.shape == image.shape
    assert drawn.any()


def test_bars_show_the_probabilities() -> None:
    """Each emotion's column below the face is as high as it is probable; at the lower border it is inside."""
    for y2 in (80, 118):
        drawn = annotate(np.full((120, 160, 3), 40, np.uint8), (face((20, y2 - 50, 90, y2)),), Style(bars=True))
        columns = drawn[min(y2, 100) :, 24:90:10]
        heights = [
            int((columns[:, i] == COLOURS_BGR[emotion]).all(axis=1)[:20].sum()) for i, emotion in enumerate(EMOTIONS)
        ]
        np.testing.assert_allclose(heights, 20 * HAPPY, atol=1)


def test_hidden_faces_cannot_be_seen() -> None:
    """With blur, nothing finer than a sixth of the face is left within the box and around it; the rest is untouched."""
    image = np.random.default_rng(0).integers(0, 256, (120, 160, 3)).astype(np.uint8)
    boxed = Face(track_id=1, box_xyxy=(50, 40, 100, 100), score=1.0, probabilities=HAPPY, emotion="happy")
    drawn = annotate(image, (boxed,), Style(blur=True))
    inside = drawn[50:95, 53:97]
    assert len(np.unique(inside.reshape(-1, 3), axis=0)) <= 36
    np.testing.assert_array_equal(drawn[:20], image[:20])
    doubtful = annotate(image, (), Style(blur=True), ((50, 40, 100, 100),))
    assert len(np.unique(doubtful[50:95, 53:97].reshape(-1, 3), axis=0)) <= 36
    for box in ((-40.0, -40.0, -20.0, -20.0), (150.0, 110.0, 300.0, 300.0), (30.0, 30.0, 30.0, 30.0)):
        annotate(image, (face(box),), Style(blur=True))


def test_a_caption_is_written_below() -> None:
    """A line of text goes into the lower left corner; what the emotions' colours mean follows it."""
    canvas = np.full((120, 160, 3), 40, np.uint8)
    caption(canvas, "30 fps")
    assert changed(canvas)[100:, :60].any()
    assert not changed(canvas)[:80].any()
