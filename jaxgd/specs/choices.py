"""The arguments of a comparison, checked once: `check_choices` for all, a function for each, one clear line.

Only plain Python here, so that the command line rejects bad input before jax is loaded.
"""

import math
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple

from jaxgd.arguments import NUM_SEEDS, as_integer, seed_number, whole_number
from jaxgd.specs.presets import ALL_OPTIMIZERS, DEFAULT, LEARNING_RATES, STUDY, Rates, Sizes, study_rates


class Seeds(NamedTuple):
    """Which seeds a comparison runs.

    first: the first of all. num_tuning: runs per rate. num_fresh: runs of each best rate in the first round.
    most: the most of them, in later rounds. seconds: that later rounds may take.
    """

    first: int
    num_tuning: int
    num_fresh: int
    most: int
    seconds: float

    @property
    def tuning(self) -> range:
        """The seeds that rates are chosen on."""
        return range(self.first, self.first + self.num_tuning)

    def fresh(self, begin: int, end: int) -> range:
        """Fresh seeds, none of which chose a rate: those from number `begin` to before number `end`."""
        return range(self.tuning.stop + begin, self.tuning.stop + end)

    @property
    def rounds(self) -> list[int]:
        """How many fresh seeds a cell has at most after each round: twice as many each time."""
        counts = [self.num_fresh]
        while counts[-1] < self.most:
            counts.append(min(2 * counts[-1], self.most))
        return counts


class Choices(NamedTuple):
    """What a comparison tries, checked as far as it can be before the data are read."""

    optimizers: tuple[str, ...]
    batch_sizes: tuple[int | str, ...] | None  # None: the preset's, as far as the data allow
    learning_rates: dict[str, Rates]
    epochs: int
    seeds: Seeds
    margin: float | None  # None: what the scores call for
    preset: Sizes

    def batch_sizes_of(self, num_train: int) -> tuple[int | str, ...]:
        """The batch sizes for so many training examples."""
        if self.batch_sizes is not None:
            return check_batch_sizes(self.batch_sizes, num_train)
        return tuple(size for size in self.preset.batch_sizes if size == "full" or int(size) < num_train)


def check_choices(
    optimizers: str | Iterable[str] | None = None,
    batch_sizes: int | str | Iterable[int | str] | None = None,
    learning_rates: Iterable[float] | Mapping[str, Iterable[float]] | None = None,
    epochs: int | None = None,
    seeds: int | None = None,
    fresh_seeds: int | None = None,
    first_seed: int | None = None,
    max_seeds: int | None = None,
    max_seconds: float | None = None,
    margin: float | None = None,
    preset: Sizes = DEFAULT,
) -> Choices:
    """The arguments of `compare`, checked; the preset's where one is None."""
    names = preset.optimizers if optimizers is None else check_optimizers(optimizers)
    return Choices(
        names,
        None if batch_sizes is None else check_batch_sizes(batch_sizes),
        check_learning_rates(learning_rates, names),
        whole_number("epochs", preset.epochs if epochs is None else epochs),
        check_seeds(seeds, fresh_seeds, first_seed, max_seeds, max_seconds, preset),
        None if margin is None else _check_number("margin", margin),
        preset,
    )


def check_study(
    optimizers: Any = None,
    batch_sizes: Any = None,
    learning_rates: Any = None,
    epochs: Any = None,
    tuning_seeds: Any = None,
    seeds: Any = None,
    first_seed: Any = None,
    margin: Any = None,
) -> Choices:
    """The arguments of `study`, checked as far as they can be before the data are read."""
    choices = check_choices(
        optimizers,
        batch_sizes,
        learning_rates,
        epochs,
        seeds=tuning_seeds,
        fresh_seeds=seeds,
        first_seed=first_seed,
        margin=margin,
        preset=STUDY,
    )
    if learning_rates is not None:
        return choices
    return choices._replace(learning_rates=study_rates(choices.optimizers))


def check_seeds(
    seeds: int | None,
    fresh_seeds: int | None,
    first_seed: int | None,
    max_seeds: int | None,
    max_seconds: float | None,
    preset: Sizes = DEFAULT,
) -> Seeds:
    """How many seeds, from which on; the preset's where one is None."""
    fresh = whole_number("fresh_seeds", preset.fresh_seeds if fresh_seeds is None else fresh_seeds)
    most = max(preset.max_seeds, fresh) if max_seeds is None else whole_number("max_seeds", max_seeds)
    if most < fresh:
        raise ValueError(f"max_seeds must be fresh_seeds or more, {fresh}, got {most}")
    found = Seeds(
        seed_number("first_seed", 0 if first_seed is None else first_seed),
        whole_number("seeds", preset.seeds if seeds is None else seeds),
        fresh,
        most,
        preset.max_seconds if max_seconds is None else _check_number("max_seconds", max_seconds),
    )
    if found.fresh(0, most).stop > NUM_SEEDS:
        raise ValueError(f"first_seed must leave all seeds below 2**32, got {found.first}")
    return found


