"""A folder of weights to the network that they are of: the full model or a student."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from distill.config import StudentConfig
from distill.student import Student
from edge_runtime.errors import DataError
from edge_runtime.options import from_plain
from train.checkpoint import load_meta, load_shape, load_weights
from train.config import ModelConfig
from train.evaluate import predict
from train.model import FullModel


def load_network(folder: Path, shape: str | None = None) -> nn.Module:
    """Build the network that a finished run left in ``folder``, in evaluation mode.

    ``shape``: the kind that is asked for, ``model`` or ``student``; None takes either. Raises ``DataError`` when the
    folder holds another kind, or no whole weights.
    """
    shape = shape or str(load_meta(folder).get("shape"))
    network: nn.Module
    if shape == "student":
        network = Student(from_plain(StudentConfig, load_shape(folder, shape)))
    elif shape == "model":
        network = FullModel(from_plain(ModelConfig, load_shape(folder, shape)))
    else:
        step = "name the --out folder of a finished run"
        raise DataError(f"{folder} holds other weights", expected="model or student", got=shape, next_step=step)
    load_weights(folder, network)
    return network.eval()


def take_in(digest: hashlib._Hash, network: nn.Module) -> None:
    """Let ``digest`` depend on every weight of the network."""
    for value in network.state_dict().values():
        digest.update(value.cpu().numpy().tobytes())


def predictor(folder: Path, threads: int) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    """Return the function from faces uint8 (n, 48, 48) to logits float32 (n, 7) of the weights in ``folder``."""
    torch.set_num_threads(threads)
    # the layout that convolutions on a CPU are a third faster in (torch has no type for this call)
    network = load_network(folder).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return partial(predict, network)
