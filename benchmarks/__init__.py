"""Latency and accuracy of bundles, measured on the files that ship."""
