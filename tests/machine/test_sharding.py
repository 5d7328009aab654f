"""Parameters split over a mesh with Explicit axes: every transform keeps their shardings, and its numbers."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import NamedSharding, PartitionSpec

import jaxgd
from jaxgd import optim
from jaxgd.numerics import squared_norm

SPECS = {"w": ("x",), "b": (), "columns": (None, "x"), "line": ("x",), "kernel": (None, None, "x")}
SHAPES = {"w": (8, 4), "b": (3,), "columns": (4, 8), "line": (6,), "kernel": (3, 3, 8)}
ARGUMENTS = {
    "learning_rate": 0.1,
    "clipping": 0.1,
    "threshold": 0.1,
    "max_delta": 0.1,
    "max_norm": 0.1,
    "micro_batches": 2,
    "weight_decay": 0.1,
    "eta": 0.1,
    "gamma": 0.5,
    "key": 0,
    "decay": 0.9,
    "scale_factor": 1.0,
    "step_size": 2.0,
    "step_size_fn": optim.constant_schedule(0.1),
    "mask": False,
    "freeze_mask": {"w": True, "b": False, "columns": True, "line": False, "kernel": False},
    "optimizer": jaxgd.adam(0.1),
    "inner": jaxgd.adam(0.1),
    "transforms": {"a": jaxgd.adam(0.1), "b": optim.clip_by_global_norm(1.0)},
    "param_labels": {"w": "a", "b": "b", "columns": "a", "line": "a", "kernel": "b"},
}
NO_TRANSFORMS = {"current_learning_rate", "stack"}
# They take lists, functions or options of their own; what they are made of is tried.
OTHERS = {"apply_updates", "make_update", "chain", "from_optax", "lbfgs", "named_chain", "scale_by_moments"}
TRANSFORMS = [
    name
    for name in optim.__all__
    if name[0].islower() and name not in NO_TRANSFORMS | OTHERS
    if not name.endswith(("_schedule", "_schedules", "_decay"))
]


def build(name):
    factory = getattr(optim, name)
    needed = inspect.signature(factory).parameters.values()
    given = [p for p in needed if p.default is p.empty or p.name in ("learning_rate", "key")]
    return factory(**{p.name: ARGUMENTS[p.name] for p in given})


@pytest.fixture
def split():
    """A function that splits a tree of arrays like the parameters over two devices."""
    mesh = jax.make_mesh((2,), ("x",), devices=jax.devices()[:2])
    with jax.set_mesh(mesh):
        yield lambda tree: {
            name: jax.device_put(leaf, NamedSharding(mesh, PartitionSpec(*SPECS[name])))
            for name, leaf in tree.items()
        }


def numbers(seed):
    draw = np.random.default_rng(seed)
    return {name: draw.normal(size=shape).astype(np.float32) for name, shape in SHAPES.items()}


def shardings(tree):
    return jax.tree.map(lambda leaf: str((leaf.shape, jax.typeof(leaf).sharding.spec)), tree)


@pytest.mark.filterwarnings("ignore:Specifying a key")
@pytest.mark.parametrize("name", TRANSFORMS)
def test_shardings_stay(split, name):
    params, gradients, optimizer = split(numbers(0)), split(numbers(1)), build(name)

    def step(params, state):
        updates, state = optimizer.update(gradients, state, params, value=jnp.float32(1), grad=gradients)
        return optax.apply_updates(params, updates), state

    def steps(params):
        carry = params, optimizer.init(params)
        return jax.lax.scan(lambda carry, _: (step(*carry), None), carry, length=2)[0]

    # Shardings are part of the types, so that tracing checks them.
    after, state = jax.eval_shape(steps, params)
    assert shardings(after) == shardings(params)
    assert shardings(state) == shardings(jax.eval_shape(optimizer.init, params))


def test_all_are_tried():
    assert len(TRANSFORMS) > 55
    assert {"adam", "adaptive_grad_clip", "clip_by_block_rms", "soft_threshold", "lamb"} <= {*TRANSFORMS}


CHAINS = {
    "clip_by_global_norm": lambda: jaxgd.chain(optim.clip_by_global_norm(0.1), jaxgd.adam(0.1)),
    "adaptive_grad_clip": lambda: jaxgd.chain(optim.adaptive_grad_clip(0.01), jaxgd.sgd(0.1)),
}


@pytest.mark.parametrize("chain", CHAINS.values(), ids=CHAINS)
def test_the_numbers_are_those_of_one_device(split, chain):
    def loss(params, scale):
        return scale * sum(jnp.sum(jnp.square(leaf - 1)) for leaf in params.values())

    def steps(params):
        update = jaxgd.make_update(chain(), loss)
        return update(params, chain().init(params), jnp.float32(3))[::2]

    params = split(numbers(0))
    before = shardings(params)
    after, value = steps(params)
    assert shardings(after) == before
    expected, expected_value = steps(jax.tree.map(jnp.array, numbers(0)))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), after, expected)
    np.testing.assert_allclose(value, expected_value, rtol=1e-5)


def test_norms(split):
    tree = numbers(0) | {"w": np.ones((8, 4096), np.float32)}
    expected = sum(np.sum(leaf.astype(np.float64) ** 2) for leaf in tree.values())
    np.testing.assert_allclose(jax.jit(squared_norm)(split(tree)), expected, rtol=1e-5)


def test_low_precision_is_summed_in_float32(split):
    gradients = split({"w": jnp.full((8, 4096), 0.25, jnp.bfloat16)})
    clip = optim.clip_by_global_norm(1.0)
    updates = jax.jit(lambda g: clip.update(g, clip.init(g)))(gradients)[0]["w"]
    assert updates.dtype == jnp.bfloat16
    np.testing.assert_allclose(np.asarray(updates, float), 1 / np.sqrt(8 * 4096), rtol=1e-2)
