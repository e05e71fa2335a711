"""Checkpoints and weights: what is saved comes back, what is broken is refused, a crash leaves the old file whole."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from torch import nn  # noqa: E402  (needs torch)

from edge_runtime.errors import DataError, SinkError  # noqa: E402
from train.checkpoint import (  # noqa: E402
    load_checkpoint,
    load_meta,
    load_shape,
    load_weights,
    save_checkpoint,
    save_weights,
)


def network(seed: int = 0, features: int = 3) -> nn.Module:
    """Return a tiny network with weights, running means and a counter."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(4, features), nn.BatchNorm1d(features))
    model(torch.randn(8, 4))  # moves the running means
    return model


def state(epochs_done: int = 3) -> dict[str, Any]:
    """Return what a run would save."""
    model = network()
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3)
    model(torch.randn(8, 4)).sum().backward()
    optimiser.step()
    return {"model": model.state_dict(), "optimiser": optimiser.state_dict(), "epochs_done": epochs_done}


def test_checkpoint_comes_back_bit_by_bit(tmp_path: Path) -> None:
    """Weights, the optimiser's moments and the number of epochs are the same after saving and loading."""
    saved = state()
    save_checkpoint(tmp_path / "checkpoint.pt", saved)
    loaded = load_checkpoint(tmp_path / "checkpoint.pt", "cpu")
    assert loaded["epochs_done"] == 3
    assert loaded["model"].keys() == saved["model"].keys()
    assert all(torch.equal(loaded["model"][name], value) for name, value in saved["model"].items())
    moments = saved["optimiser"]["state"]
    assert moments
    for index, parts in moments.items():
        assert all(torch.equal(loaded["optimiser"]["state"][index][name], value) for name, value in parts.items())
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]


@pytest.mark.parametrize("share", [0.0, 0.001, 0.01, 0.1, 0.5, 0.9, 0.999])
def test_truncated_checkpoint_is_refused(tmp_path: Path, share: float) -> None:
    """A checkpoint that lost its end, wherever it was cut, is refused with what to do."""
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, state())
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(DataError, match="cannot be resumed from: expected a whole checkpoint") as caught:
        load_checkpoint(path, "cpu")
    assert "delete it" in caught.value.next_step


@pytest.mark.parametrize("content", [b"text\n" * 20, b'{"a": 1}', b"\x80\x02", b"\x80\x02}q\x00.", bytes(2000)])
def test_file_that_is_no_checkpoint_is_refused(tmp_path: Path, content: bytes) -> None:
    """Whatever else is called a checkpoint is refused, not unpickled and not a traceback."""
    (tmp_path / "checkpoint.pt").write_bytes(content)
    with pytest.raises(DataError, match="cannot be resumed from"):
        load_checkpoint(tmp_path / "checkpoint.pt", "cpu")


class Touch:
    """Something whose unpickling makes a file: what a foreign checkpoint could do to whoever opens it."""

    def __init__(self, path: Path) -> None:
        """Keep the path."""
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_checkpoint_runs_no_code(tmp_path: Path) -> None:
    """A checkpoint that would run a function when unpickled is refused, and the function does not run."""
    torch.save({"model": Touch(tmp_path / "made")}, tmp_path / "checkpoint.pt")
    with pytest.raises(DataError, match="cannot be resumed from"):
        load_checkpoint(tmp_path / "checkpoint.pt", "cpu")
    assert not (tmp_path / "made").exists()


def test_missing_checkpoint_is_refused(tmp_path: Path) -> None:
    """A checkpoint that is not there is refused like a broken one."""
    with pytest.raises(DataError, match="No such file"):
        load_checkpoint(tmp_path / "checkpoint.pt", "cpu")


