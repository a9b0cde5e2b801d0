"""Puts the scripts' folder on the path: they import one another as a script does."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))
