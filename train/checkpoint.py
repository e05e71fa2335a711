"""Checkpoints and weights on disk: written beside their name and renamed, so that a crash leaves the old one whole."""

from __future__ import annotations

import json
import pickle
import struct
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from edge_runtime.errors import DataError

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


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write everything that a run needs to go on."""
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(path)


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
    """Write ``weights.safetensors`` (half precision, as published weights are) and ``weights.json`` (what they are)."""
    partial = folder / "weights.partial"
    halves = {name: value.half() if value.is_floating_point() else value for name, value in model.state_dict().items()}
    save_file({name: value.cpu().contiguous() for name, value in halves.items()}, partial)
    partial.replace(folder / "weights.safetensors")
    partial.write_text(json.dumps(meta, indent=1) + "\n", encoding="utf-8")
    partial.replace(folder / "weights.json")


def load_weights(folder: Path, model: nn.Module) -> None:
    """Load ``weights.safetensors`` of ``folder`` into ``model``.

    Raise ``DataError`` when they are missing or do not fit.
    """
    path = folder / "weights.safetensors"
    try:
        model.load_state_dict(
            {name: value.float() if value.is_floating_point() else value for name, value in load_file(path).items()}
        )
    except (OSError, SafetensorError, RuntimeError) as error:
        step = "name the --out folder of a finished run of the same shape"
        raise DataError(
            f"{path} cannot be loaded", expected=f"weights of {type(model).__name__}", got=str(error), next_step=step
        ) from error


def load_meta(folder: Path) -> dict[str, Any]:
    """Read ``weights.json`` of ``folder``; raise ``DataError`` when it is missing or malformed."""
    path = folder / "weights.json"
    try:
        meta: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        step = "name the --out folder of a finished run"
        raise DataError(
            f"{path} cannot be read", expected="what the weights are, as JSON", got=str(error), next_step=step
        ) from error
    return meta


def load_shape(folder: Path, part: str) -> dict[str, Any]:
    """Return ``config.<part>`` of ``weights.json``: the shape of the network that the run trained.

    Raise ``DataError`` when the run trained another kind of network.
    """
    meta = load_meta(folder)
    try:
        kind, shape = meta["shape"], meta["config"][part]
    except (KeyError, TypeError) as error:
        kind, shape = str(error), {}
    if kind != part:
        step = "name a run of the full model as a teacher, and of the student for the export"
        raise DataError(f"{folder} holds other weights", expected=f"those of a {part}", got=kind, next_step=step)
    built: dict[str, Any] = shape
    return built