def test_full_disk_leaves_the_older_checkpoint_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When writing fails half-way, the checkpoint of the epoch before is still there and loads."""
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, state(epochs_done=3))
    before = path.read_bytes()

    def fill_the_disk(_state: Any, target: Path) -> None:
        Path(target).write_bytes(b"half a checkpoint")
        raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 896 vs 790")  # torch's words

    monkeypatch.setattr(torch, "save", fill_the_disk)
    with pytest.raises(
        SinkError,
        match=r"checkpoint\.pt cannot be written: expected a place that takes it, got torch could not write it",
    ):
        save_checkpoint(path, state(epochs_done=4))
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint.pt"]
    assert path.read_bytes() == before
    assert load_checkpoint(path, "cpu")["epochs_done"] == 3
    monkeypatch.undo()
    save_checkpoint(path, state(epochs_done=4))  # once there is room again
    assert load_checkpoint(path, "cpu")["epochs_done"] == 4


def test_weights_come_back_at_half_precision(tmp_path: Path) -> None:
    """Loaded weights are the saved ones rounded to half precision, in single precision; counters are exact."""
    model, other = network(seed=0), network(seed=1)
    save_weights(tmp_path, model, {"config": {"seed": 0}})
    load_weights(tmp_path, other)
    for name, value in model.state_dict().items():
        loaded = other.state_dict()[name]
        assert loaded.dtype == value.dtype
        assert torch.equal(loaded, value.half().float() if value.is_floating_point() else value)
    assert load_meta(tmp_path) == {"config": {"seed": 0}}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["weights.json", "weights.safetensors"]


def test_what_was_known_of_the_same_weights_stays_known(tmp_path: Path) -> None:
    """PrivateTest is read once for each model: a run given again leaves its figures; other weights have none."""
    save_weights(tmp_path, network(), {"config": {}, "public_test": 0.5})
    (tmp_path / "weights.json").write_text(json.dumps(load_meta(tmp_path) | {"private_test": 0.5}))
    save_weights(tmp_path, network(), {"config": {"seed": 0}, "public_test": 0.6})
    assert load_meta(tmp_path) == {"config": {"seed": 0}, "public_test": 0.6, "private_test": 0.5}
    (tmp_path / "weights.json").write_text("damaged")
    save_weights(tmp_path, network(), {"config": {"private_test": "none"}})
    save_weights(tmp_path, network(seed=1), {"config": {}})
    assert load_meta(tmp_path) == {"config": {}}


@pytest.mark.parametrize("share", [0.0, 0.005, 0.1, 0.5, 0.999])
def test_truncated_weights_are_refused(tmp_path: Path, share: float) -> None:
    """Weights that lost their end are refused, and the network keeps its own."""
    save_weights(tmp_path, network(), {})
    path = tmp_path / "weights.safetensors"
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    model = network(seed=1)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(DataError, match=r"weights\.safetensors cannot be loaded: expected weights of Sequential"):
        load_weights(tmp_path, model)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    """Weights of a wider network, and of a network with other layers, are refused."""
    save_weights(tmp_path, network(), {})
    for model in (network(features=5), nn.Linear(4, 3)):
        with pytest.raises(DataError, match="cannot be loaded"):
            load_weights(tmp_path, model)


def test_missing_weights_are_refused(tmp_path: Path) -> None:
    """A folder without weights, and no folder, say which folder to name."""
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(DataError, match="cannot be loaded") as caught:
            load_weights(folder, network())
        assert "--out folder of a finished run" in caught.value.next_step


def test_full_disk_leaves_the_older_weights_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When writing fails half-way, the older weights are still there and load."""
    save_weights(tmp_path, network(seed=0), {"config": {"seed": 0}})
    before = (tmp_path / "weights.safetensors").read_bytes()

    def fill_the_disk(path: Path, content: bytes) -> int:
        with path.open("wb") as file:
            file.write(content[:4])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fill_the_disk)
    with pytest.raises(SinkError, match=r"weights\.safetensors cannot be written: .*No space left"):
        save_weights(tmp_path, network(seed=1), {"config": {"seed": 1}})
    assert (tmp_path / "weights.safetensors").read_bytes() == before
    assert load_meta(tmp_path) == {"config": {"seed": 0}}


def test_others_may_read_weights(tmp_path: Path) -> None:
    """A colleague or a service exports them: both files have the rights that new files have."""
    save_weights(tmp_path, network(), {"config": {}})
    (tmp_path / "any").touch()
    assert len({file.stat().st_mode for file in tmp_path.iterdir()}) == 1


def test_a_disk_that_fills_up_between_weights_and_card_leaves_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """New weights never lie beside the card of older ones."""
    save_weights(tmp_path, network(seed=0), {"config": {"seed": 0}})
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def fill_the_disk(*_: Any, **__: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", fill_the_disk)
    with pytest.raises(SinkError, match="No space left"):
        save_weights(tmp_path, network(seed=1), {"config": {"seed": 1}})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    "content", [None, b"", b"{", b"\xff", b"[" * 100_000, b"[]", b"{}", b"3", b'{"config": 3}', b'{"config": []}']
)
def test_missing_or_malformed_meta_is_refused(tmp_path: Path, content: bytes | None) -> None:
    """A weights.json that is missing, empty, cut, no text, nested without end or without options is refused."""
    if content is not None:
        (tmp_path / "weights.json").write_bytes(content)
    with pytest.raises(DataError, match=r"weights\.json cannot be read: expected what the weights are, as JSON"):
        load_meta(tmp_path)


def test_shape_of_the_network_is_read(tmp_path: Path) -> None:
    """The shape is the part of the saved configuration that was asked for."""
    (tmp_path / "weights.json").write_text('{"shape": "student", "config": {"student": {"widths": [4, 8]}}}')
    assert load_shape(tmp_path, "student") == {"widths": [4, 8]}


def test_a_full_model_from_before_there_was_a_choice_halves_the_face(tmp_path: Path) -> None:
    """A stride changes no tensor's shape: weights that do not say theirs would load and compute something else."""
    for said, stride in (({}, 2), ({"stem_stride": 1}, 1)):
        (tmp_path / "weights.json").write_text(json.dumps({"shape": "model", "config": {"model": said}}))
        assert load_shape(tmp_path, "model") == {"stem_stride": stride}


@pytest.mark.parametrize(
    "meta",
    [{"shape": "model", "config": {"model": {}, "student": {}}}, {"shape": "student", "config": {}}, {"config": {}}],
)
def test_weights_of_another_kind_of_run_are_refused(tmp_path: Path, meta: Any) -> None:
    """A teacher's folder named where a student's is needed, or a foreign weights.json, is told as that."""
    (tmp_path / "weights.json").write_text(json.dumps(meta), encoding="utf-8")
    with pytest.raises(DataError, match="holds other weights: expected those of a student"):
        load_shape(tmp_path, "student")
