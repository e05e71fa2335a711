"""Several processes as one run: ``torchrun`` starts them, each trains on its share of every step's faces."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from edge_runtime.errors import UsageError
from edge_runtime.options import require
from train.config import FitConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    """This process among those of the run; alone it is number 0 of 1."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process evaluates, writes and prints."""
        return self.rank == 0

    def say(self, text: str) -> None:
        """Print once, however many processes there are."""
        if self.leads:
            print(text, flush=True)

    def together(self, module: nn.Module) -> nn.Module:
        """Wrap ``module`` so that its gradients are averaged over the processes."""
        return DistributedDataParallel(module) if self.size > 1 else module

    def mean(self, value: torch.Tensor) -> torch.Tensor:
        """Average a tensor over the processes."""
        if self.size > 1:
            distributed.all_reduce(value)
            value /= self.size
        return value

    def agree(self, name: str, value: int) -> int:
        """Return what all processes find alike; raise ``UsageError`` where they do not: their folders differ."""
        if self.size > 1:
            found = torch.zeros(self.size, dtype=torch.long)
            found[self.rank] = value
            device = "cuda" if distributed.get_backend() == "nccl" else "cpu"
            distributed.all_reduce(found := found.to(device))
            if found.min() != found.max():
                expected, step = f"the same {name} in each process", "name a folder that all hosts share"
                raise UsageError("--out", expected=expected, got=str(found.tolist()), next_step=step)
        return value

    @contextmanager
    def one_by_one(self) -> Iterator[None]:
        """Let the leading process do the block before the others: what it leaves on disk they find."""
        if self.size > 1 and not self.leads:
            distributed.barrier()
        yield
        if self.size > 1 and self.leads:
            distributed.barrier()


@contextmanager
def team(config: FitConfig) -> Iterator[Team]:
    """Join the processes that ``torchrun`` started, for as long as the run lasts; without it, train alone.

    On CUDA each process takes the GPU of its local rank (NCCL), on the CPU they talk through gloo.
    """
    if config.device == "cuda" and not torch.cuda.is_available():
        step = "take --device cpu"
        raise UsageError("--device cuda", expected="a GPU that torch can use", got="none", next_step=step)
    torch.backends.cudnn.benchmark = True  # a run's steps are all of one shape, or two
    if config.threads:
        torch.set_num_threads(config.threads)
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Team()
        return
    require("batch", config.batch, holds=config.batch % size == 0, expected=f"a multiple of the {size} processes")
    if config.device == "cuda":
        number, there = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
        if number >= there:
            step = "start fewer with --nproc-per-node"
            raise UsageError("torchrun", expected=f"at most {there} processes", got=f"{number + 1}", next_step=step)
        torch.cuda.set_device(number)
    # while the leader labels the views the others wait: for hours, and not for ever
    distributed.init_process_group("nccl" if config.device == "cuda" else "gloo", timeout=timedelta(days=1))
    try:
        yield Team(rank=distributed.get_rank(), size=size)
    finally:
        distributed.destroy_process_group()
