"""How updates to a goal and their intervals are written, in sentences, tables and on a page."""

import math


def steps_text(value: float, found: str = "reached") -> str:
    """Updates or examples: "1,417", "97.4", "at least 85.2", or why there is no number."""
    if math.isnan(value):
        return found
    return ("" if found == "reached" else f"{found} ") + _count(value)


def ends_text(low: float, high: float, nothing: str = "") -> str:
    """An interval: "69.4 to 137", "43.1 to no upper end"; `nothing` where it is not known."""
    if math.isnan(low) or math.isnan(high):
        return nothing
    return f"{_count(low)} to {_count(high) if math.isfinite(high) else 'no upper end'}"


def _count(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
