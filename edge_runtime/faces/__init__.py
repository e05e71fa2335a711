"""Frames to aligned 48×48 grey faces: the detectors and the one crop rule."""
