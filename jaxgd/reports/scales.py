"""Scales for pictures of scores: where a value stands on an axis, and what is written beside the axis."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

# Steps within a decade, the roundest first: ticks are taken in this order until the axis is full.
STEPS = ((1.0,), (5.0, 2.0), (3.0, 4.0, 6.0, 7.0, 8.0, 9.0), tuple(np.arange(1.1, 10, 0.1).round(1)))


class ScoreScale(NamedTuple):
    """A scale for one score: `position` is what is plotted, `ticks` what is written beside it.

    Fractions stand at -log10(1 - value) and losses at log10(value), so that 97 % and 98 % can be told apart
    and a bad start does not flatten what follows. Other scores stand at their value.
    """

    kind: str  # "fraction", "loss", "plain" or "plain loss" (one that can be 0 or negative)
    floor: float  # the least error rate or loss that is shown

    @property
    def better(self) -> int:
        """1 where better scores stand higher, -1 where they stand lower."""
        return -1 if self.kind in ("loss", "plain loss") else 1

    @property
    def note(self) -> str:
        """What a reader must know to read distances on the scale; empty for a plain scale."""
        notes = {
            "fraction": "The scale is logarithmic in the error rate: it stretches towards 100 %.",
            "loss": "The scale is logarithmic; lower is better.",
            "plain loss": "Lower is better.",
        }
        return notes.get(self.kind, "")

    def position(self, values) -> np.ndarray:
        """Where the values stand; NaN where a value is NaN."""
        values = np.asarray(values, float)
        if self.kind == "fraction":
            return -np.log10(np.maximum(1 - values, self.floor))
        return np.log10(np.maximum(values, self.floor)) if self.kind == "loss" else values

    def text(self, value: float) -> str:
        """The value as a reader knows it: "97.8 %" or "0.243"."""
        if math.isnan(value):
            return "diverged"
        return f"{100 * value:.1f} %" if self.kind == "fraction" else f"{value:.3g}"

    def ticks(self, low: float, high: float) -> tuple[list[float], list[str]]:
        """Positions and texts of about six round values between the positions low and high."""
        if self.kind.startswith("plain"):
            values = round_values(low, high)
            return values, [f"{value:.10g}" for value in values]
        sign = -1 if self.kind == "fraction" else 1
        exponents = sorted((sign * low, sign * high))
        places = [sign * place for place in log_places(exponents[0], exponents[1])]
        inverse = (
            (lambda p: f"{100 * (1 - 10**-p):.4g} %") if self.kind == "fraction" else lambda p: f"{10**p:.3g}"
        )
        return places, [inverse(place) for place in places]


def score_scale(values, measure: str, num_examples: int) -> ScoreScale:
    """The scale that fits values of a measure ("loss", "accuracy") averaged over num_examples."""
    finite = np.asarray(values, float)
    finite = finite[np.isfinite(finite)]
    if measure == "loss":
        positive = finite[finite > 0]
        usable = positive.size == finite.size and positive.size > 0
        return ScoreScale("loss", float(positive.min())) if usable else ScoreScale("plain loss", 0.0)
    if finite.size and finite.min() >= 0 and finite.max() <= 1:
        # No error in n examples is shown as half an error.
        return ScoreScale("fraction", 1 / (2 * num_examples))
    return ScoreScale("plain", 0.0)


def log_places(low: float, high: float, most: int = 7) -> list[float]:
    """Base-10 logarithms of at most `most` round numbers between 10**low and 10**high, well apart."""
    apart = (high - low) / most
    places: list[float] = []
    for steps in STEPS:
        for decade in range(math.floor(low), math.ceil(high) + 1):
            for step in steps:
                place = decade + math.log10(step)
                inside = low - 1e-9 <= place <= high + 1e-9
                if inside and all(abs(place - other) >= apart for other in places):
                    places.append(place)
        if len(places) >= 3:
            break
    return sorted(places)


def round_values(low: float, high: float, most: int = 6) -> list[float]:
    """At most about `most` multiples of a round step between low and high."""
    step = 10 ** math.floor(math.log10(max(high - low, 1e-12)))
    step *= next(f for f in (0.1, 0.2, 0.5, 1, 2) if (high - low) / (step * f) <= most)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{n * step:.12g}") for n in range(first, last + 1)]


def thin(count: int, most: int) -> list[int]:
    """At most `most` of the indices 0..count-1, evenly apart, the first and the last among them."""
    return sorted(set(np.linspace(0, count - 1, min(count, most)).round().astype(int).tolist()))


def rounded(values, digits: int = 4) -> list:
    """Python numbers of so many digits, nested like the array; None where a value is not finite."""
    values = np.asarray(values)
    if values.ndim > 1:
        return [rounded(row, digits) for row in values]
    return [float(f"{value:.{digits}g}") if np.isfinite(value) else None for value in values]


def seconds_text(seconds: float) -> str:
    """A duration: "3.2 µs", "12 ms", "1.5 s", "12 min"."""
    if seconds >= 120:
        return f"{seconds / 60:.0f} min"
    small = f"{seconds / 1e-9:.2g} ns" if seconds > 0 else "0 s"
    return _in_units(seconds, {"s": 1, "ms": 1e-3, "µs": 1e-6}) or small


def short_count(count: float) -> str:
    """A large number, short: "850", "22 k", "1.5 M"."""
    return _in_units(count, {"G": 1e9, "M": 1e6, "k": 1e3}) or f"{count:.3g}"


def log_text(value: float) -> str:
    """A number beside a logarithmic axis: "50 k", "0.2", "2 · 10⁻⁵"."""
    exponent = math.floor(math.log10(value) + 1e-9)
    factor = round(value / 10.0**exponent, 1)
    if -3 <= exponent < 10 and (factor, exponent) != (1, -3):
        return short_count(value)
    power = f"10<sup>{exponent}</sup>".replace("-", "−")
    return power if factor == 1 else f"{factor:g} · {power}"


def bytes_text(count: float) -> str:
    """A size in decimal units: "850 B", "230 kB", "1.5 MB"."""
    return _in_units(count, {"GB": 1e9, "MB": 1e6, "kB": 1e3}, digits=3) or f"{count:.0f} B"


def _in_units(value: float, units: Mapping[str, float], digits: int = 2) -> str:
    """The value in the first of the units, the largest first, of which it is one or more; else empty."""
    texts = (
        f"{float(f'{value / unit:.{digits}g}'):g} {name}"
        for name, unit in units.items()
        if value >= 0.9995 * unit
    )
    return next(texts, "")
