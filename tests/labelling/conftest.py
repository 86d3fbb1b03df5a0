"""What the labelling tests share: a deterministic model, and ways to run jobs with it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
