"""Mixed precision: narrow arithmetic, wide parameters."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxgd
from jaxgd.training.data import datasets

KEY = jax.random.key(0)


def test_parameters_gradients_and_outputs_stay_wide():
    model = jaxgd.mixed_precision(jaxgd.mlp([3, 4, 2]))
    params = model.init(KEY)
    outputs = model.apply(params, jnp.ones((5, 3)))
    assert {leaf.dtype for leaf in jax.tree.leaves((params, outputs))} == {jnp.dtype("float32")}
    grads = jax.grad(lambda p: model.apply(p, jnp.ones((5, 3))).sum())(params)
    assert {leaf.dtype for leaf in jax.tree.leaves(grads)} == {jnp.dtype("float32")}


def test_products_are_narrow():
    model = jaxgd.mixed_precision(jaxgd.mlp([3, 4, 2]))
    program = str(jax.make_jaxpr(model.apply)(model.init(KEY), jnp.ones((5, 3))))
    products = [line for line in program.splitlines() if "dot_general" in line]
    assert len(products) == 2
    assert all("bf16" in line for line in products)


def test_keys_go_through():
    model = jaxgd.mixed_precision(jaxgd.mlp([3, 50, 2], dropout=0.5))
    params, keys = model.init(KEY), jax.random.split(KEY, 5)
    trained, evaluated = (model.apply(params, jnp.ones((5, 3)), keys=k) for k in (keys, None))
    assert not np.allclose(trained, evaluated)
    assert np.ptp(np.asarray(evaluated), axis=0).max() == 0


@pytest.mark.slow
def test_the_loss_is_that_of_full_precision():
    # Mean final validation loss over five seeds, mnist5k: at most 2 % above that of float32.
    train, valid, _ = datasets.load("mnist5k")

    def make(hp):
        model = jaxgd.mixed_precision(jaxgd.mlp([784, 64, 10]), hp.dtype)
        return jaxgd.trainer(jaxgd.classification(model, train, valid), jaxgd.momentum(0.05), 50)

    axes = {"dtype": ["float32", "bfloat16"], "seed": range(5)}
    result = jaxgd.sweep(make, axes, epochs=6, progress=False)
    final = result.dataset.valid_loss.isel(epoch=-1).mean("seed")
    assert float(final.sel(dtype="bfloat16") / final.sel(dtype="float32")) <= 1.02


def test_bad_arguments():
    with pytest.raises(ValueError, match="dtype must be bfloat16 or float32, got float16"):
        jaxgd.mixed_precision(jaxgd.mlp([3, 2]), "float16")
    with pytest.raises(TypeError, match="model must be"):
        jaxgd.mixed_precision(lambda x: x)  # pyright: ignore
