"""How many updates of the noisy quadratic reach a goal, at each batch size's best learning rate."""

import math
from typing import Any, NamedTuple

import numpy as np

from jaxgd.arguments import whole_number
from jaxgd.studies.edges import edge_of
from jaxgd.studies.theory.quadratics import checked_method, coordinates
from jaxgd.studies.theory.second_moments import MomentMap, after, losses_by_update, squarings

# So many updates are looked at one by one, so many at a time; later ones in brackets, 16 to an octave.
_ONE_BY_ONE = 4096
_AT_ONCE = 256
_PER_OCTAVE = 16


class StepsToGoal(NamedTuple):
    """The first update after which the expected loss is at the goal, at the best rate, by batch size.

    Attributes:
        batch_size: float64[n].
        steps: float64[n], updates; infinite where no rate gets there.
        learning_rate: float64[n], the rate that is first, the smallest of several; NaN where none is.
        edge: [n], "lowest" or "highest" where that rate is the end of the grid, and better may lie beyond;
            None elsewhere.
    """

    batch_size: np.ndarray
    steps: np.ndarray
    learning_rate: np.ndarray
    edge: list[str | None]


def steps_to_goal(
    h: Any,
    c: Any,
    goal: float,
    batch_sizes: Any,
    learning_rates: Any,
    *,
    s0: Any = 1.0,
    momentum: float = 0.0,
    nesterov: bool = False,
    averaging: float | None = None,
    preconditioner: Any = 1.0,
    most: int = 2**26,
) -> StepsToGoal:
    """The updates to an expected loss of `goal` or less at each batch size, best over the learning rates.

    Exact for SGD, and for every method in the first 4,096 updates. Later ones are searched in brackets of a
    sixteenth of an octave for the first that is at the goal, as if what is left of the start only shrank
    within a bracket: so it does once the oscillations of momentum have died away.

    Args:
        h: as in `expected_loss`, and so c, s0, momentum, nesterov, averaging and preconditioner.
        c: of one example.
        goal: the expected loss to reach, above 0.
        batch_sizes: [n] or a number, above 0.
        learning_rates: the grid, [rates] or a number, above 0, in any order.
        s0: E x² before the first update.
        momentum: from 0 to below 1.
        nesterov: whether the update looks ahead.
        averaging: the decay of the average whose loss counts; None: that of x.
        preconditioner: what each coordinate's gradient is multiplied by.
        most: updates after which the search ends, 1 or more.

    Raises:
        ValueError: an argument out of its range.

    Example:
        >>> import jaxgd, numpy as np
        >>> rates = np.geomspace(0.01, 1.9, 60)
        >>> found = jaxgd.studies.steps_to_goal([1, 0.3, 0.04], [1, 0.6, 0.08], 0.02, [1, 16, 256], rates)
        >>> found.steps.tolist()
        [387.0, 27.0, 5.0]
    """
    h = coordinates("h", h, above_0=True)
    c, s0 = coordinates("c", c, like=h), coordinates("s0", s0, like=h)
    if not 0 < goal < math.inf:
        raise ValueError(f"goal must be finite and above 0, got {goal!r}")
    sizes = coordinates("batch_sizes", np.atleast_1d(batch_sizes), above_0=True)
    rates = np.sort(coordinates("learning_rates", np.atleast_1d(learning_rates), above_0=True))
    update = checked_method(momentum, nesterov, averaging, preconditioner, h).update(h, rates)
    most = whole_number("most", most)

    search = _Search(goal, sizes, rates, h * s0 / 2, h * c / 2, update.at_first, update.counts)
    if h @ s0 / 2 <= goal:
        search.found(np.arange(len(sizes)), 0, 0)
    following = losses_by_update(update, search.by_start, search.by_noise)
    made = 0
    while search.open.size and made < min(most, _ONE_BY_ONE):
        count = min(_AT_ONCE, most - made)
        search.one_by_one(made, *following(count))
        made += count
    if search.open.size and made < most:
        search.in_brackets(squarings(update.map, max(made.bit_length(), most.bit_length())), made, most)
    steps, places = search.steps, search.places
    best = np.where(places < 0, np.nan, rates[places])
    edges = [None if place < 0 else edge_of(rates, rates[place]) for place in places]
    return StepsToGoal(sizes, steps, best, edges if len(rates) > 1 else [None] * len(sizes))


