"""The engines behind one protocol: which are there, which is taken, and how an absent or broken one is told."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from edge_runtime.emotions import classifier, selftest
from edge_runtime.emotions.backends.base import ENGINES, installed_engines, open_backend
from edge_runtime.emotions.backends.null import NullBackend
from edge_runtime.emotions.classifier import SHIPPED, EmotionClassifier, bundle_folder, choose
from edge_runtime.emotions.contract import CARD_NAME, Engine, ModelCard, read_card
from edge_runtime.errors import BundleError, NotInstalledError, UsageError


def forget(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    """Take a package and all its modules out of the loaded ones, for this test."""
    for name in list(sys.modules):
        if name == package or name.startswith(package + "."):
            monkeypatch.delitem(sys.modules, name)


class Without:
    """A finder of modules that finds nothing of the hidden packages, as if they were not installed."""

    def __init__(self, finder: Any, hidden: tuple[str, ...]) -> None:
        """Stand before ``finder``."""
        self.finder, self.hidden = finder, hidden

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Find what is not hidden."""
        return None if name.partition(".")[0] in self.hidden else self.finder.find_spec(name, path, target)


def hide(monkeypatch: pytest.MonkeyPatch, engine: Engine) -> None:
    """Make the engine's packages absent for this test."""
    for package in (ENGINES[engine].module, *ENGINES[engine].needs):
        forget(monkeypatch, package)
    monkeypatch.setattr(sys, "meta_path", [Without(finder, ENGINES[engine].needs) for finder in sys.meta_path])


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2, reason="one core")
def test_threads_that_wait_leave_the_processor_to_others() -> None:
    """After an inference on two threads none of them is busy: what runs next has both cores."""
    network = EmotionClassifier.load("student", engine="onnx", precision="int8", threads=2)
    for _ in range(20):
        network.probabilities(selftest.faces(1, 1))
    began_s = time.process_time()
    time.sleep(0.2)
    assert time.process_time() - began_s < 0.01
    network.close()


def test_the_table_prefers_the_smallest_install() -> None:
    """TFLite, which runs everywhere, stands first."""
    assert list(ENGINES) == ["tflite", "onnx", "openvino"]


@pytest.mark.parametrize("engine", ENGINES)
def test_absent_engine_names_its_package_and_extra(monkeypatch: pytest.MonkeyPatch, engine: Engine) -> None:
    """An engine that is not installed says which package is missing and which extra brings it."""
    hide(monkeypatch, engine)
    with pytest.raises(NotInstalledError) as caught:
        open_backend(engine, [b"", b""], 1)
    assert caught.value.what == f"engine {engine}"
    assert caught.value.expected == f"the package {ENGINES[engine].needs[0]}"
    assert caught.value.next_step == f"in the checkout, pip install '.[{engine}]'"
    assert caught.value.exit_code == 4


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("source", "kind", "message"),
    [
        ("import module_that_is_nowhere", ModuleNotFoundError, "No module named 'module_that_is_nowhere'"),
        ("raise ImportError('libgomp.so.1: cannot open')", ImportError, "libgomp.so.1: cannot open"),
        ("raise OSError('illegal instruction')", OSError, "illegal instruction"),
    ],
)
def test_broken_engine_is_not_called_absent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, engine: Engine, source: str, kind: type[Exception], message: str
) -> None:
    """Any other failure inside an installed engine is passed on as it is: no pip install would mend it."""
    package = ENGINES[engine].needs[0]
    forget(monkeypatch, ENGINES[engine].module)
    forget(monkeypatch, package)
    (tmp_path / f"{package}.py").write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(kind, match=message) as caught:
        open_backend(engine, [b"", b""], 1)
    assert type(caught.value) is kind


def test_missing_part_of_the_backend_itself_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """A backend module that is missing is a fault of the program, not an engine to install."""
    monkeypatch.setitem(sys.modules, ENGINES["onnx"].module, None)
    with pytest.raises(ModuleNotFoundError) as caught:
        open_backend("onnx", [b""], 1)
    assert caught.value.name == ENGINES["onnx"].module


def test_installed_engines_are_those_with_a_package_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine is installed when one of its packages is, and the order is the table's."""
    there = {"tflite_runtime", "openvino"}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object() if name in there else None)
    assert installed_engines() == ("tflite", "openvino")
    there |= {"onnxruntime"}
    assert installed_engines() == ("tflite", "onnx", "openvino")
    there.clear()
    assert installed_engines() == ()


