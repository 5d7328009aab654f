"""Workers import `own_sweep` by its name, and so do the tests here."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
