"""The device side: camera to faces to emotions."""
