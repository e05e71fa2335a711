"""make peers: what it refuses, the engines' own benchmarks, and fer's pipeline in a process of its own."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import cv2
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from benchmarks.clip import Clip
from benchmarks.clock import COLD, TURN
from benchmarks.page import write_page
from benchmarks.peers import __main__ as peers
from benchmarks.peers import tools
from benchmarks.peers.fer import NETWORK, FerNetwork, FerProcess, network_file
from benchmarks.peers.networks import RandomNetwork
from benchmarks.report import Report, rows_of
from benchmarks.session import Candidate, Measured, Session
from benchmarks.table import table
from edge_runtime.errors import FerEdgeError, NotInstalledError, RegressionError, UsageError
from edge_runtime.faces.detectors import open_detector

ENVIRONMENT = Path(".venv/peers")
needs_environment = pytest.mark.skipif(
    not (ENVIRONMENT / "ready").exists(), reason="no environment .venv/peers with OpenCV 4 and fer: make peers makes it"
)


def environment(folder: Path, python: str) -> Path:
    """Make what looks like an environment with fer's network, whose Python is a shell script."""
    network = folder / "lib/python3.11/site-packages" / NETWORK
    network.parent.mkdir(parents=True)
    network.touch()
    script = folder / "bin/python"
    script.parent.mkdir()
    script.write_text(f"#!/bin/sh\n{python}\n")
    script.chmod(0o755)
    return folder


def session(*names: str) -> Session:
    """Return a session of candidates that have a name alone."""
    return Session(
        candidates={name: cast("Candidate", None) for name in names},
        clip=Clip(images=(np.zeros((24, 32, 3), np.uint8),), fps=30.0, still=False),
        scenes=[],
        crops=np.zeros((1, 48, 48), np.uint8),
        detector=open_detector("mtcnn"),
        min_seconds=0.0,
        min_count=40,
    )


def test_the_process_answers_until_it_is_closed(tmp_path: Path) -> None:
    """It says its OpenCV at once, and then a number for a number; closed, it has ended."""
    with contextlib.closing(
        FerProcess(environment(tmp_path, "echo 4.11.0; while read n; do echo $((n + 5)); done"), tmp_path)
    ) as process:
        assert process.opencv == "4.11.0"
        assert [process(0), process(2)] == [5, 7]
    assert process._process.returncode == 0


def test_a_process_that_does_not_start_is_refused(tmp_path: Path) -> None:
    """The message has its exit code."""
    with pytest.raises(FerEdgeError, match=r"fer's pipeline: expected an answer, got its end, exit code 3"):
        FerProcess(environment(tmp_path, "exit 3"), tmp_path)


def test_a_process_that_dies_leaves_the_others_running(tmp_path: Path) -> None:
    """Its error is kept by its name, though it is no candidate, and what others gave is whole."""
    dying = session()
    with contextlib.closing(
        FerProcess(environment(tmp_path, "echo 4.11.0; read n; echo 5; exit 4"), tmp_path)
    ) as process:
        turns = dying.turns({"fer": process, "other": lambda _: None}, label="frame")
    assert {name: len(taken) for name, taken in turns.samples.items()} == {"fer": 0, "other": 2 * TURN}
    assert "exit code 4" in dying.died["fer"]


def test_an_environment_without_fer_is_refused(tmp_path: Path) -> None:
    """The message names the file that is missing and the command that brings it."""
    with pytest.raises(NotInstalledError, match=r"emotion_model_quantized\.tflite.*Next: make peers"):
        network_file(tmp_path)


@needs_environment
def test_fer_finds_the_faces_of_a_picture(group_picture: Path, tmp_path: Path) -> None:
    """Its own cascade finds four of the five at least, by an OpenCV that has cascades."""
    image = cv2.imread(str(group_picture))
    np.save(tmp_path / "clip.npy", image[None])
    with contextlib.closing(FerProcess(ENVIRONMENT, tmp_path / "clip.npy")) as process:
        assert process.opencv.startswith("4.")
        assert 4 <= process(0) <= 6


@needs_environment
def test_fer_s_network_names_one_face_after_the_other() -> None:
    """Probabilities of seven emotions, the same for a face by itself and among others."""
    faces = np.random.default_rng(0).integers(0, 256, (3, 48, 48), np.uint8)
    network = FerNetwork(network_file(ENVIRONMENT))
    together = network.probabilities(faces)
    assert together.shape == (3, 7)
    np.testing.assert_allclose(together.sum(axis=1), 1, atol=0.02)
    np.testing.assert_array_equal(together[1:2], network.probabilities(faces[1:2]))


