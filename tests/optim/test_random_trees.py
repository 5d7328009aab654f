"""Every optimizer on random trees of parameters: any nesting, dtypes, shapes, also 0-d and empty."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from jaxgd import optim

RATED = ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adadelta", "adam", "adamw", "nadam", "nadamw")
RATED += ("amsgrad", "adamax", "adamaxw")
TRANSFORMS = {name: getattr(optim, name)(0.1) for name in RATED}
TRANSFORMS |= {
    "clipped": optim.chain(optim.clip_by_global_norm(1.0), optim.sgd(0.1)),
    "clipped by value": optim.chain(optim.clip(0.5), optim.adam(0.1)),
    "scheduled": optim.adam(optim.cosine_decay_schedule(0.1, 10)),
    "generalized": optim.generalize(optim.nadam(0.1)),
    "decayed": optim.chain(optim.scale_by_adam(), optim.add_decayed_weights(0.1), optim.scale(-0.1)),
}
DTYPES = ("float32", "bfloat16", "float16", "float64")
SHAPES = ((), (0,), (1,), (3,), (2, 0), (2, 3), (1, 1, 2))
# Leaves: a dtype, a shape, and a seed for what is in them.
LEAVES = st.tuples(st.sampled_from(DTYPES), st.sampled_from(SHAPES), st.integers(0, 99))
TREES = st.recursive(
    LEAVES.map(lambda leaf: ("leaf", leaf)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: ("list", items)),
        st.lists(inner, max_size=3).map(lambda items: ("tuple", items)),
        st.dictionaries(st.sampled_from("abcd"), inner, max_size=3).map(lambda items: ("dict", items)),
        st.none().map(lambda _: ("none", None)),
    ),
    max_leaves=4,
).filter(lambda tree: tree[0] != "none")  # for an optimizer, None in the place of parameters is none at all


def built(description, scale, kind):
    """The tree of arrays that a description says; where x64 is off a float64 is a float32."""
    what, content = description
    if what == "leaf":
        dtype, shape, seed = content
        values = np.random.default_rng([seed, kind]).normal(size=shape) * scale
        values = values * (np.random.default_rng([seed, 7]).random(shape) < 0.8)  # some gradients are 0
        return jnp.asarray(values, jax.dtypes.canonicalize_dtype(dtype))
    if what == "dict":
        return {key: built(item, scale, kind) for key, item in content.items()}
    if what == "none":
        return None
    return {"list": list, "tuple": tuple}[what](built(item, scale, kind) for item in content)


def two_updates(transform, params, grads):
    """The second update and the state after it: the first state is all 0."""
    state = transform.init(params)
    for _ in range(2):
        updates, state = transform.update(grads, state, params)
    return updates, state


def check(name, description, scale):
    transform = TRANSFORMS[name]
    params, grads = (built(description, size, kind) for kind, size in enumerate((1.0, scale)))
    before = jax.tree.map(np.array, (params, grads))
    updates, state = two_updates(transform, params, grads)
    assert jax.tree.structure(updates) == jax.tree.structure(params)
    for update, param in zip(jax.tree.leaves(updates), jax.tree.leaves(params), strict=True):
        assert (update.shape, update.dtype) == (param.shape, param.dtype)
        assert np.isfinite(np.asarray(update, np.float64)).all()
    jax.tree.map(np.testing.assert_array_equal, before, (params, grads))
    compiled = jax.jit(two_updates, static_argnums=0)(Held(transform), params, grads)
    first = transform.init(params)
    assert [(x.shape, x.dtype) for x in jax.tree.leaves(state)] == [
        (x.shape, x.dtype) for x in jax.tree.leaves(first)
    ]
    for one, other in zip(jax.tree.leaves((updates, state)), jax.tree.leaves(compiled), strict=True):
        assert (one.shape, one.dtype) == (other.shape, other.dtype)
        last = 0.0 if jnp.issubdtype(one.dtype, jnp.integer) else 8 * float(jnp.finfo(one.dtype).eps)
        one, other = (np.asarray(x, np.float64) for x in (one, other))
        np.testing.assert_allclose(one, other, rtol=last, atol=last * np.abs(one).max(initial=0))


class Held:
    """A transform that `jax.jit` takes for static by its identity."""

    def __init__(self, transform):
        self.init, self.update = transform.init, transform.update


GIVEN = given(st.sampled_from(sorted(TRANSFORMS)), TREES, st.sampled_from([1.0, 1e-3, 30.0]), st.booleans())


def run(name, description, scale, wide):
    with jax.enable_x64(wide):
        check(name, description, scale)


@settings(max_examples=5)
@GIVEN
def test_updates_are_like_the_parameters(name, description, scale, wide):
    run(name, description, scale, wide)


@pytest.mark.slow
@settings(max_examples=50)
@GIVEN
def test_updates_are_like_the_parameters_often(name, description, scale, wide):
    run(name, description, scale, wide)


@pytest.mark.slow
@pytest.mark.parametrize("dtypes", [DTYPES[:-1], DTYPES[-1:]], ids=["narrow", "wide"])
@pytest.mark.parametrize("name", TRANSFORMS)
def test_every_optimizer_at_every_dtype(name, dtypes):
    kinds = [(dtype, shape) for dtype in dtypes for shape in ((), (0,), (2, 3))]
    leaves = [("leaf", (*kind, place)) for place, kind in enumerate(kinds)]
    run(name, ("dict", {"a": ("list", leaves), "b": ("tuple", [])}), 1.0, "float64" in dtypes)
