"""The device side: camera to faces to emotions.

>>> from edge_runtime import Recogniser, open_source

Importing it imports the standard library and numpy alone; OpenCV and the inference engines come with their first use.
"""

from edge_runtime.recogniser import Recogniser
from edge_runtime.results import Face, Frame, FrameResult
from edge_runtime.sources import open_source

__all__ = ["Face", "Frame", "FrameResult", "Recogniser", "open_source"]
