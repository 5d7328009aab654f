import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxgd
from jaxgd import optim
from jaxgd.optim.transform import Kind, Transform


def params():
    return {"w": jnp.array([1.0, -2.0]), "b": jnp.array([3.0])}


def first_updates(transform):
    return transform.update(params(), transform.init(params()), params())[0]


def assert_same_updates(ours, theirs):
    state, expected_state, p = ours.init(params()), theirs.init(params()), params()
    for _ in range(3):
        updates, state = ours.update(p, state, p)
        with jax.numpy_dtype_promotion("standard"):  # as Optax needs it
            expected, expected_state = theirs.update(p, expected_state, p)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4), updates, expected)
    assert jax.tree.structure(state) == jax.tree.structure(expected_state)


def labels(p):
    return {"w": "decay", "b": "plain"}


COMBINED = {
    "chain": (
        optim.chain(optax.clip(1.0), optim.adam(0.1)),
        optax.chain(optax.clip(1.0), optax.adam(0.1)),
    ),
    "named_chain": (
        optim.named_chain(("clip", optax.clip(1.0)), ("decay", optim.adam(0.1))),
        optax.named_chain(("clip", optax.clip(1.0)), ("decay", optax.adam(0.1))),
    ),
    "masked": (
        optim.masked(optim.adam(0.1), {"w": True, "b": False}),
        optax.masked(optax.adam(0.1), {"w": True, "b": False}),
    ),
    "partition": (
        optim.partition({"decay": optim.adam(0.1), "plain": optax.sgd(0.2)}, labels),
        optax.partition({"decay": optax.adam(0.1), "plain": optax.sgd(0.2)}, labels),
    ),
}
combined = pytest.mark.parametrize(("ours", "theirs"), COMBINED.values(), ids=COMBINED)


@combined
def test_combined_as_in_optax(ours, theirs):
    assert_same_updates(ours, theirs)
    assert isinstance(ours, optax.GradientTransformationExtraArgs)


@combined
def test_combined_is_a_pytree(ours, theirs):
    assert len(jax.tree.leaves(ours)) == len(jax.tree.leaves(optim.adam(0.1)))
    faster = ours.replace(learning_rate=0.3)
    assert (ours.learning_rate, faster.learning_rate, faster.b2) == (0.1, 0.3, 0.999)
    assert jax.tree.structure(faster) == jax.tree.structure(ours)
    assert "adam(learning_rate=0.1, b1=0.9, b2=0.999, eps=1e-08)" in repr(ours)
    stacked, in_axes = jaxgd.stack([ours, faster])
    together = jax.vmap(first_updates, (in_axes,))(stacked)
    alone = jax.tree.map(lambda *lanes: jnp.stack(lanes), first_updates(ours), first_updates(faster))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), together, alone)
    update = jax.jit(lambda transform: first_updates(transform))
    for rate in (0.1, 0.2, 1):
        update(ours.replace(learning_rate=rate))
    assert update._cache_size() == 1


def test_labels_are_not_taken_for_hyperparameters():
    paths = [jax.tree_util.keystr(path) for path, _ in jax.tree.leaves_with_path(COMBINED["partition"][0])]
    assert ".decay.learning_rate" in paths


def test_repr_of_combined():
    assert repr(COMBINED["chain"][0]).startswith("chain(clip, adam(")
    assert repr(COMBINED["named_chain"][0]).startswith("named_chain(clip=clip, decay=adam(")
    assert repr(COMBINED["masked"][0]).startswith("masked(adam(")


def test_chains_built_separately_share_a_program():
    one, other = (jaxgd.chain(optax.clip(1.0), jaxgd.sgd(rate)) for rate in (0.1, 0.2))
    assert jax.tree.structure(one) == jax.tree.structure(other)
    assert jax.tree.structure(one) != jax.tree.structure(jaxgd.chain(optax.clip(2.0), jaxgd.sgd(0.1)))


