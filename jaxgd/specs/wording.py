"""How names and numbers of a comparison are written, the same in the sentence, the terminal and the page."""

import math


def batch_text(batch_size: int, num_train: int) -> str:
    """The name of a batch size: "batch 32", or "full batch" where it is every training example."""
    return "full batch" if batch_size == num_train else f"batch {batch_size}"


def regime_text(batch_size: int, num_train: int) -> str:
    """The regime's usual name: BGD for the full batch, SGD for single examples, else the batch size."""
    if batch_size == num_train:
        return "BGD"
    return "SGD" if batch_size == 1 else f"batch {batch_size}"


def score_text(value: float, halfwidth: float, score: str) -> str:
    """A score and its interval: "97.8 % ± 0.4" for a fraction, "test loss 0.2431 ± 0.0042" for a loss.

    A loss is shown to the second digit of its halfwidth, a fraction in percent to one decimal.
    """
    if math.isnan(value):
        return "diverged"
    if score == "loss":
        places = _decimals(halfwidth)
        spread = "" if math.isnan(halfwidth) else f" ± {halfwidth:.{places}f}"
        return f"test loss {value:.{places}f}{spread}"
    spread = "" if math.isnan(halfwidth) else f" ± {100 * halfwidth:.1f}"
    return f"{100 * value:.1f} %{spread}"


def halfwidth_text(halfwidth: float, score: str) -> str:
    """A halfwidth alone: "± 0.6" (percentage points), or "± 0.0042" for a loss."""
    return f"± {halfwidth:.{_decimals(halfwidth)}f}" if score == "loss" else f"± {100 * halfwidth:.1f}"


def difference_text(difference: float, halfwidth: float, score: str) -> str:
    """A signed difference and its halfwidth: "-0.3 ± 0.6" (percentage points), "+0.001 ± 0.004" (loss)."""
    if math.isnan(difference):
        return "diverged"
    value = f"{difference:+.{_decimals(halfwidth)}f}" if score == "loss" else f"{100 * difference:+.1f}"
    return f"{value} {halfwidth_text(halfwidth, score)}"


def count_text(count: int, noun: str) -> str:
    """A count and its noun: "1 epoch", "21,560 updates"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def list_text(words: list[str]) -> str:
    """Words as a list in prose: "a", "a and b", "a, b and c"."""
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]


def _decimals(halfwidth: float) -> int:
    """Decimals that show two digits of a halfwidth; four where there is none to go by."""
    if not math.isfinite(halfwidth) or halfwidth <= 0:
        return 4
    return min(max(1 - math.floor(math.log10(halfwidth)), 0), 8)
