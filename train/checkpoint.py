"""Checkpoints and weights on disk: written beside their name and renamed, so that a crash leaves the old one whole."""

from __future__ import annotations

import contextlib
import dataclasses
import filecmp
import json
import pickle
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from edge_runtime.errors import DataError, UsageError
from edge_runtime.files import whole, write_text
from edge_runtime.options import to_plain
from train.config import FitConfig

# what the unpickler raises is whatever the broken bytes make it stumble over
_BROKEN = (
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    pickle.UnpicklingError,
    struct.error,
)


# where and for how long a run goes on may change; what it computes may not. What it began with and learns from is known
# by the checkpoint itself and by the hash of the targets in it. Whether it simulates int8 may not, from where may
_MAY_CHANGE = {
    "data",
    "out",
    "device",
    "precision",
    "epochs",
    "threads",
    "ferplus",
    "targets",
    "teachers",
    "start_from",
}


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write everything that a run needs to go on; raise ``SinkError`` when the disk does not take it."""
    with whole(path) as partial:
        try:
            torch.save(state, partial)
        except RuntimeError as error:  # torch reports a full disk as this, too
            raise OSError(f"torch could not write it: {str(error)[:200]}") from error


def goes_on(config: FitConfig) -> bool:
    """Whether the run has a checkpoint to go on from: what it begins with is then of no account."""
    return config.epochs > 0 and (config.out / "checkpoint.pt").exists()


def check_same_run(config: FitConfig) -> None:
    """Refuse to go on with a checkpoint of ``config.out`` under options that would make another run of it."""
    if not (config.out / "checkpoint.pt").exists():
        return
    path = config.out / "config.json"
    try:
        before: dict[str, Any] = dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        step = "name another --out"
        what = f"{path} cannot be read"
        raise DataError(what, expected="the options of the run", got=str(error), next_step=step) from error
    now = _flat(json.loads(json.dumps(to_plain(config))))
    before = _flat(_defaults(config)) | _flat(before)  # what was no option yet is as if it had not been given
    if now.get("quantise_from") and before.get("quantise_from"):
        before["quantise_from"] = now["quantise_from"]
    other = [name for name in {**now, **before} if name not in _MAY_CHANGE and now.get(name) != before.get(name)]
    if other:
        got = "; ".join(f"{name} {now.get(name)} instead of {before.get(name)}" for name in other)
        step = "give the options that the run was started with, or name another --out"
        raise UsageError(f"the run in {config.out}", expected="the same options", got=got, next_step=step)


def _defaults(config: Any) -> dict[str, Any]:  # noqa: ANN401  (any dataclass of options)
    """Return the options' defaults, those of groups too, as JSON holds them; what has none is left out."""
    fields = {field.name: field for field in dataclasses.fields(config)}
    made = {name: f.default_factory() for name, f in fields.items() if f.default_factory is not dataclasses.MISSING}
    given = {name: f.default for name, f in fields.items() if f.default is not dataclasses.MISSING}
    plain: dict[str, Any] = json.loads(json.dumps(to_plain(made | given)))
    return plain


def _flat(plain: dict[str, Any]) -> dict[str, Any]:
    """Name the options of groups one by one: {"model": {"dropout": 0.2}} is {"model.dropout": 0.2}."""
    found: dict[str, Any] = {}
    for name, value in plain.items():
        found |= {f"{name}.{key}": inner for key, inner in value.items()} if isinstance(value, dict) else {name: value}
    return found


def resume(
    path: Path,
    objective: nn.Module,
    averaged: nn.Module,
    optimiser: torch.optim.Optimizer,
    config: FitConfig,
    data_sha256: str,
) -> int:
    """Load a checkpoint into all that an epoch starts from; return the number of epochs done."""
    state = load_checkpoint(path, config.device)
    step = "name another --out, or give the options and the data that the run was started with"
    try:
        objective.load_state_dict(state["objective"])
        averaged.load_state_dict(state["averaged"])
        optimiser.load_state_dict(state["optimiser"])
        for group in optimiser.param_groups:  # the checkpoint may be of another device
            if "capturable" in group:
                group["capturable"] = config.device == "cuda"
        epochs_done, learned_from = int(state["epochs_done"]), str(state["data_sha256"])
    except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
        what = f"{path} is of another network"
        raise DataError(what, expected="weights of this one", got=str(error)[:300], next_step=step) from error
    if learned_from != data_sha256:
        raise DataError(f"{path} is of other data", expected=learned_from, got=data_sha256, next_step=step)
    if epochs_done > config.epochs:
        expected, step = f"at least the {epochs_done} that are done", "raise it, or name another --out"
        raise UsageError("--epochs", expected=expected, got=str(config.epochs), next_step=step)
    return epochs_done


