"""Masks and labels that are trees, functions, or trees that happen to be callable."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxgd
from jaxgd import optim

PARAMS = eqx.filter(eqx.nn.MLP(2, 1, 3, 1, key=jax.random.key(0)), eqx.is_inexact_array)
ZEROS = jax.tree.map(jnp.zeros_like, PARAMS)


def weights(params):
    return jax.tree.map(lambda leaf: leaf.ndim > 1, params)


def biases(params):
    return jax.tree.map(lambda leaf: leaf.ndim < 2, params)


def labels(params):
    return jax.tree.map(lambda leaf: "decayed" if leaf.ndim > 1 else "plain", params)


FORMS = {
    "tree": lambda choose: choose(PARAMS),
    "function": lambda choose: choose,
    "Partial": jax.tree_util.Partial,
    "Equinox's Partial": eqx.Partial,
}
DECAYS = {
    "adamw": lambda form: jaxgd.adamw(0.5, weight_decay=0.1, mask=form(weights)),
    "nadamw": lambda form: optim.nadamw(0.5, weight_decay=0.1, mask=form(weights)),
    "adadelta": lambda form: jaxgd.adadelta(0.5, weight_decay=0.1, weight_decay_mask=form(weights)),
    "masked": lambda form: optim.masked(jaxgd.adamw(0.5, weight_decay=0.1), form(weights)),
    "lion": lambda form: optim.lion(0.5, weight_decay=0.1, mask=form(weights)),
    "add_decayed_weights": lambda form: optim.add_decayed_weights(0.1, mask=form(weights)),
    "partition": lambda form: optim.partition(
        {"decayed": jaxgd.adamw(0.5, weight_decay=0.1), "plain": jaxgd.sgd(0.5)}, form(labels)
    ),
    "from_optax": lambda form: optim.from_optax(
        optax.partition,
        {"decayed": optax.adamw(0.5, weight_decay=0.1), "plain": optax.sgd(0.5)},
        form(labels),
    ),
    "freeze": lambda form: jaxgd.chain(jaxgd.adamw(0.5, weight_decay=0.1), optim.freeze(form(biases))),
    "selective_transform": lambda form: optim.selective_transform(
        jaxgd.adamw(0.5, weight_decay=0.1), freeze_mask=form(biases)
    ),
}


# What differs between them is how Optax is told; the rest share a function.
BOTH = [(name, form) for name in DECAYS for form in ("tree", "function")]
RARE = [
    (name, form) for name in ("adamw", "masked", "partition") for form in ("Partial", "Equinox's Partial")
]


@pytest.mark.parametrize(("name", "form"), BOTH + RARE)
def test_weights_alone_decay(name, form):
    optimizer = DECAYS[name](FORMS[form])
    updates, _ = optimizer.update(ZEROS, optimizer.init(PARAMS), PARAMS)
    assert [bool(jnp.any(leaf)) for leaf in jax.tree.leaves(updates)] == [True, False, True, False]


def test_the_same_numbers_as_optax():
    ours = jaxgd.adamw(0.5, weight_decay=0.1, mask=weights(PARAMS))
    theirs = optax.adamw(0.5, weight_decay=0.1, mask=weights(PARAMS))
    found = ours.update(ZEROS, ours.init(PARAMS), PARAMS)[0]
    with jax.numpy_dtype_promotion("standard"):  # as Optax needs it
        expected = theirs.update(ZEROS, theirs.init(PARAMS), PARAMS)[0]
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)
