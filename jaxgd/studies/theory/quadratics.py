"""The noisy quadratic: a problem, and its exact expected loss under gradient descent with noise.

Source: Zhang, Li, Nado, Martens, Sachdeva, Dahl, Shallue and Grosse 2019, "Which Algorithmic Choices Matter
at Which Batch Sizes?", section 3.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgd.arguments import seed_number, whole_number
from jaxgd.studies.theory.second_moments import LinearUpdate, after, in_the_end, linear_update
from jaxgd.training.problems.problem import Problem


def noisy_quadratic(h: Any, c: Any, *, start: Any = 1.0, examples: int = 256, seed: int = 0) -> Problem:
    """The problem of minimising `½ Σ h x²` with gradients `h x + n`, n of variance c / B at batch size B.

    An example is a vector n. They are drawn from a normal distribution, then shifted and scaled: over all of
    them the mean is 0, the variance c and the covariance of two coordinates what chance made it. A batch of B
    drawn with `sampling="replacement"` then has noise of variance c / B exactly; shuffled, (N - B) / (N - 1)
    times that. `valid_loss` is the loss itself.

    Args:
        h: curvatures, [d], above 0.
        c: variances of the gradient of one example, [d] or a number, 0 or more.
        start: x before the first update, [d] or a number.
        examples: their number N, 2 or more.
        seed: of the vectors.

    Raises:
        ValueError: an argument out of its range.

    Example:
        >>> import jax, jaxgd
        >>> problem = jaxgd.studies.noisy_quadratic([1.0, 0.1], [1.0, 0.1])
        >>> trainer = jaxgd.trainer(problem, jaxgd.sgd(0.5), 8, sampling="replacement")
        >>> float(jaxgd.fit(trainer, jax.random.key(0), epochs=1).history["valid_loss"][0]) < 0.1
        True
    """
    h = coordinates("h", h, above_0=True)
    c = coordinates("c", c, like=h)
    start = np.broadcast_to(_finite("start", start), h.shape)
    examples = whole_number("examples", examples, least=2)
    vectors = np.random.default_rng(seed_number("seed", seed)).standard_normal((examples, h.size))
    vectors -= vectors.mean(axis=0)
    vectors *= np.sqrt(c) / vectors.std(axis=0)
    dtype = jnp.result_type(float)
    return Problem(
        init=jax.tree_util.Partial(_given, start),
        loss=jax.tree_util.Partial(_tilted, h),
        train=np.asarray(vectors, dtype),
        valid=np.zeros((1, h.size), dtype),
    )


def _given(start, key):
    return jnp.asarray(start, jnp.result_type(float))


def _tilted(h, x, batch):
    return jnp.sum(jnp.asarray(h, x.dtype) * x * x) / 2 + batch @ x


class Method(NamedTuple):
    """How gradients become updates, as `expected_loss` explains it, checked."""

    momentum: float
    nesterov: bool
    averaging: float | None
    preconditioner: np.ndarray

    def update(self, h: np.ndarray, learning_rate: Any) -> LinearUpdate:
        """One update of coordinates of curvature h [d]; of each of several rates [...]: [..., d]."""
        rates = np.asarray(learning_rate, float)[..., None] * self.preconditioner
        return linear_update(h, rates, self.momentum, self.nesterov, self.averaging)


def checked_method(
    momentum: float, nesterov: bool, averaging: float | None, preconditioner: Any, h: np.ndarray
) -> Method:
    """The method of these arguments.

    Raises:
        ValueError: one of them is out of its range.
    """
    momentum = fraction("momentum", momentum)
    averaging = None if averaging is None else fraction("averaging", averaging)
    return Method(
        momentum,
        bool(nesterov),
        averaging,
        coordinates("preconditioner", preconditioner, like=h, above_0=True),
    )


def expected_loss(
    h: Any,
    c: Any,
    learning_rate: Any,
    batch_size: Any,
    updates: Any,
    *,
    s0: Any = 1.0,
    momentum: float = 0.0,
    nesterov: bool = False,
    averaging: float | None = None,
    preconditioner: Any = 1.0,
) -> float:
    """The expected loss `½ Σ h E x²` of the noisy quadratic after training, exact up to rounding.

    The gradient is `g = h x + n` with independent noise of variance c / B. An update is, with momentum b from
    a velocity of 0, `m <- b m + g` and `x <- x - r m`; Nesterov's is `x <- x - r (g + b m)`. For SGD this is
    `s <- (1 - r h)² s + r² c / B` for each `s = E x²`.

    A schedule is constant in pieces: `learning_rate`, `batch_size` and `updates` are then lists of one
    length, and a number stands for the same in all pieces. Velocity and average go on from piece to piece.

    Args:
        h: curvatures, [d], above 0.
        c: variances of the gradient of one example, [d] or a number, 0 or more.
        learning_rate: 0 or more.
        batch_size: above 0.
        updates: 0 or more; of the last piece `math.inf` too, the loss in the end: infinite if there is none.
        s0: E x² before the first update, [d] or a number.
        momentum: from 0 to below 1.
        nesterov: whether the update looks ahead.
        averaging: the decay d of an average `a <- d a + (1 - d) x` that starts at the first x, from 0 to
            below 1; the loss is then that of the average. None: that of x.
        preconditioner: what each coordinate's gradient is multiplied by, [d] or a number, above 0.

    Raises:
        ValueError: an argument out of its range, or lists of different lengths.

    Source: Zhang et al. 2019, section 3 and appendix B.

    Example:
        >>> import jaxgd
        >>> round(jaxgd.studies.expected_loss([1, 0.1], [1, 0.1], 0.5, batch_size=8, updates=20), 7)
        0.0286556
    """
    h = coordinates("h", h, above_0=True)
    c, s0 = coordinates("c", c, like=h), coordinates("s0", s0, like=h)
    method = checked_method(momentum, nesterov, averaging, preconditioner, h)
    moments, counts = method.update(h, 0.0).initial(s0), method.update(h, 0.0).counts
    for rate, size, count in _pieces(learning_rate, batch_size, updates):
        one = method.update(h, rate).map
        whole = in_the_end(one) if math.isinf(count) else after(one, int(count))
        with np.errstate(over="ignore", invalid="ignore"):
            moments = whole.applied(moments, c[:, None, None] / size)
    loss = float(h @ moments[:, counts, counts]) / 2
    return math.inf if math.isnan(loss) else loss


def _pieces(learning_rate: Any, batch_size: Any, updates: Any) -> list[tuple[float, float, float]]:
    """The pieces of a schedule."""
    given = {"learning_rate": learning_rate, "batch_size": batch_size, "updates": updates}
    columns = {name: np.atleast_1d(np.asarray(value, float)) for name, value in given.items()}
    lengths = {name: column.size for name, column in columns.items() if np.ndim(given[name])}
    if len(set(lengths.values())) > 1 or 0 in lengths.values():
        raise ValueError(
            "pieces of a schedule differ: " + ", ".join(f"{k} has {n}" for k, n in lengths.items())
        )
    num = max(lengths.values(), default=1)
    rates, sizes, counts = (np.broadcast_to(column, num) for column in columns.values())
    for name, column, good, allowed in (
        ("learning_rate", rates, np.isfinite(rates) & (rates >= 0), "finite and 0 or more"),
        ("batch_size", sizes, np.isfinite(sizes) & (sizes > 0), "finite and above 0"),
        ("updates", counts, (counts >= 0) & (counts == np.floor(counts)), "a whole number, 0 or more"),
        ("updates", counts[:-1], np.isfinite(counts[:-1]), "finite before the last piece"),
    ):
        if not good.all():
            raise ValueError(f"{name} must be {allowed}, got {column[~good][0]:g}")
    return list(zip(rates.tolist(), sizes.tolist(), counts.tolist(), strict=True))


def coordinates(name: str, values: Any, *, like: Any = None, above_0: bool = False) -> np.ndarray:
    """Numbers [d] of the coordinates, float64; one number stands for all where there are others to be `like`.

    Raises:
        ValueError: another shape, or a number that is negative or not finite, or 0 where it must be above.
    """
    array = _finite(name, values)
    if like is not None and array.ndim == 0:
        array = np.full(like.shape, float(array))
    shape = "d" if like is None else like.size
    if array.ndim != 1 or not array.size or (like is not None and array.shape != like.shape):
        raise ValueError(f"{name} must have shape [{shape}], got {list(array.shape)}")
    good = array > 0 if above_0 else array >= 0
    if not good.all():
        raise ValueError(f"{name} must be {'above 0' if above_0 else '0 or more'}, got {array[~good][0]:g}")
    return array


def _finite(name: str, values: Any) -> np.ndarray:
    array = np.asarray(values, np.float64)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, got {array[~np.isfinite(array)][0]:g}")
    return array


def fraction(name: str, value: Any) -> float:
    """`value` as a float, from 0 to below 1.

    Raises:
        ValueError: it is outside.
    """
    if not 0 <= value < 1:
        raise ValueError(f"{name} must be from 0 to below 1, got {value!r}")
    return float(value)