def load_checkpoint(path: Path, device: str) -> dict[str, Any]:
    """Read a checkpoint; raise ``DataError`` when it is truncated or not one."""
    try:
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    except _BROKEN as error:
        step = "delete it to start the run anew"
        raise DataError(
            f"{path} cannot be resumed from", expected="a whole checkpoint", got=str(error), next_step=step
        ) from error
    return state


def save_weights(folder: Path, model: nn.Module, meta: dict[str, Any]) -> None:
    """Write ``weights.safetensors`` (half precision, as published weights are) and ``weights.json`` (what they are).

    What else was known of the very same weights stays known: PrivateTest is read once for each model.
    """
    halves = {name: value.half() if value.is_floating_point() else value for name, value in model.state_dict().items()}
    if too_large := [name for name, value in halves.items() if not value.isfinite().all()]:
        step = "train with a lower --learning-rate"
        raise DataError("weights", expected="finite in half precision", got=", ".join(too_large), next_step=step)
    # neither gets its name before both are written
    with whole(folder / "weights.safetensors") as partial:
        # not its save_file, which leaves a file that its owner alone may read
        partial.write_bytes(save({name: value.cpu().contiguous() for name, value in halves.items()}))
        if _is_same(partial, folder / "weights.safetensors"):
            with contextlib.suppress(DataError):  # a damaged card knows nothing
                meta = load_meta(folder) | meta
        write_text(folder / "weights.json", json.dumps(meta, indent=1) + "\n")


def _is_same(file: Path, other: Path) -> bool:
    return other.is_file() and filecmp.cmp(file, other, shallow=False)


def load_weights(folder: Path, model: nn.Module) -> None:
    """Load ``weights.safetensors`` of ``folder`` into ``model``.

    Raise ``DataError`` when they are missing or do not fit.
    """
    path = folder / "weights.safetensors"
    try:
        state = {name: v.float() if v.is_floating_point() else v for name, v in load_file(path).items()}
        model.load_state_dict(state)
    except (OSError, SafetensorError, RuntimeError) as error:
        step = "name the --out folder of a finished run of the same shape and version"
        what, expected, got = (
            f"{path} cannot be loaded",
            f"weights of {type(model).__name__}",
            " ".join(f"{error}".split()),
        )
        raise DataError(what, expected=expected, got=got, next_step=step) from error
    if broken := [name for name, value in state.items() if not value.isfinite().all()]:
        step = "train anew"
        raise DataError(f"{path}", expected="numbers alone", got=f"none in {', '.join(broken)}", next_step=step)


def load_mean(folders: Sequence[Path], model: nn.Module, stem_stride: int | None) -> None:
    """Load the mean of the weights of ``folders``, at least one, into ``model`` (model soups, Wortsman et al. 2022).

    It is as good as they are where they have one beginning in common. ``stem_stride``: a full model's, which shows in
    no tensor's shape. Raises ``DataError`` where it is another one, and as ``load_weights`` does.
    """
    states = []
    for folder in folders:
        if stem_stride and (found := load_shape(folder, "model")["stem_stride"]) != stem_stride:
            expected = f"those of a stem of stride {stem_stride}"
            step = f"name runs of that stride; fer-edge train takes another, --stem-stride {found}"
            raise DataError(f"{folder} holds other weights", expected=expected, got=str(found), next_step=step)
        load_weights(folder, model)
        states.append({name: value.clone() for name, value in model.state_dict().items()})
    for name, value in model.state_dict().items():
        if value.is_floating_point():  # batch norm's counters of steps stay those of the last
            value.copy_(torch.stack([state[name] for state in states]).mean(0))


def load_meta(folder: Path) -> dict[str, Any]:
    """Read ``weights.json`` of ``folder``; raise ``DataError`` when it is missing or malformed."""
    path = folder / "weights.json"
    try:
        meta: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        meta["config"].keys()  # the run's options, by name
    except (OSError, ValueError, RecursionError, LookupError, TypeError, AttributeError) as error:
        step, got = "name the --out folder of a finished run", getattr(error, "strerror", None) or str(error)
        raise DataError(
            f"{path} cannot be read", expected="what the weights are, as JSON", got=got, next_step=step
        ) from error
    return meta


def load_shape(folder: Path, part: str) -> dict[str, Any]:
    """Return ``config.<part>`` of ``weights.json``: the shape of the network that the run trained.

    Raise ``DataError`` when the run trained another kind of network.
    """
    meta = load_meta(folder)
    shape: dict[str, Any] | None = meta["config"].get(part)
    if meta.get("shape") != part or not isinstance(shape, dict):
        got, step = str(meta.get("shape")), f"name the folder of a run that trained a {part}"
        raise DataError(f"{folder} holds other weights", expected=f"those of a {part}", got=got, next_step=step)
    # full models were trained at half the resolution before there was a choice
    return {"stem_stride": 2} | shape if part == "model" else shape