def test_hidden_engine_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real look-up leaves out an engine whose package cannot be found, without importing anything."""
    before = installed_engines()
    hide(monkeypatch, "onnx")
    assert installed_engines() == tuple(engine for engine in before if engine != "onnx")


@pytest.fixture
def card(valid_card: str, tmp_path: Path) -> ModelCard:
    """Read the valid card, which has onnx int8 and openvino fp16, with tflite int8 added."""
    plain = json.loads(valid_card)
    plain["artefacts"].append(plain["artefacts"][0] | {"engine": "tflite"})
    (tmp_path / CARD_NAME).write_text(json.dumps(plain), encoding="utf-8")
    return read_card(tmp_path)


@pytest.mark.parametrize(
    ("installed", "precision", "taken"),
    [
        (("tflite", "onnx", "openvino"), "int8", "tflite int8"),
        (("onnx", "openvino"), "int8", "onnx int8"),
        (("tflite", "onnx", "openvino"), "fp16", "openvino fp16"),
    ],
)
def test_auto_takes_the_first_installed_engine_with_an_artefact(
    monkeypatch: pytest.MonkeyPatch,
    card: ModelCard,
    installed: tuple[Engine, ...],
    precision: Literal["fp16", "int8"],
    taken: str,
) -> None:
    """Auto goes by the order of the engines, not of the artefacts, and passes over an engine that has none."""
    monkeypatch.setattr(classifier, "installed_engines", lambda: installed)
    assert str(choose(card, "auto", precision)) == taken


@pytest.mark.parametrize("installed", [(), ("tflite", "onnx")])
def test_auto_without_a_fitting_engine_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, card: ModelCard, installed: tuple[Engine, ...]
) -> None:
    """When no installed engine has an artefact, the message names those that have and an extra that brings one."""
    monkeypatch.setattr(classifier, "installed_engines", lambda: installed)
    with pytest.raises(NotInstalledError) as caught:
        choose(card, "auto", "fp16")
    assert caught.value.expected == "one of openvino"
    assert caught.value.next_step == "in the checkout, pip install '.[openvino]'"


def test_an_explicit_engine_is_taken_installed_or_not(monkeypatch: pytest.MonkeyPatch, card: ModelCard) -> None:
    """What was asked for by name is taken; that it is not installed shows when it is opened."""
    monkeypatch.setattr(classifier, "installed_engines", lambda: ())
    assert str(choose(card, "onnx", "int8")) == "onnx int8"


@pytest.mark.parametrize(("engine", "precision"), [("onnx", "fp32"), ("openvino", "int8"), ("auto", "fp32")])
def test_absent_artefact_is_refused_with_the_list(
    card: ModelCard, engine: Engine, precision: Literal["fp32", "int8"]
) -> None:
    """An artefact that the bundle lacks is never replaced by another; the message lists those that it has."""
    with pytest.raises(BundleError) as caught:
        choose(card, engine, precision)
    assert caught.value.what == f"{engine} {precision} of bundle toy"
    assert caught.value.expected == "one of onnx int8, openvino fp16, tflite int8"


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("content", [b"", b"no network at all " * 20], ids=["empty", "junk"])
def test_file_that_is_no_network_is_a_bundle_error(
    valid_card: str, tmp_path: Path, engine: Engine, content: bytes
) -> None:
    """A file with the right sha256 that the engine cannot load refuses the bundle, whatever the engine raises."""
    for package in ENGINES[engine].needs[:1]:
        pytest.importorskip(package)
    names = ["net.xml", "net.bin"] if engine == "openvino" else ["net"]
    plain = json.loads(valid_card)
    files = {name: hashlib.sha256(content).hexdigest() for name in names}
    plain["artefacts"] = [plain["artefacts"][0] | {"engine": engine, "files": files}]
    (tmp_path / CARD_NAME).write_text(json.dumps(plain), encoding="utf-8")
    for name in names:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(BundleError, match=f"{engine} int8 of .*expected a network that the engine loads"):
        EmotionClassifier.load(tmp_path, engine=engine)


@pytest.mark.parametrize("bundle", ["nowhere", "..", ".", "", "a/b", "a" * 5000])
def test_only_a_shipped_name_means_a_shipped_bundle(bundle: str) -> None:
    """What is not the name of a shipped bundle is a path, and no name leads out of the shipped bundles."""
    assert bundle_folder(bundle) == Path(bundle)


def test_shipped_name_wins_over_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A bare name is looked up among the shipped bundles; the same name written as a path is not."""
    assert SHIPPED.parent.name == "edge_runtime"
    monkeypatch.setattr(classifier, "SHIPPED", tmp_path)
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / CARD_NAME).touch()
    assert bundle_folder("toy") == tmp_path / "toy"
    assert bundle_folder(Path("toy")) == tmp_path / "toy"
    assert bundle_folder("./toy") == Path("toy")
    assert bundle_folder("elsewhere/toy") == Path("elsewhere/toy")


