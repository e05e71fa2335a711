"""In which arithmetic a network learns."""

from __future__ import annotations

import torch

from train.config import FitConfig


def autocast(config: FitConfig) -> torch.autocast:
    """Return the context of forward passes: bfloat16 where ``--precision`` says so or, by itself, where that is faster.

    That is on a GPU, and on a processor with matrix units for it (AMX); elsewhere it is up to three times slower than
    float32.
    """
    units = config.device == "cuda" or torch.cpu.get_capabilities().get("amx_bf16", False)
    wanted = config.precision == "bf16" or (config.precision == "auto" and units)
    return torch.autocast(config.device, torch.bfloat16, enabled=wanted)
