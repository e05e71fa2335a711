"""Results to people and programs: annotated video and JSON lines."""

from edge_runtime.sinks.address import open_sink

__all__ = ["open_sink"]
