import pickle

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

    kind = Kind("signed_power", init, update, arguments={"learning_rate": optim.Rate})

    def signed_power(learning_rate, power=0.5):
        return Transform.build(kind, learning_rate=learning_rate, power=power)

    optimizer = signed_power(0.1)
    assert repr(optimizer) == "signed_power(learning_rate=0.1, power=0.5)"
    np.testing.assert_allclose(first_updates(optimizer)["w"], [-0.1, 0.1 * 2**0.5], rtol=1e-6)
    stacked, in_axes = jaxgd.stack([signed_power(0.1), signed_power(0.1, power=1.0)])
    assert jax.vmap(first_updates, (in_axes,))(stacked)["w"].shape == (2, 2)
    with pytest.raises(ValueError, match="learning_rate must be finite and 0 or more"):
        signed_power(-1.0)


def no_state(h, params):
    return optax.EmptyState()


def scaled(h, updates, state, params=None, **extra):
    return jax.tree.map(lambda g: -h.decay * g, updates), state


@pytest.mark.parametrize(
    "name", ["decay", "rho", "b1", "learning_rate", "momentum", "boundaries", "nesterov"]
)
@pytest.mark.parametrize("value", [2.0, -1.0, 0.0, float("inf")])
def test_a_strangers_argument_is_theirs_whatever_its_name(name, value):
    transform = Transform.build(Kind("mine", no_state, scaled), **{name: value})
    assert getattr(transform, name) == value
    assert jax.tree.leaves(transform) == [value]
    assert [jax.tree_util.keystr(path) for path, _ in jax.tree.leaves_with_path(transform)] == [f".{name}"]
    assert repr(transform) == f"mine({name}={value:g})"
    assert getattr(transform.replace(**{name: 3.0}), name) == 3.0


def test_a_strangers_numbers_reach_the_update_as_given():
    transform = Transform.build(Kind("mine", no_state, scaled), decay=2.0)
    np.testing.assert_array_equal(first_updates(transform)["w"], [-2.0, 4.0])
    assert not hasattr(transform, "one_minus_decay")


def test_declared_arguments():
    declared = {
        "rate": optim.Rate,
        "falling": optim.Decay,
        "strength": optim.Strength,
        "share": optim.Fraction,
        "power": optim.Finite,
        "width": optim.Positive,
        "bound": optim.NotNegative,
        "fast": optim.Switch,
        "kept": optim.Mask,
        "storage": optim.Dtype,
    }
    kind = Kind("mine", no_state, scaled, frozenset({"kept"}), declared)
    given = {
        "rate": optim.step_decay(0.1, 5),
        "falling": 0.99999,
        "strength": 0.0,
        "share": 0.5,
        "power": -2.0,
        "width": 3.0,
        "bound": 0.0,
        "fast": True,
        "kept": {"w": True},
        "storage": "bfloat16",
    }
    transform = Transform.build(kind, **given)
    assert {name: getattr(transform, name) for name in given} == given | {"storage": jnp.bfloat16}
    assert transform.one_minus_falling == 1 - 0.99999
    assert pickle.loads(pickle.dumps(transform)) == transform
    assert hash(jax.tree.structure(transform)) == hash(jax.tree.structure(Transform.build(kind, **given)))
    for name, bad in {
        "rate": -1.0,
        "falling": 1.0,
        "strength": -1.0,
        "share": 1.0,
        "power": np.nan,
        "width": 0.0,
        "bound": -1.0,
        "fast": 1,
        "storage": "float33",
        "share ": None,
    }.items():
        with pytest.raises((ValueError, TypeError), match=f"{name.strip()} must be"):
            Transform.build(kind, **given | {name.strip(): bad})
    assert transform.replace(kept=None).kept is None


def test_kinds_built_twice_are_one_structure():
    built = [
        Transform.build(Kind("mine", no_state, scaled, arguments={"decay": optim.Decay}), decay=decay)
        for decay in (0.5, 0.9)
    ]
    assert jax.tree.structure(built[0]) == jax.tree.structure(built[1])
    plain = Transform.build(Kind("mine", no_state, scaled), decay=0.5)
    assert jax.tree.structure(plain) != jax.tree.structure(built[0])
