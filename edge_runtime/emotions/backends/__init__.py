"""The inference engines behind one protocol; each module imports its engine, and nothing else does."""
