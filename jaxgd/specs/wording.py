"""How names and numbers of a comparison are written, the same in the sentence, the terminal and the page."""

import math

# A difference of so small a loss is written with a power of ten.
_MOST_DECIMALS = 5


def batch_text(batch_size: int, num_train: int) -> str:
    """The name of a batch size: "batch 32", or "full batch" where it is every training example."""
    return "full batch" if batch_size == num_train else f"batch {batch_size}"


def regime_text(batch_size: int, num_train: int) -> str:
    """The regime's usual name: BGD for the full batch, SGD for single examples, else the batch size."""
    if batch_size == num_train:
        return "BGD"
    return "SGD" if batch_size == 1 else f"batch {batch_size}"


def score_text(value: float, low: float, high: float, score: str) -> str:
    """A score and its interval: "97.8 % (96.2 to 98.9)" of a fraction, "0.243 (0.231 to 0.256)" of a loss.

    Without an interval, where its ends are not known. A loss is shown to the second digit of its interval.
    """
    if math.isnan(value):
        return "diverged"
    places = _decimals(high - low) if score == "loss" else 1
    unit, factor = ("", 1) if score == "loss" else (" %", 100)
    ends = "" if math.isnan(low + high) else f" ({factor * low:.{places}f} to {factor * high:.{places}f})"
    return f"{factor * value:.{places}f}{unit}{ends}"


def gap_text(gap: float, low: float, high: float, score: str) -> str:
    """By how much one is better (+) or worse: "+0.3 points, -0.2 to +0.8"; a loss in its units."""
    if math.isnan(gap):
        return "unknown"
    places = _decimals(high - low) if score == "loss" else 1
    style = ".1e" if places > _MOST_DECIMALS else f".{places}f"
    unit, factor = ("", 1) if score == "loss" else (" points", 100)
    ends = "" if math.isnan(low + high) else f", {_end(factor * low, style)} to {_end(factor * high, style)}"
    return f"{factor * gap:+{style}}{unit}{ends}"


def _end(value: float, style: str) -> str:
    """An end of an interval; "?" where nothing is known of it."""
    return f"{value:+{style}}" if math.isfinite(value) else "?"


def margin_text(margin: float, score: str) -> str:
    """A difference that does not count: "0.5 points" of a fraction, "0.0049" of a loss."""
    return f"{margin:.2g}" if score == "loss" else f"{100 * margin:.2g} points"


def count_text(count: int, noun: str) -> str:
    """A count and its noun: "1 epoch", "21,560 updates"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def list_text(words: list[str]) -> str:
    """Words as a list in prose: "a", "a and b", "a, b and c"."""
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]


def _decimals(width: float) -> int:
    """Decimals that show two digits of an interval's half width; four where there is none to go by."""
    if not math.isfinite(width) or width <= 0:
        return 4
    return min(max(1 - math.floor(math.log10(width / 2)), 0), 8)
