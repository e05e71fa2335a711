"""Labelled faces to figures: readers of face data and the metrics computed from predictions."""
