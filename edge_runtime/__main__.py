"""``python -m edge_runtime`` is ``fer-edge``."""

from edge_runtime.cli import console

console()