def test_chain_in_chain():
    inner = jaxgd.chain(optax.clip(1.0), jaxgd.adam(0.1))
    assert_same_updates(
        jaxgd.chain(inner, optax.scale(2.0)),
        optax.chain(optax.chain(optax.clip(1.0), optax.adam(0.1)), optax.scale(2.0)),
    )
    assert jaxgd.chain(inner, optax.scale(2.0)).replace(learning_rate=0.2).learning_rate == 0.2


def test_ambiguous_and_unknown_names():
    two = jaxgd.chain(jaxgd.sgd(0.1), jaxgd.adam(0.1))
    with pytest.raises(AttributeError, match="2 parts of"):
        two.replace(learning_rate=0.2)
    with pytest.raises(AttributeError, match="no part of"):
        _ = two.decay
    assert two.replace(b1=0.5).b1 == 0.5
    assert two.transforms[1].b1 == 0.9


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: jaxgd.chain(), "chain needs at least one transform"),
        (lambda: jaxgd.chain(0.1), "argument 0 of chain must be a gradient transformation, got 0.1"),
        (lambda: optim.named_chain(("a", optax.clip(1.0)), ("a", optax.clip(1.0))), "different names"),
        (lambda: optim.masked(0.1, True), "inner of masked must be"),
        (lambda: optim.partition({"a": 3}, "a"), "a in partition must be"),
        (lambda: jaxgd.stack([]), "stack needs at least one item"),
        (lambda: jaxgd.stack([jaxgd.adam(0.1), jaxgd.sgd(0.1)]), "item 1 differs from item 0: sgd"),
    ],
)
def test_bad_arguments(build, message):
    with pytest.raises((ValueError, TypeError), match=message):
        build()


def test_current_learning_rate():
    schedule = optim.exponential_decay(0.1, 1, 0.5)
    for optimizer in (optim.adam(schedule), optim.chain(optax.clip(1.0), optim.momentum(schedule))):
        state = optimizer.init(params())
        for expected in (0.1, 0.05, 0.025):
            np.testing.assert_allclose(optim.current_learning_rate(optimizer, state), expected, rtol=1e-6)
            _, state = optimizer.update(params(), state)
        with pytest.raises(ValueError, match="no count"):
            optim.current_learning_rate(optimizer, optim.sgd(0.1).init(params()))
    assert optim.current_learning_rate(optim.adam(0.3), optim.adam(0.3).init(params())) == 0.3


def test_stack_shares_equal_arrays():
    data = np.arange(6.0)
    stacked, in_axes = jaxgd.stack([{"rate": 0.1 * i, "data": data, "new": np.full(2, i)} for i in (1, 2)])
    assert in_axes == {"rate": 0, "data": None, "new": 0}
    assert stacked["data"] is data
    assert stacked["new"].shape == (2, 2)


def test_a_transform_of_ones_own():
    def init(hyperparameters, params):
        return optax.EmptyState()

    def update(hyperparameters, updates, state, params=None, **extra):
        rate = hyperparameters.learning_rate
        return jax.tree.map(lambda g: -rate * jnp.sign(g) * abs(g) ** hyperparameters.power, updates), state

    def signed_power(learning_rate, power=0.5):
        return Transform.build(Kind("signed_power", init, update), learning_rate=learning_rate, power=power)

    optimizer = signed_power(0.1)
    assert repr(optimizer) == "signed_power(learning_rate=0.1, power=0.5)"
    np.testing.assert_allclose(first_updates(optimizer)["w"], [-0.1, 0.1 * 2**0.5], rtol=1e-6)
    stacked, in_axes = jaxgd.stack([signed_power(0.1), signed_power(0.1, power=1.0)])
    assert jax.vmap(first_updates, (in_axes,))(stacked)["w"].shape == (2, 2)
    with pytest.raises(ValueError, match="learning_rate must be finite and 0 or more"):
        signed_power(-1.0)
