"""``python -m edge_runtime`` is ``fer-edge``."""

import sys

from edge_runtime.cli import main

sys.exit(main())