def test_null_backend_answers_zeros() -> None:
    """The null backend answers one row of seven zeros a face."""
    logits = NullBackend().infer(np.ones((3, 1, 48, 48), np.float32))
    assert (logits.shape, logits.dtype, logits.any()) == ((3, 7), np.float32, np.False_)


@pytest.mark.parametrize(("distribution", "parts"), [("ai-edge-litert", [8, 1]), ("tflite-runtime", [1] * 9)])
def test_the_older_interpreter_computes_one_face_at_a_time(
    monkeypatch: pytest.MonkeyPatch, distribution: str, parts: list[int]
) -> None:
    """Its kernels for eight are wrong on some boards."""
    tflite, called = pytest.importorskip("edge_runtime.emotions.backends.tflite"), []
    monkeypatch.setattr(tflite.TfliteBackend, "name", distribution)
    compute = tflite._Signature.__call__
    monkeypatch.setattr(
        tflite._Signature, "__call__", lambda self, batch: called.append(len(batch)) or compute(self, batch)
    )
    with contextlib.closing(EmotionClassifier.load(engine="tflite")) as loaded:
        called.clear()
        loaded.logits(selftest.faces(3, 9))
    assert called == parts


@pytest.mark.parametrize("engine", ENGINES)
def test_an_answer_is_the_caller_s_whatever_the_next_batch_is(engine: Engine) -> None:
    """More, fewer and other faces afterwards change neither an earlier answer nor their own."""
    pytest.importorskip(ENGINES[engine].module)
    faces = selftest.faces(3, 9)
    with contextlib.closing(EmotionClassifier.load(engine=engine, precision="int8")) as loaded:
        parts = [loaded.logits(faces[first:last]) for first, last in ((0, 1), (1, 9), (2, 4), (0, 1))]
        one_by_one = np.concatenate([loaded.logits(face[None]) for face in faces])
    for part, (first, last) in zip(parts, ((0, 1), (1, 9), (2, 4), (0, 1)), strict=True):
        np.testing.assert_allclose(part, one_by_one[first:last], atol=1e-4)
    assert not np.shares_memory(parts[0], parts[3])


def test_other_devices_are_openvino_s_alone(toy_bundle: Path) -> None:
    """Another engine on a GPU, and a GPU that is not there, are usage errors; AUTO takes OpenVINO, and is the CPU's."""
    with pytest.raises(UsageError, match="--device GPU: expected the engine openvino, got onnx"):
        EmotionClassifier.load(toy_bundle, engine="onnx", precision="fp32", device="GPU")
    ov = pytest.importorskip("openvino")
    if not any(name.startswith("GPU") for name in ov.Core().available_devices):
        with pytest.raises(UsageError, match="expected a GPU that OpenVINO can use, got CPU"):
            EmotionClassifier.load(toy_bundle, engine="openvino", precision="fp32", device="GPU")
    faces = selftest.faces(3, 5)
    cpu = EmotionClassifier.load(toy_bundle, engine="openvino", precision="fp32").logits(faces)
    auto = EmotionClassifier.load(toy_bundle, precision="fp32", device="AUTO")
    assert auto.artefact.engine == "openvino"
    np.testing.assert_allclose(auto.logits(faces), cpu, atol=1e-3)
    compiled = auto.backend._single.get_compiled_model()
    assert compiled.get_property("DEVICE_PROPERTIES")["CPU"]["INFERENCE_NUM_THREADS"] == 1


@pytest.mark.parametrize("engine", ENGINES)
def test_closing_twice_is_closing_once(toy_bundle: Path, engine: Engine) -> None:
    """Also by hand within a ``with`` block."""
    pytest.importorskip(ENGINES[engine].module)
    loaded = EmotionClassifier.load(toy_bundle, engine=engine)
    loaded.close()
    loaded.close()


@pytest.mark.parametrize("threads", [0, -1])
def test_less_than_one_thread_is_refused(toy_bundle: Path, threads: int) -> None:
    """No engine is asked, whose messages would blame the bundle."""
    with pytest.raises(UsageError, match="--threads is out of range: expected at least 1"):
        EmotionClassifier.load(toy_bundle, threads=threads)
