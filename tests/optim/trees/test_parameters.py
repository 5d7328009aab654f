"""Python numbers are parameters too; integer and boolean arrays are not, and are named."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxgd
from jaxgd import optim

NAMED = ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adadelta", "adam", "adamw", "nadam", "nadamw")
OPTIMIZERS = {name: (lambda name=name: getattr(optim, name)(0.1)) for name in NAMED} | {
    "rmsprop centered": lambda: optim.rmsprop(0.1, centered=True, momentum=0.9, bias_correction=True),
    "sgd in bfloat16": lambda: optim.sgd(0.1, 0.9, accumulator_dtype="bfloat16"),
    "generalize": lambda: optim.generalize(jaxgd.adam(0.1)),
    "scale_by_moments": lambda: optim.scale_by_moments(m_in=1.0, v_in=1.0, eps_in=1e-8),
    "chain": lambda: jaxgd.chain(optim.clip_by_global_norm(1.0), jaxgd.adam(0.1), optim.soft_threshold(0.01)),
    "partition": lambda: optim.partition({"a": jaxgd.adam(0.1)}, "a"),
}
FOREIGN = [
    name
    for name in optim.__all__
    if name not in NAMED
    and "learning_rate" in inspect.signature(getattr(optim, name)).parameters
    and not name.startswith("scale_by")
]
every = pytest.mark.parametrize("build", OPTIMIZERS.values(), ids=OPTIMIZERS)


@every
def test_python_numbers(build):
    optimizer, params = build(), {"a": 1, "b": -2.5}
    as_arrays = jax.tree.map(jnp.float32, params)
    results = []
    for given in (params, as_arrays):
        state = optimizer.init(given)
        for _ in range(2):
            updates, state = optimizer.update(given, state, given)
        results.append((updates, state))
    jax.tree.map(np.testing.assert_array_equal, *results)
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(results[0][0]))


def test_the_first_update_of_a_python_number_is_optaxs():
    ours, theirs = jaxgd.adam(0.1), optax.adam(0.1)
    np.testing.assert_allclose(ours.update(1.0, ours.init(1.0))[0], -0.1, rtol=1e-4)
    with jax.numpy_dtype_promotion("standard"):  # as Optax needs it
        np.testing.assert_allclose(theirs.update(1.0, theirs.init(1.0))[0], -0.1, rtol=1e-4)


BAD = {
    "int32": (jnp.array(2), "int32"),
    "int64 of NumPy": (np.arange(3), "int64"),
    "bool": (jnp.array([True]), "bool"),
    "Python's bool": (True, "bool"),
    "uint8": (np.zeros(2, np.uint8), "uint8"),
    "key": (jax.random.key(0), "key<fry>"),
}


@every
@pytest.mark.parametrize(("leaf", "dtype"), BAD.values(), ids=BAD)
def test_other_leaves_are_named(build, leaf, dtype):
    with pytest.raises(TypeError, match=rf"^params\['n'\]\[1\] is {dtype}: only floating-point parameters"):
        build().init({"w": jnp.ones(2), "n": [jnp.ones(2), leaf]})


@pytest.mark.parametrize("name", FOREIGN)
def test_optaxs_optimizers_name_them_too(name):
    with pytest.raises(TypeError, match=r"^params\['n'\] is int32: only floating-point parameters"):
        getattr(optim, name)(0.1).init({"w": jnp.ones(2), "n": jnp.array(2)})


def test_complex_and_narrow_floats_are_fine():
    params = [jnp.ones(2, dtype) for dtype in ("complex64", "bfloat16", "float16", "float32")]
    state = jaxgd.adam(0.1).init(params)
    assert jax.tree.structure(state[0].mu) == jax.tree.structure(params)


FROZEN = {"w": False, "n": True}
AROUND = {
    "masked": lambda: optim.masked(jaxgd.adam(0.1), {"w": True, "n": False}),
    "freeze": lambda: jaxgd.chain(
        optim.masked(jaxgd.sgd(0.1), {"w": True, "n": False}), optim.freeze(FROZEN)
    ),
    "selective_transform": lambda: optim.selective_transform(jaxgd.adam(0.1), freeze_mask=FROZEN),
    "Optax's masked": lambda: optax.masked(jaxgd.adam(0.1), {"w": True, "n": False}),
    "Optax's selective_transform": lambda: optax.selective_transform(jaxgd.adam(0.1), freeze_mask=FROZEN),
}


@pytest.mark.parametrize("build", AROUND.values(), ids=AROUND)
def test_masked_integers_go_around(build):
    params = {"w": jnp.ones(2), "n": jnp.array(2)}
    optimizer = build()
    updates, _ = optimizer.update({"w": jnp.ones(2), "n": jnp.array(0)}, optimizer.init(params), params)
    np.testing.assert_allclose(updates["w"], [-0.1, -0.1], rtol=1e-5)
    assert updates["n"] == 0


def test_nothing_is_kept_for_what_is_frozen():
    params = {"body": jnp.ones(100), "head": jnp.ones(2)}
    optimizer = optim.selective_transform(jaxgd.adam(0.1), freeze_mask={"body": True, "head": False})
    assert sum(leaf.size for leaf in jax.tree.leaves(optimizer.init(params))) == 1 + 2 * 2
    updates, _ = optimizer.update(params, optimizer.init(params), params)
    np.testing.assert_array_equal(updates["body"], 0)
    assert optimizer.replace(**{"train.learning_rate": 0.2}).learning_rate == 0.2
    for freeze_mask in (True, False):
        whole = optim.selective_transform(jaxgd.sgd(0.1), freeze_mask=freeze_mask)
        updates, _ = whole.update(params, whole.init(params), params)
        assert bool(jnp.any(updates["head"])) != freeze_mask


def test_freezing_alike_is_one_structure():
    def build(mask):
        return optim.selective_transform(jaxgd.adam(0.1), freeze_mask=mask)

    assert build({"w": jnp.array(True)}) == build({"w": True})
    assert build({"w": False}) != build({"w": True})
