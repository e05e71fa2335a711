"""Faces to probabilities: labels, the bundle contract, normalisation and the inference engines."""
