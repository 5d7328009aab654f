"""What keeps a model from fitting its training examples too closely: dropped units and weights, penalties."""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp

from jaxgd.aliases import Number, Params
from jaxgd.numerics import common_dtype
from jaxgd.optim.hyperparameters import as_number, check_number
from jaxgd.optim.trees.masks import tree_of
from jaxgd.pytrees import Static
from jaxgd.training.models.model import Model, check_stateless


def dropout(x: Any, rate: Number, key: jax.Array) -> jax.Array:
    """`x` with every element 0 with probability `rate` and divided by `1 - rate` otherwise.

    The mean of each element is that of `x`; a rate of 0 gives `x` itself.

    Args:
        x: an array.
        rate: number, at least 0 and below 1; may be traced.
        key: one key for all of `x`, or an array of keys, one for each element of `x`'s leading axes, such as
            the `keys` [batch] that a model gets in training.

    Raises:
        ValueError: a rate outside of [0, 1), keys that do not fit `x`.

    Source: Srivastava et al. 2014, in the inverted form that leaves evaluation as it is.
    """
    return drop(x, as_rate(rate), key)


def drop_connect(model: Model, rate: Number, per: str = "example", mask: Any = None) -> Model:
    """The model whose weights are dropped in training: each is 0 with probability `rate`.

    The others are divided by `1 - rate`; evaluation (`keys=None`) uses all as they are. With a mask per
    example the weights are copied for each of them: memory grows with batch size times parameters, and
    `microbatch` bounds it.

    Args:
        model: any model; one that takes keys gets other ones than the masks are drawn with.
        rate: number, at least 0 and below 1; may be traced.
        per: "example" (each example has a mask of its own) or "batch" (all in a batch, or in a micro-batch if
            there are any, share one, and so are correlated).
        mask: which parameters may be dropped: a tree of bools like the params, or a function of the params
            that gives one. None means those with two or more axes: weights, not biases.

    Raises:
        ValueError: a rate outside of [0, 1), another word for `per`, a model with a state; on use, if there
            is nothing to drop.

    Source: Wan et al. 2013.
    """
    check_stateless("drop_connect", model)
    if per not in ("example", "batch"):
        raise ValueError(f'per must be "example" or "batch", got {per!r}')
    apply = _apply_to_each if per == "example" else _apply_to_all
    return model.replace(apply=jax.tree_util.Partial(apply, model.apply, Static(mask), as_rate(rate)))


def as_rate(rate: Any, name: str = "rate") -> Any:
    """A dropout rate as a pytree leaf, checked where it is concrete."""
    rate = as_number(name, rate)
    check_number(name, rate, lambda x: (x >= 0) & (x < 1), "at least 0 and below 1")
    return rate


def drop(x: Any, rate: Number, key: jax.Array, first: int = 0) -> jax.Array:
    """`dropout` by the random numbers of `key` from number `first` on, its rate unchecked."""
    x, keep = jnp.asarray(x), 1 - jnp.asarray(rate, jnp.result_type(float))
    dtype = x.dtype if jnp.issubdtype(x.dtype, jnp.inexact) else keep.dtype
    wide = common_dtype(dtype, keep.dtype)
    scaled = (x.astype(wide) / keep.astype(wide)).astype(dtype)
    return jnp.where(_uniform(key, x.shape, first).astype(keep.dtype) < keep, scaled, 0)


@functools.partial(jax.jit, static_argnums=(1, 2), inline=True)
def _uniform(key: jax.Array, shape: tuple[int, ...], first: int) -> jax.Array:
    """Numbers in [0, 1), each hashed from the key and its own place: float32[shape].

    `jax.random.bits` on a CPU takes a third of the time of a small network's update, and masks need no more
    than numbers that look independent: keys come from `jax.random`, only places are hashed.
    """
    if not jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        key = jax.random.wrap_key_data(key)
    if key.shape != shape[: key.ndim]:
        raise ValueError(f"key must be one key, or one for each row of shape {shape}, got shape {key.shape}")
    places = shape[key.ndim :]
    bits = first + jnp.arange(math.prod(places), dtype=jnp.uint32).reshape(places)
    words, bits = jax.random.key_data(key), jax.lax.broadcast_to_rank(bits, len(shape))
    for i in range(words.shape[-1]):
        bits = _hashed(bits ^ words[..., i].reshape(key.shape + (1,) * len(places)))
    return (bits >> 8).astype(jnp.float32) * jnp.float32(2**-24)


def _hashed(bits: jax.Array) -> jax.Array:
    """A permutation of 32-bit numbers with low bias (C. Wellons 2018, `lowbias32`)."""
    bits = (bits ^ (bits >> 16)) * jnp.uint32(0x7FEB352D)
    bits = (bits ^ (bits >> 15)) * jnp.uint32(0x846CA68B)
    return bits ^ (bits >> 16)


def _apply_to_each(apply, mask, rate, params, inputs, keys=None):
    if keys is None:
        return _with_other_keys(apply, params, inputs, None)

    def one(example, key):
        batch = jax.tree.map(lambda x: x[None], example)
        return _with_other_keys(apply, _dropped(params, mask.value, rate, key), batch, key[None])

    outputs = jax.vmap(one)(inputs, keys)
    return jax.tree.map(lambda x: x[:, 0], outputs)


def _apply_to_all(apply, mask, rate, params, inputs, keys=None):
    if keys is not None:
        params = _dropped(params, mask.value, rate, keys[0])
    return _with_other_keys(apply, params, inputs, keys)


def _with_other_keys(apply, params, inputs, keys):
    if keys is not None and apply.asks("keys"):  # other keys than the weights' masks are drawn with
        keys = jax.vmap(lambda key: jax.random.fold_in(key, 1))(keys)
    return apply(params, inputs, keys=keys)


def _dropped(params, mask, rate, key):
    leaves, structure = jax.tree.flatten(params)
    chosen, first = chosen_leaves(params, mask), 0
    for i, leaf in enumerate(leaves):
        if chosen[i]:
            leaves[i] = drop(leaf, rate, key, first)
            first += leaf.size
    return structure.unflatten(leaves)


def chosen_leaves(params: Params, mask: Any) -> list[bool]:
    """For each leaf, whether it is regularised: as `mask` says, or if it is a weight."""
    if mask is None:
        chosen = [jnp.ndim(leaf) > 1 for leaf in jax.tree.leaves(params)]
    else:
        choices = jax.tree.map(lambda _, choice: bool(choice), params, tree_of(mask, params))
        chosen = jax.tree.leaves(choices)
    if not any(chosen):
        shapes = jax.tree.map(jnp.shape, params)
        raise ValueError(f"no parameter has two axes or is chosen by mask, of shapes {shapes}: give a mask")
    return chosen
