"""Masks and labels: a tree like the parameters, or a function of the parameters that gives one."""

import functools
from collections.abc import Callable
from typing import Any

import jax


def tree_of(choice: Any, params: Any) -> Any:
    """The tree of booleans or labels that `choice` is, or gives for `params`."""
    return choice(params) if is_function(choice) else choice


def leaf_by_leaf(choice: Any, params: Any) -> Any:
    """The same with an entry for each leaf of `params`: an entry of a prefix holds for all below it."""
    return jax.tree.map(lambda one, part: jax.tree.map(lambda _: one, part), tree_of(choice, params), params)


def is_function(choice: Any) -> bool:
    """Whether it is a function of the parameters.

    To be callable is not enough: a mask made by `jax.tree.map` from an Equinox or NNX module is of the
    module's class. What tells it from a function are leaves that are booleans or labels.
    """
    if not callable(choice):
        return False
    return isinstance(choice, jax.tree_util.Partial) or all(map(callable, jax.tree.leaves(choice)))


def for_optax(choice: Any) -> Any:
    """`choice` in a form about which Optax is not mistaken: no callable that is a pytree with a structure."""
    is_leaf = jax.tree_util.treedef_is_leaf(jax.tree.structure(choice))
    return choice if is_leaf or not isinstance(choice, Callable) else functools.partial(tree_of, choice)