def _check_number(name: str, value: Any) -> float:
    """The value as a float; raises unless it is a finite number, 0 or more."""
    if isinstance(value, bool | str) or not hasattr(value, "__float__"):
        raise TypeError(f"{name} must be a number, 0 or more, got {value!r}")
    if not 0 <= float(value) < math.inf:
        raise ValueError(f"{name} must be a finite number, 0 or more, got {float(value):g}")
    return float(value)


def check_margin(margin: float | None, score: str) -> None:
    """Raises where no difference can reach the margin: of an accuracy, which is a fraction, above 1."""
    if margin is not None and margin > 1 and score == "accuracy":
        raise ValueError(f"margin must be from 0 to 1 for an accuracy, got {margin:g}; 0.05 is five points")


def check_optimizers(optimizers: str | Iterable[str] | None) -> tuple[str, ...]:
    """Names of optimizers; None is the preset, "all" is all but adamw, which repeats adam here."""
    if optimizers is None:
        return DEFAULT.optimizers
    if optimizers == "all":
        return ALL_OPTIMIZERS
    names = (optimizers,) if isinstance(optimizers, str) else tuple(optimizers)
    if not names:
        raise ValueError("optimizers is empty; at least one name is needed")
    for name in names:
        if name not in LEARNING_RATES:
            near = get_close_matches(str(name), LEARNING_RATES, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(LEARNING_RATES)}"
            raise ValueError(f"optimizers: unknown optimizer {name!r}; {hint}")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"optimizers has {twice!r} twice; each name is given once")
    return names


def check_learning_rates(
    learning_rates: Iterable[float] | Mapping[str, Iterable[float]] | None, optimizers: tuple[str, ...]
) -> dict[str, Rates]:
    """Each optimizer's rates, ascending: its preset, one grid for all, or its own; all equally long."""
    given: Any = LEARNING_RATES if learning_rates is None else learning_rates
    if isinstance(given, Mapping):
        if missing := [name for name in optimizers if name not in given]:
            raise ValueError(
                f"learning_rates has no rates for {missing[0]!r}; give them for each of {optimizers}"
            )
        grids = {name: _check_rates(f"learning_rates[{name!r}]", given[name]) for name in optimizers}
    else:
        rates = _check_rates("learning_rates", given)
        grids = dict.fromkeys(optimizers, rates)
    if len({len(rates) for rates in grids.values()}) > 1:
        counts = ", ".join(f"{name} has {len(rates)}" for name, rates in grids.items())
        raise ValueError(f"learning_rates: {counts}; each optimizer needs as many as the others")
    return grids


def _check_rates(name: str, rates) -> Rates:
    is_one = isinstance(rates, int | float) or not hasattr(rates, "__iter__")
    rates = (rates,) if is_one else tuple(rates)  # pyright: ignore[reportArgumentType]
    if not rates:
        raise ValueError(f"{name} is empty; at least one rate is needed")
    for rate in rates:
        if isinstance(rate, bool | str) or not hasattr(rate, "__float__"):
            raise TypeError(f"{name} has {rate!r}; numbers above 0 are needed")
        if not (math.isfinite(float(rate)) and float(rate) > 0):
            raise ValueError(f"{name} has {float(rate):g}; a finite number above 0 is needed")
    return tuple(sorted({float(rate) for rate in rates}))


def check_batch_sizes(
    batch_sizes: int | str | Iterable[int | str], num_train: int | None = None
) -> tuple[int | str, ...]:
    """Batch sizes as given, each once: whole numbers from 1 to the number of training examples, or "full"."""
    is_one = isinstance(batch_sizes, str) or as_integer(batch_sizes) is not None
    sizes: tuple[Any, ...] = (batch_sizes,) if is_one else tuple(batch_sizes)  # pyright: ignore
    if not sizes:
        raise ValueError('batch_sizes is empty; at least one size or "full" is needed')
    limit = "" if num_train is None else f" to {num_train}, the number of training examples"
    allowed = f'allowed: "full", or whole numbers from 1{limit}'
    seen = {}
    for size in sizes:
        count = None if isinstance(size, str) else as_integer(size)
        if size != "full" and count is None:
            raise TypeError(f"batch_sizes has {size!r}; {allowed}")
        if count is not None and (count < 1 or (num_train is not None and count > num_train)):
            raise ValueError(f"batch_sizes has {size}; {allowed}")
        # A size equal to the number of training examples is the full batch under another name.
        seen.setdefault("full" if count in (None, num_train) else count)
    return tuple(seen)