class _Search:
    """The first updates at the goal, as far as they are known: steps [sizes] and places of rates, -1 if none.

    open: the places of the batch sizes that are still searched for.
    """

    def __init__(self, goal, sizes, rates, by_start, by_noise, at_first, counts):
        self.goal, self.sizes, self.by_start, self.by_noise = goal, sizes, by_start, by_noise
        self.at_first, self.counts = at_first, counts
        self.steps, self.places = np.full(len(sizes), np.inf), np.full(len(sizes), -1)
        self.open = np.arange(len(sizes))

    def found(self, places: Any, steps: int, rate: int) -> None:
        """Close the search at these batch sizes."""
        self.steps[places], self.places[places] = steps, rate
        self.open = np.setdiff1d(self.open, places)

    def losses(self, done: MomentMap) -> tuple[np.ndarray, np.ndarray]:
        """`(bias, noise)` [...] after the updates: the loss at batch size B is `bias + noise / B`."""
        with np.errstate(over="ignore", invalid="ignore"):
            left = done.matrix[..., self.counts, :] @ self.at_first
            return left**2 @ self.by_start, done.added[..., self.counts, self.counts] @ self.by_noise

    def one_by_one(self, made: int, bias: np.ndarray, noise: np.ndarray) -> None:
        """Look at the losses [updates, rates] after the updates that follow the first `made`."""
        for place in self.open:
            reached = bias + noise / self.sizes[place] <= self.goal
            if reached.any():
                first = int(reached.any(axis=1).argmax())
                self.found(place, made + first + 1, int(reached[first].argmax()))

    def in_brackets(self, powers: list[MomentMap], made: int, most: int) -> None:
        """Look at the updates after the first `made`, up to `most`."""
        done = after(powers[0], made)
        level = made.bit_length() - 1 - _PER_OCTAVE.bit_length() + 1
        losses = self.losses(done)
        while self.open.size and made < most:
            with np.errstate(over="ignore", invalid="ignore"):
                then = done.then(powers[level])
            later = self.losses(then)
            for place in self.open:
                if not (losses[1] / self.sizes[place] <= self.goal).any():  # the noise only grows
                    self.open = np.setdiff1d(self.open, place)
                    continue
                self._in_bracket(place, powers, level, made, done, losses, later, most)
            done, losses, made = then, later, made + 2**level
            level += made == 2 ** (level + _PER_OCTAVE.bit_length())

    def _in_bracket(self, place, powers, level, made, done, losses, later, most):
        """Look for the first update at the goal in the 2**level after `made`, of the rates that may be."""
        size, best = self.sizes[place], (math.inf, -1)
        for rate in np.flatnonzero(later[0] + losses[1] / size <= self.goal):
            own = [MomentMap(power.matrix[rate], power.added[rate]) for power in powers[: level + 1]]
            begin = MomentMap(done.matrix[rate], done.added[rate])
            step = self._first(own, size, level, made, begin, losses[1][rate], best[0])
            best = min(best, (step, int(rate)))
        if best[0] <= most:
            self.found(place, int(best[0]), best[1])

    def _first(self, powers, size, level, made, done, noise, before) -> float:
        """The first update at the goal in the 2**level after `made` and before `before`, or infinity."""
        if made + 1 >= before:
            return math.inf
        then = done.then(powers[level])
        bias, later_noise = self.losses(then)
        if bias + noise / size > self.goal:
            return math.inf
        if level == 0:
            return made + 1 if bias + later_noise / size <= self.goal else math.inf
        step = self._first(powers, size, level - 1, made, done, noise, before)
        if step < math.inf:
            return step
        middle = done.then(powers[level - 1])
        noise = self.losses(middle)[1]
        return self._first(powers, size, level - 1, made + 2 ** (level - 1), middle, noise, before)