def test_a_random_network_reads_faces_as_its_makers_do(tmp_path: Path) -> None:
    """Resized, three equal colours, less ImageNet's mean by its deviation, any number at once."""
    pool = helper.make_node("GlobalAveragePool", ["x"], ["pooled"])
    flat = helper.make_node("Flatten", ["pooled"], ["y"])
    reads = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, 16, 16])
    writes = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 3])
    graph = helper.make_graph([pool, flat], "means", [reads], [writes])
    onnx.save(helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 18)]), tmp_path / "n.onnx")
    faces = np.stack([np.full((48, 48), value, np.uint8) for value in (0, 51, 255)])
    expected = (np.array([[0], [0.2], [1]]) - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(RandomNetwork(tmp_path / "n.onnx").probabilities(faces), expected, atol=1e-4)


def test_a_random_network_that_was_not_made_is_refused(tmp_path: Path) -> None:
    """The message names the file and the command that makes it."""
    with pytest.raises(NotInstalledError, match=r"none\.onnx: .*Next: make peers"):
        RandomNetwork(tmp_path / "none.onnx")


@pytest.mark.parametrize(
    ("output", "ms"), [("[ INFO ]    Median:        255.72 us", 0.25572), ("[ INFO ]    Median:     13.70 ms", 13.7)]
)
def test_the_median_of_benchmark_app_is_read_in_its_unit(output: str, ms: float) -> None:
    """It prints microseconds below a millisecond."""
    assert tools.median_ms(f"[ INFO ] Latency:\n{output}\n[ INFO ]    Average: 1.00 ms\n") == pytest.approx(ms)


def test_another_output_of_benchmark_app_is_refused() -> None:
    """Without a median there is nothing to compare with, and the tail of what it said is in the message."""
    with pytest.raises(FerEdgeError, match=r"a line 'Median: … ms', got .*no such device"):
        tools.median_ms("no such device")


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ([sys.executable, "-c", "import sys; sys.exit('no such model')"], "expected exit code 0, got 1, no such model"),
        (["no-such-benchmark"], "no-such-benchmark: expected exit code 0, got .*No such file"),
        ([sys.executable, "-c", "import time; time.sleep(60)"], "timed out after"),
    ],
)
def test_a_benchmark_that_fails_is_refused(command: list[str], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exit code, a program that is not there, and one without an end are errors of the project."""
    monkeypatch.setattr(tools, "_LIMIT_S", 5 if "sleep" not in command[-1] else 0.2)
    with pytest.raises(FerEdgeError, match=message):
        tools._run(command)


def test_medians_agree_within_a_tenth() -> None:
    """The ratio is the median of the pairs' own; a tenth more or less, or 20 µs, agrees, and more does not."""
    assert tools.agreement([(1.0, 1.0), (1.2, 1.1), (3.0, 1.0)]) == {
        "here_ms": 1.2, "tool_ms": 1.0, "ratio": pytest.approx(1.2 / 1.1), "least_ratio": 1.0, "greatest_ratio": 3.0,
        "pairs": 3, "agrees": 1.0,
    }  # fmt: skip
    assert [tools.agreement([(ms, 1.0)])["agrees"] for ms in (0.89, 0.91, 1.09, 1.11)] == [0, 1, 1, 0]
    assert [tools.agreement([(ms, 0.1)])["agrees"] for ms in (0.07, 0.119, 0.121)] == [0, 1, 0]  # 20 µs of a call


def test_a_harness_that_measures_something_else_ends_with_7(bench_report: Any) -> None:
    """An engine's own benchmark that says another time fails the run and names the artefact."""
    row = bench_report().of("single", case="face")[0]
    for ratio in (1.05, 1.2):
        harness = dataclasses.replace(row, scenario="harness", figures=tools.agreement([(ratio, 1.0)]))
        report = bench_report(rows=(harness,))
        if ratio > 1 + tools.TOLERANCE:
            with pytest.raises(RegressionError, match=rf"got {row.candidate} 1\.20 times it"):
                tools.require_agreement(report)
        else:
            tools.require_agreement(report)


def test_the_harness_is_timed_in_pairs_with_each_engine_s_tool(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here, then the tool, so many times; each artefact by its own engine's, ONNX Runtime by none, the dead by none."""
    order: list[str] = []

    class Backend:
        def infer(self, batch: NDArray[np.float32]) -> None:
            assert batch.shape == (1, 1, 48, 48)
            order.append("here")

    def tool(model: Path, calls: int) -> float:
        assert (model, calls) == (Path("model"), 20)
        order.append("tool")
        return 1.0

    def broken(_model: Path, _calls: int) -> float:
        raise FerEdgeError("the tool", expected="exit code 0", got="1", next_step="see to it")

    ours = {
        engine: (SimpleNamespace(backend=Backend(), artefact=SimpleNamespace(engine=engine.split()[0])), Path("model"))
        for engine in ("onnx int8", "openvino int8", "openvino fp32", "tflite int8")
    }
    monkeypatch.setattr(tools, "TOOLS", {"openvino": ("a tool", tool), "tflite": ("another", broken)})
    living = session("onnx int8", "openvino int8", "tflite int8")
    found: list[Measured] = list(tools.harness(living, ours, 20))  # type: ignore[arg-type]
    assert [(m.case, list(m.samples)) for m in found] == [("a tool", ["openvino int8"]), ("another", [])]
    assert order.count("tool") == tools.PAIRS == 15
    here = ["here"] * 2 * (COLD + TURN)  # a turn of warm-up, and one
    assert order[: 3 * len(here) + 3] == [*here, "tool", "tool", *here, *here, "tool"]
    assert len(found[0].samples["openvino int8"][""]) == tools.PAIRS * TURN
    assert found[0].figures["openvino int8"]["pairs"] == tools.PAIRS
    assert living.died.keys() == {"another with tflite int8"}
    assert "the tool: expected exit code 0" in living.died["another with tflite int8"]
    assert "tflite int8" in living.candidates  # it is not what failed


def test_what_pairs_gave_before_a_side_died_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """An artefact that dies in the second pair has the first, and is a candidate no more."""
    left = 2 * (COLD + TURN) + 5

    class Backend:
        def infer(self, _batch: NDArray[np.float32]) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                message = "the engine is gone"
                raise RuntimeError(message)

    loaded = SimpleNamespace(backend=Backend(), artefact=SimpleNamespace(engine="tflite"))
    monkeypatch.setattr(tools, "TOOLS", {"tflite": ("a tool", lambda *_: 1.0)})
    dying = session("tflite int8")
    (measured,) = tools.harness(dying, {"tflite int8": (loaded, Path("model"))}, 20)  # type: ignore[dict-item]
    assert measured.figures["tflite int8"]["pairs"] == 1
    assert dying.died == {"tflite int8": "in harness: RuntimeError: the engine is gone"}
    assert dying.candidates == {}


def test_a_pipeline_that_dies_takes_no_network_with_it(tmp_path: Path) -> None:
    """``fer``'s two have one name: its network is measured on when its pipe has died, and the death is on record."""
    living = session(peers.FER)
    with contextlib.closing(FerProcess(environment(tmp_path, "echo 4.11.0; read n; exit 4"), tmp_path)) as process:
        (measured,) = peers.frames(living, [], process)
    assert measured.samples == {}
    assert living.candidates.keys() == {peers.FER}
    assert "exit code 4" in living.died[peers.FER]


def test_the_table_holds_frames_and_the_harness(bench_report: Any, tmp_path: Path) -> None:
    """Faces that were found, a long name, and a tool that does not agree are in it, no wider than a terminal.

    Its page is written, too, though the frames have no stages.
    """
    samples = np.random.default_rng(0).lognormal(0, 0.1, 200).tolist()
    name = "student-nano openvino int8"
    frame = Measured(
        scenario="frame", case="", faces=0, samples={name: {"": samples}}, figures={name: {"faces_found": 4.9}}
    )
    harness = Measured(
        scenario="harness", case="benchmark_app", faces=1, samples={name: {"": samples}},
        figures={name: tools.agreement([(1.0, 0.8), (1.2, 0.8), (0.9, 0.8)])},
    )  # fmt: skip
    rows = tuple(row for measured in (frame, harness) for row in rows_of(measured, ""))
    report: Report = dataclasses.replace(bench_report(), rows=rows)
    lines = table(report).splitlines()
    assert max(map(len, lines)) <= 120
    (whole,) = (line for line in lines if line.startswith(name) and line.endswith("4.9"))
    assert "detect" not in whole
    (held,) = (line for line in lines if line.startswith(name) and line.endswith("NO"))
    assert held.split()[-7:] == ["1.00", "0.800", "1.25", "[1.12,", "1.50]", "3", "NO"]
    write_page(report, tmp_path / "page.html")
    assert "A frame by stage" not in (tmp_path / "page.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("flag", "values"),
    [("--min-count", {"min_count": 0}), ("--min-seconds", {"min_seconds": -1.0}), ("--out", {"out": Path("a.txt")})],
)
def test_bad_options_are_refused(flag: str, values: dict[str, Any]) -> None:
    """Each names its flag."""
    with pytest.raises(UsageError, match=flag):
        peers.PeersOptions(**values)


def test_without_its_environment_it_ends_with_4(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line that says what make would have made, and no report."""
    out = tmp_path / "peers.json"
    monkeypatch.setattr(sys, "argv", ["peers", "--environment", str(tmp_path), "--out", str(out)])
    assert peers.main() == NotInstalledError.exit_code
    assert capsys.readouterr().err.startswith("peers: fer's network: expected")
    assert not out.exists()


def test_the_architectures_have_their_published_size() -> None:
    """EfficientNet-B0 has 5.29 M weights with ImageNet's 1,000 classes, MobileFaceNet at twice its width about 2.1 M.

    Of the first, 1,280 weights and a bias go with each class that is not there.
    """
    torch = pytest.importorskip("torch")
    from export.peer_networks import efficientnet_b0, mobilefacenet

    for network, side, millions in ((efficientnet_b0(), 224, 5.289 - 993 * 1281 / 1e6), (mobilefacenet(), 112, 2.1)):
        weights = sum(parameter.numel() for parameter in network.parameters())
        assert weights / 1e6 == pytest.approx(millions, rel=0.03)
        with torch.no_grad():
            assert network.eval()(torch.zeros(1, 3, side, side)).shape == (1, 7)
