"""Addresses to frames: cameras, video files, pictures, and a clip made from a picture."""

from edge_runtime.sources.address import open_source

__all__ = ["open_source"]
