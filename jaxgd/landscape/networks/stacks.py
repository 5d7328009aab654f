"""Parameters of one model or of many, stacked along leading axes, and the loss that is looked at there."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxgd.landscape.networks.objectives import Objective, objective_of
from jaxgd.machine.devices import map_lanes
from jaxgd.pytrees import PyTree, Static
from jaxgd.training.problems.problem import Problem, given_state


class Lanes(PyTree):
    """Parameters and model states of one model or of many, and the objective that is looked at there.

    shape: the leading axes of every leaf of `params` and `model_state`, () for one model. devices: how many
    share the lanes.
    """

    objective: Objective
    params: Any
    model_state: Any
    shape: Any
    devices: Any

    @classmethod
    def of(cls, problem: Problem, params: Any, split: str, chunk: int, model_state: Any) -> "Lanes":
        """The lanes that `params` are, checked."""
        objective = objective_of(problem, split, chunk)
        shape = lane_shape(problem, params)
        states = stacked_states(problem, model_state, shape)
        params = jax.tree.map(jnp.asarray, params)
        devices = _num_devices((objective, params, states), math.prod(shape))
        return cls(objective, params, states, Static(shape), Static(devices))

    @property
    def dim(self) -> int:
        """The number of parameters of one model."""
        leaves = jax.tree.leaves(self.params)
        return sum(math.prod(leaf.shape[len(self.shape.value) :]) for leaf in leaves)

    def like(self, name: str, tree: Any, is_for_all: bool = False) -> Any:
        """A tree like the parameters, with as many lanes; or one for all lanes, where that is allowed.

        Raises:
            ValueError: what `lane_shape` raises; other lanes.
        """
        shape = lane_shape(self.objective.problem, tree, name)
        if shape != self.shape.value and (shape or not is_for_all):
            raise ValueError(f"{name} must be stacked like the parameters, {self.shape.value}, got {shape}")
        return jax.tree.map(lambda x, p: jnp.broadcast_to(x, p.shape), tree, self.params)

    def map(self, function: Callable, *trees: Any) -> Any:
        """`function(objective, params, *trees)` of every lane, results stacked along the lanes' axes.

        On a CPU each device takes one lane after the other, so its memory is that of one; elsewhere several
        at once.
        """

        def one(params, model_state, *trees):
            return function(dataclasses.replace(self.objective, model_state=model_state), params, *trees)

        shape, arguments = self.shape.value, (self.params, self.model_state, *trees)
        if not shape:
            return one(*arguments)
        flat = jax.tree.map(lambda x: x.reshape(-1, *x.shape[len(shape) :]), arguments)
        devices = jax.devices()[: self.devices.value]
        each = -(-math.prod(shape) // len(devices))
        run = lambda lanes: jax.lax.map(lambda lane: one(*lane), lanes, batch_size=at_once(each))  # noqa: E731
        results = map_lanes(run, devices, flat)
        return jax.tree.map(lambda x: x.reshape(*shape, *x.shape[1:]), results)


def _num_devices(tree: Any, count: int) -> int:
    """How many devices share so many lanes: all, unless an array is traced or tied to a device."""
    tied = (isinstance(leaf, Tracer) or getattr(leaf, "committed", False) for leaf in jax.tree.leaves(tree))
    return 1 if any(tied) else max(1, min(len(jax.devices()), count))


def at_once(count: int) -> int | None:
    """How many of `count` evaluations to vmap; None for one after the other."""
    return None if jax.default_backend() == "cpu" else min(count, 32)


def lane_shape(problem: Problem, params: Any, name: str = "params") -> tuple[int, ...]:
    """The leading axes that all of `params` have beyond what the problem's `init` gives; () for one model.

    Raises:
        ValueError: another structure, another shape, leading axes that differ from leaf to leaf, complex
            numbers, or a NaN or an infinity; the message names the leaf.
    """
    one = jax.eval_shape(lambda key: problem.init(key), jax.random.key(0))
    wanted, given = _by_path(one), _by_path(params)
    if wanted.keys() != given.keys():
        missing, further = (sorted(a.keys() - b.keys()) for a, b in ((wanted, given), (given, wanted)))
        parts = [f"lacks {missing[0]}"] if missing else []
        parts += [f"has {further[0]}"] if further else []
        raise ValueError(
            f"{name} must have the structure of the problem's parameters, but {' and '.join(parts)}"
        )
    shapes = {path: _leading(name, path, given[path], wanted[path].shape) for path in wanted}
    lanes = next(iter(shapes.values()), ())
    for path, shape in shapes.items():
        if shape != lanes:
            raise ValueError(
                f"{name} must be stacked along the same leading axes in every leaf, "
                f"got {lanes} in {next(iter(shapes))} and {shape} in {path}"
            )
        _check_real(name, path, given[path])
        _check_finite(name, path, given[path], len(shape))
    return lanes


def stacked_states(
    problem: Problem, model_state: Any, lanes: tuple[int, ...], name: str = "model_state"
) -> Any:
    """The model state of every lane, as given by the argument of this name.

    Raises:
        ValueError: none, of a problem that has one, or one that is not stacked like the parameters.
    """
    model_state = given_state(problem, model_state, name)
    wanted = jax.tree.map(lambda x: (*lanes, *x.shape), problem.model_state)
    if jax.tree.map(jnp.shape, model_state) != wanted:
        given = jax.tree.map(jnp.shape, model_state)
        raise ValueError(f"{name} must have the shapes {wanted}, stacked like params, got {given}")
    return jax.tree.map(jnp.asarray, model_state)


def _by_path(tree: Any) -> dict[str, Any]:
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {jax.tree_util.keystr(path) or "its one leaf": leaf for path, leaf in leaves}


def _leading(name: str, path: str, leaf: Any, wanted: tuple[int, ...]) -> tuple[int, ...]:
    shape = jnp.shape(leaf)
    split = len(shape) - len(wanted)
    if split < 0 or shape[split:] != wanted:
        raise ValueError(f"{name}: {path} must have shape {wanted}, or it behind axes of lanes, got {shape}")
    return shape[:split]


def _check_real(name: str, path: str, leaf: Any) -> None:
    if jnp.iscomplexobj(leaf):
        raise ValueError(
            f"{name} must be real, but {path} is {leaf.dtype}: losses and curvature are looked at along real "
            "directions; give real and imaginary parts as parameters of their own"
        )


def _check_finite(name: str, path: str, leaf: Any, num_axes: int) -> None:
    if isinstance(leaf, Tracer):
        return
    bad = ~np.isfinite(np.asarray(leaf))
    if bad.any():
        place = tuple(int(i) for i in np.argwhere(bad)[0][:num_axes])
        where = f" in lane {place}" if place else ""
        raise ValueError(f"{name} must be finite, but {path} has a NaN or an infinity{where}")
