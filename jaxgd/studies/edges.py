"""Whether what was best lies at the end of what was tried: then better may lie beyond."""

from typing import Any

import numpy as np


def edge_of(tried: Any, best: Any) -> str | None:
    """Which end of the values tried the best is, "lowest" or "highest"; None where it lies between them."""
    tried = np.asarray(tried)
    return "lowest" if best == tried.min() else "highest" if best == tried.max() else None
