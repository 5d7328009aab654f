"""Points drawn from ranges: random, Sobol and Latin hypercube draws for an axis of points."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxgd.arguments import as_integer, one_of, seed_number, whole_number

METHODS = ("sobol", "latin", "random")
_MOST_ROUNDS = 16


class Range(NamedTuple):
    """Where one name's values are drawn from: built by `uniform`, `log_uniform` or `int_uniform`.

    name: of what built it, with low and high as they were given. value_at: the value at a place in [0, 1).
    num_values: how many there are, infinite for real numbers.
    """

    name: str
    low: Any
    high: Any
    value_at: Callable[[float], Any]
    num_values: float = math.inf

    def __repr__(self):
        return f"{self.name}({self.low}, {self.high})"


def uniform(low: float, high: float) -> Range:
    """Real numbers from low to high, all as likely.

    Raises:
        ValueError, TypeError: numbers that are not finite, or low that is not below high.
    """
    low, high = _ends("uniform", low, high)
    return Range("uniform", low, high, lambda place: low + place * (high - low))


def log_uniform(low: float, high: float) -> Range:
    """Real numbers from low to high whose logarithms are all as likely: for learning rates.

    Raises:
        ValueError, TypeError: numbers that are not finite and above 0, or low that is not below high.
    """
    low, high = _ends("log_uniform", low, high, least=0)
    return Range("log_uniform", low, high, lambda place: _between_logs(low, high, place))


def int_uniform(low: int, high: int, log: bool = False) -> Range:
    """Whole numbers from low to high, both included, all as likely; with `log`, about as likely by logarithm.

    Raises:
        ValueError, TypeError: numbers that are not whole, low that is not below high, or is 0 with `log`.
    """
    first, last = as_integer(low), as_integer(high)
    if first is None or last is None:
        raise TypeError(f"int_uniform needs whole numbers, got {low if first is None else high!r}")
    _ends("int_uniform", first, last, least=0 if log else -math.inf)
    count = last - first + 1
    if log:
        return Range("int_uniform", first, last, lambda place: _int_between_logs(first, count, place), count)
    return Range("int_uniform", first, last, lambda place: first + int(place * count), count)


def draw(
    num: int, ranges: Mapping[str, Range | Sequence[Any]], method: str = "sobol", seed: int = 0
) -> list[dict[str, Any]]:
    """So many points, each a dict, for an axis of points: `axes={"point": points, "seed": [0, 1, 2]}`.

    Sobol draws (scrambled) cover the ranges more evenly than random ones: of any power of two of them, as
    many lie in each half, quarter and so on of every range. The first n draws are the same whatever `num`
    is. Latin hypercube draws are even in each range by itself. No point occurs twice.

    Args:
        num: how many, 1 or more.
        ranges: by name, `uniform(low, high)`, `log_uniform(low, high)`, `int_uniform(low, high)`, or a list
            of values that are all as likely.
        method: "sobol", "latin" or "random".
        seed: a whole number from 0 to 2**32 - 1.

    Raises:
        ValueError, TypeError: no name, a value that is no range, a seed out of range, more points than
            there are.

    Source: Sobol' 1967, scrambled as Owen 1998; McKay, Beckman and Conover 1979.

    Example:
        >>> points = jaxgd.draw(64, {"learning_rate": jaxgd.log_uniform(1e-4, 1), "width": [32, 64]})
        >>> points[0]
        {'learning_rate': 0.00436..., 'width': 64}
    """
    num, seed = whole_number("num", num), seed_number("seed", seed)
    if not isinstance(ranges, Mapping) or not ranges:
        raise ValueError(f"ranges must have at least one name with its range, got {ranges!r}")
    known = {name: _as_range(name, given) for name, given in ranges.items()}
    most = math.prod(entry.num_values for entry in known.values())
    if num > most:
        raise ValueError(f"num is {num}, but the ranges have only {most:.0f} different points")
    one_of("method", method, METHODS)
    return _different_points(num, known, _places_by(method, len(known), np.random.default_rng(seed)))


def _different_points(num: int, ranges: Mapping[str, Range], places: Callable) -> list[dict[str, Any]]:
    """The first `num` points without repeats: discrete values meet again."""
    found: dict[str, dict[str, Any]] = {}
    for _ in range(_MOST_ROUNDS):
        for row in places(num):
            named = zip(ranges.items(), row.tolist(), strict=True)
            point = {name: entry.value_at(place) for (name, entry), place in named}
            found.setdefault(repr(point), point)
        if len(found) >= num:
            return list(found.values())[:num]
    raise ValueError(f"num is {num}, but the ranges gave only {len(found)} different points: ask for fewer")


def _places_by(method: str, num_names: int, rng: np.random.Generator) -> Callable[[int], np.ndarray]:
    """`(num) -> float[num or more, names]`: the next places in the unit cube."""
    from scipy.stats import qmc

    if method == "random":
        return lambda num: rng.random((num, num_names))
    if method == "latin":
        return qmc.LatinHypercube(num_names, rng=rng).random
    # Only at powers of two are Sobol points even; of what is made beyond `num` the first are taken.
    sobol = qmc.Sobol(num_names, rng=rng)
    return lambda num: sobol.random(2 ** math.ceil(math.log2(num)))


def _as_range(name: Any, given: Any) -> Range:
    if not isinstance(name, str):
        raise TypeError(f"ranges must have names that are strings, got {name!r}")
    if isinstance(given, Range):
        return given
    if isinstance(given, np.ndarray | jax.Array):
        # Of a short float tolist would give another number than was typed.
        exact = given.dtype.kind in "biuU" or given.dtype == np.float64
        given = np.asarray(given).tolist() if exact else list(np.atleast_1d(np.asarray(given)))
    if isinstance(given, str) or not isinstance(given, Sequence) or not given:
        raise TypeError(
            f"ranges[{name!r}] must be uniform(low, high), log_uniform(low, high), int_uniform(low, high) or "
            f"a list of values, got {given!r}"
        )
    values = list(given)
    return Range("choice", values[0], values[-1], lambda place: values[int(place * len(values))], len(values))


def _ends(name: str, low: Any, high: Any, least: float = -math.inf) -> tuple[float, float]:
    """Both ends as floats, checked: finite, above `least`, in order."""
    for end in (low, high):
        if isinstance(end, bool | str) or not hasattr(end, "__float__"):
            raise TypeError(f"{name} needs numbers, got {end!r}")
    low, high = float(low), float(high)
    above = "" if math.isinf(least) else f" above {least:g}"
    if not (math.isfinite(low) and math.isfinite(high) and low > least and low < high):
        raise ValueError(
            f"{name} needs two finite numbers{above}, the lower one first, got {low:g} and {high:g}"
        )
    return low, high


def _between_logs(low: float, high: float, place: float) -> float:
    value = math.exp(math.log(low) + place * (math.log(high) - math.log(low)))
    return min(max(value, low), high)  # rounding may lead out


def _int_between_logs(first: int, count: int, place: float) -> int:
    return min(int(_between_logs(first, first + count, place)), first + count - 1)
