"""In which arithmetic a network learns."""

from __future__ import annotations

import dataclasses
from typing import TypeVar

import torch

from train.config import FitConfig

Config = TypeVar("Config", bound=FitConfig)


def resolved(config: Config) -> Config:
    """Return the options with ``--precision auto`` decided: bf16 where the device multiplies it in units of its own.

    Elsewhere it is emulated, and up to three times slower than fp32: on GPUs before Ampere and CPUs without AMX.
    """
    if config.precision != "auto":
        return config
    if config.device == "cuda":
        units = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        units = torch.cpu.get_capabilities().get("amx_bf16", False)
    return dataclasses.replace(config, precision="bf16" if units else "fp32")


def autocast(config: FitConfig) -> torch.autocast:
    """Return the context of forward passes in the arithmetic of ``config``, which is resolved."""
    return torch.autocast(config.device, torch.bfloat16, enabled=config.precision == "bf16")
