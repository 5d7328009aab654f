"""How many updates of the noisy quadratic reach a goal, at each batch size's best learning rate."""

import math
from typing import Any, NamedTuple

import numpy as np

from jaxgd.arguments import whole_number
from jaxgd.studies.edges import edge_of
from jaxgd.studies.theory.quadratics import checked_method, coordinates
from jaxgd.studies.theory.second_moments import LossPath, MomentMap, squarings

# At least so many updates, a power of 2, are looked at one by one, so many at a time.
_ONE_BY_ONE = 4096
_AT_ONCE = 256
# Later ones are looked at in brackets, 2**4 to an octave.
_BRACKETS = 4
# With momentum b the squares of oscillations shrink by b in an update: by 20 / (1 - b) they are e⁻²⁰.
_DECAYS = 20


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

    The first 4,096 updates, and with momentum b the first 20 / (1 - b), are looked at one by one. Later ones
    are searched in brackets, as if what is left of the start only shrank: so it does for SGD, and with
    momentum once its oscillations have died away.

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

    search = _Search(goal, sizes, h * s0 / 2, h * c / 2, update)
    if h @ s0 / 2 <= goal:
        search.found(np.arange(len(sizes)), 0, 0)
    alone = max(_ONE_BY_ONE, 2 ** math.ceil(math.log2(_DECAYS / (1 - momentum))))
    search.one_by_one(min(most, alone))
    search.in_brackets(most)
    best = np.where(search.places < 0, np.nan, rates[search.places])
    edges = [
        None if place < 0 or len(rates) == 1 else edge_of(rates, rates[place]) for place in search.places
    ]
    return StepsToGoal(sizes, search.steps, best, edges)


class _Search:
    """The first updates at the goal, as far as they are known: steps [sizes] and places of rates, -1 if none.

    open: the places of the batch sizes that are still searched for. rates: the places of the rates that may
    still be at the goal. made: updates that have been looked at.
    """

    def __init__(self, goal, sizes, by_start, by_noise, update):
        self.goal, self.sizes, self.by_start, self.by_noise = goal, sizes, by_start, by_noise
        self.update, self.made = update, 0
        self.steps, self.places = np.full(len(sizes), np.inf), np.full(len(sizes), -1)
        self.open, self.rates = np.arange(len(sizes)), np.arange(len(update.noise))

    def found(self, places: Any, steps: float, rate: int) -> None:
        """Close the search at these batch sizes."""
        self.steps[places], self.places[places] = steps, rate
        self.open = np.setdiff1d(self.open, places)

    def hopeful(self, noise: np.ndarray) -> np.ndarray:
        """Which rates may yet be at the goal, at an open batch size: the part of the noise only grows."""
        return noise / self.sizes[self.open].max(initial=0.0) <= self.goal

    def one_by_one(self, most: int) -> None:
        """Look at the losses after each update, so many at most."""
        path = LossPath(self.update, self.by_start, self.by_noise)
        while self.open.size and self.rates.size and self.made < most:
            bias, noise = path.following(min(_AT_ONCE, most - self.made))
            for place in self.open:
                reached = bias + noise / self.sizes[place] <= self.goal
                if reached.any():
                    first = int(reached.any(axis=1).argmax())
                    self.found(place, self.made + first + 1, int(self.rates[reached[first].argmax()]))
            self.made += len(bias)
            if self.open.size and not (kept := self.hopeful(noise[-1])).all():
                path.keep(kept)
                self.rates = self.rates[kept]

    def losses(self, done: MomentMap) -> tuple[np.ndarray, np.ndarray]:
        """`(bias, noise)` [...] after the updates: the loss at batch size B is `bias + noise / B`."""
        place = self.update.counts
        with np.errstate(over="ignore", invalid="ignore"):
            left = done.matrix[..., place, :] @ self.update.at_first
            return left**2 @ self.by_start, done.added[..., place, place] @ self.by_noise

    def in_brackets(self, most: int) -> None:
        """Look at the updates after `made`, which is a power of 2, up to `most`."""
        if not self.open.size or not self.rates.size or self.made >= most:
            return
        one = self.update.map
        powers = squarings(MomentMap(one.matrix[self.rates], one.added[self.rates]), most.bit_length())
        octave = self.made.bit_length() - 1
        done = powers[octave]
        losses = self.losses(done)
        while self.open.size and self.made < most and self.hopeful(losses[1]).any():
            level = octave - _BRACKETS
            with np.errstate(over="ignore", invalid="ignore"):
                then = done.then(powers[level])
            later = self.losses(then)
            for place in self.open:
                self._in_bracket(place, powers[: level + 1], done, losses, later, most)
            done, losses, self.made = then, later, self.made + 2**level
            octave = self.made.bit_length() - 1

    def _in_bracket(self, place, powers, done, losses, later, most):
        """Look for the first update at the goal in the bracket after `done`."""
        size, best = self.sizes[place], (math.inf, -1)
        for rate in np.flatnonzero(later[0] + losses[1] / size <= self.goal):
            own = [MomentMap(power.matrix[rate], power.added[rate]) for power in powers]
            begin = MomentMap(done.matrix[rate], done.added[rate])
            step = self._first(own, size, self.made, begin, losses[1][rate], best[0])
            best = min(best, (step, int(rate)))
        if best[0] <= most:
            self.found(place, best[0], int(self.rates[best[1]]))

    def _first(self, powers, size, made, done, noise, before) -> float:
        """The first update at the goal after `made`, in as many as the last power's and before `before`.

        Infinity if there is none. noise: that part of the loss after `made`.
        """
        if made + 1 >= before:
            return math.inf
        bias, later = self.losses(done.then(powers[-1]))
        if bias + noise / size > self.goal:
            return math.inf
        if len(powers) == 1:
            return made + 1 if bias + later / size <= self.goal else math.inf
        step = self._first(powers[:-1], size, made, done, noise, before)
        if step < math.inf:
            return step
        middle = done.then(powers[-2])
        noise = self.losses(middle)[1]
        return self._first(powers[:-1], size, made + 2 ** (len(powers) - 2), middle, noise, before)
