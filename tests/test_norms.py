import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgd.numerics import has_finite_squares, squared_norm

SHAPES = [
    (),
    (5,),
    (3, 4),
    (2, 3, 4),
    (4, 0),
    (3, 50, 60),
    (20_000,),
    (8191,),
    (1031, 5),
    (4096, 3),
    (2, 5000),
]


def squares(leaf):
    return np.sum(np.abs(np.asarray(leaf, np.complex128)) ** 2)


@pytest.mark.parametrize("of_one", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.complex64])
def test_squared_norm(shape, dtype, of_one):
    leaf = jax.random.normal(jax.random.key(0), shape, jnp.float32).astype(dtype)
    np.testing.assert_allclose(
        squared_norm({"a": leaf, "b": jnp.ones(2)}, of_one), squares(leaf) + 2, rtol=1e-5
    )


@pytest.mark.parametrize("shape", [(), (5,), (4, 0), (64, 64), (8191,)])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.complex64])
@pytest.mark.parametrize("value", [0, 1e17, 1e20, jnp.inf, -jnp.inf, jnp.nan])
def test_squares_are_finite_where_their_norm_is(shape, dtype, value):
    tree = {"a": jnp.full(shape, value).astype(dtype), "b": jnp.ones(2)}
    for function in (has_finite_squares, jax.jit(has_finite_squares)):
        assert bool(function(tree)) == bool(jnp.isfinite(squared_norm(tree)))
    assert bool(has_finite_squares(tree)) == (abs(value) < 1e18 or 0 in shape)


@pytest.mark.parametrize("shape", [(4,), (20, 10), (3, 4, 5), (100, 64), (8191,)])
def test_squared_norm_under_jit_vmap_and_grad(shape):
    lanes = jax.random.normal(jax.random.key(1), (3, *shape))
    of_pairs = jax.vmap(jax.vmap(squared_norm))(jnp.stack([lanes, lanes]))
    np.testing.assert_allclose(of_pairs[1], [squares(lane) for lane in lanes], rtol=1e-5)
    of_one = jax.grad(squared_norm)
    hessian_times = jax.vmap(lambda lane: jax.jvp(of_one, (lane,), (jnp.ones_like(lane),))[1])
    np.testing.assert_allclose(hessian_times(lanes), np.full(lanes.shape, 2.0), rtol=1e-6)
    norms = jax.jit(jax.vmap(squared_norm))(lanes)
    np.testing.assert_allclose(norms, [squares(lane) for lane in lanes], rtol=1e-5)
    np.testing.assert_allclose(jax.jit(jax.vmap(jax.grad(squared_norm)))(lanes), 2 * lanes, rtol=1e-6)


def test_norms_of_several_at_once_share_no_product():
    """Ones that all of them had in common would be one product of a copy, all lanes side by side."""
    lanes = jax.ShapeDtypeStruct((7, 20, 10), jnp.float32)
    text = jax.jit(jax.vmap(squared_norm)).lower(lanes).as_text()
    (product,) = [line for line in text.splitlines() if "dot_general" in line]
    assert "batching_dims = [0] x [0]" in product


def test_no_leaves():
    assert squared_norm({}) == 0
