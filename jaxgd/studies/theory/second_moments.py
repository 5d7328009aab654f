"""Second moments of a linear recursion with noise, after any number of updates.

A coordinate's state is z = (x), (x, m) with momentum, and one more with an average of x. An update is
`z <- M z + b n` with noise n of variance v, so that `S = E z zᵀ` goes to `M S Mᵀ + v b bᵀ`. Many updates are
one such map too, found by squaring: each of its numbers is a sum of terms of one sign along the diagonal.
The eigenvectors of M instead nearly coincide where an average is as slow as its coordinate, and cancel.
"""

from typing import Any, NamedTuple

import numpy as np

# A map of so many squarings, 2**60 updates, has either forgotten where it began or never will.
_SQUARINGS = 60


class MomentMap(NamedTuple):
    """What updates make of second moments: `S -> matrix S matrixᵀ + variance * added`, [..., k, k] both."""

    matrix: np.ndarray
    added: np.ndarray

    def then(self, later: "MomentMap") -> "MomentMap":
        """These updates and then those."""
        return MomentMap(later.matrix @ self.matrix, later.applied(self.added, 1.0))

    def applied(self, moments: np.ndarray, variance: Any) -> np.ndarray:
        """The second moments after the updates; noise of `variance`, which broadcasts against [..., k, k]."""
        return self.matrix @ moments @ np.swapaxes(self.matrix, -1, -2) + variance * self.added


class LinearUpdate(NamedTuple):
    """One update `z <- matrix z + noise n`: matrix [..., k, k], noise [..., k]; x is z[0], what counts z[-1].

    What counts is x itself, or the average of it.
    """

    matrix: np.ndarray
    noise: np.ndarray
    counts: int

    @property
    def map(self) -> MomentMap:
        """What one update makes of second moments."""
        return MomentMap(self.matrix, self.noise[..., :, None] * self.noise[..., None, :])

    def initial(self, second_moment: Any) -> np.ndarray:
        """The second moments [..., k, k] before the first update."""
        return np.asarray(second_moment, float)[..., None, None] * np.outer(self.at_first, self.at_first)

    @property
    def at_first(self) -> np.ndarray:
        """The state z over x before the first update: the velocity is 0, the average x itself."""
        size = self.noise.shape[-1]
        return np.array([float(place in (0, self.counts)) for place in range(size)])


def linear_update(
    curvature: Any, learning_rate: Any, momentum: float, nesterov: bool, averaging: float | None
) -> LinearUpdate:
    """The update of coordinates with this curvature; curvature and rate broadcast against each other.

    `m <- momentum m + g`, `x <- x - rate m`, or with Nesterov `x <- x - rate (g + momentum m)`, for the
    gradient `g = curvature x + n`; then `a <- averaging a + (1 - averaging) x`.
    """
    h, rate = np.broadcast_arrays(np.asarray(curvature, float), np.asarray(learning_rate, float))
    now, before = (rate * (1 + momentum), rate * momentum**2) if nesterov else (rate, rate * momentum)
    zero, one = np.zeros_like(h), np.ones_like(h)
    if momentum == 0:
        rows, noise = [[1 - rate * h]], [-rate]
    else:
        rows = [[1 - now * h, -before], [h, momentum * one]]
        noise = [-now, one]
    counts = 0
    if averaging is not None:
        share, counts = 1 - averaging, len(noise)
        rows = [[*row, zero] for row in rows]
        rows.append([*(share * entry for entry in rows[0][:-1]), averaging * one])
        noise.append(share * noise[0])
    matrix = np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)
    return LinearUpdate(matrix, np.stack(noise, axis=-1), counts)


def squarings(one: MomentMap, count: int) -> list[MomentMap]:
    """The maps of 1, 2, 4, ... updates, so many of them."""
    maps = [one]
    with np.errstate(over="ignore", invalid="ignore"):
        while len(maps) < count:
            maps.append(maps[-1].then(maps[-1]))
    return maps


def after(one: MomentMap, updates: int) -> MomentMap:
    """The map of so many updates, from 0 on."""
    size = one.matrix.shape[-1]
    total = MomentMap(np.broadcast_to(np.eye(size), one.matrix.shape), np.zeros_like(one.added))
    power = one
    with np.errstate(over="ignore", invalid="ignore"):
        while updates:
            total = total.then(power) if updates & 1 else total
            updates >>= 1
            power = power.then(power) if updates else power
    return total


def in_the_end(one: MomentMap) -> MomentMap:
    """The map of infinitely many updates; of a coordinate that does not come to rest, infinite or NaN."""
    power = half = one
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(_SQUARINGS):
            if not np.any(power.matrix):
                break
            power, half = power.then(power), power
        # Twice the updates, twice the noise: a random walk.
        return MomentMap(power.matrix, np.where(power.added > 1.5 * half.added, np.inf, power.added))


class LossPath:
    """The expected losses after each update, of coordinates [rates, d], by the number of the update.

    The loss at batch size B is `bias + noise / B`. What is left of the start, and of the noise of each
    update, are vectors: no matrix of moments is needed.

    Args:
        update: of coordinates [rates, d].
        by_start: [d], the loss over the square of what is left of the start.
        by_noise: [d], the loss over the square of what is left of a draw of noise.
    """

    def __init__(self, update: LinearUpdate, by_start: np.ndarray, by_noise: np.ndarray):
        size, self._counts = update.noise.shape[-1], update.counts
        self._by_start, self._by_noise = by_start, by_noise
        self._entries = [[update.matrix[..., i, j].copy() for j in range(size)] for i in range(size)]
        self._left = [np.full(update.noise.shape[:-1], first) for first in update.at_first]
        self._drawn = [update.noise[..., i].copy() for i in range(size)]
        self._noise = np.zeros(update.noise.shape[:-2])

    def following(self, updates: int) -> tuple[np.ndarray, np.ndarray]:
        """`(bias, noise)`, both [updates, rates], after each of the next updates."""
        bias, noise = np.empty((2, updates, *self._noise.shape))
        with np.errstate(over="ignore", invalid="ignore"):
            for place in range(updates):
                self._noise = self._noise + self._drawn[self._counts] ** 2 @ self._by_noise
                self._left, self._drawn = (
                    _moved(self._entries, state) for state in (self._left, self._drawn)
                )
                bias[place] = self._left[self._counts] ** 2 @ self._by_start
                noise[place] = self._noise
        return bias, noise

    def keep(self, rates: np.ndarray) -> None:
        """Go on with these rates alone, bool[rates]."""
        self._entries = [[entry[rates] for entry in row] for row in self._entries]
        self._left, self._drawn = ([part[rates] for part in state] for state in (self._left, self._drawn))
        self._noise = self._noise[rates]


def _moved(entries: list[list[np.ndarray]], state: list[np.ndarray]) -> list[np.ndarray]:
    """The matrix times the state, both by their entries."""
    return [sum(map(np.multiply, row[1:], state[1:]), row[0] * state[0]) for row in entries]
