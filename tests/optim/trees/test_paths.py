"""Parts of optimizers and schedules are read and replaced by path, however they are nested."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings, strategies as st

import jaxgd
from jaxgd import optim
from jaxgd.optim.trees.paths import Parted

PARAMS = {"w": jnp.array([1.0, -2.0]), "b": jnp.array([3.0])}
LABELS = {"w": "g", "b": "d"}
COSINE = optim.warmup_cosine_decay_schedule(0.0, 0.1, 10, 100)
GAN = optim.partition({"g": jaxgd.adam(1e-3), "d": jaxgd.adam(COSINE)}, LABELS)


def test_each_kind_of_combination():
    chain = jaxgd.chain(optax.clip(1.0), jaxgd.sgd(0.1), jaxgd.sgd(0.2))
    assert (chain["1.learning_rate"], chain["2"].learning_rate) == (0.1, 0.2)
    assert chain.replace(**{"2.learning_rate": 0.3}).transforms == (*chain.transforms[:2], jaxgd.sgd(0.3))
    assert chain.replace(**{"0": optim.identity()})["0"] == optim.identity()
    named = optim.named_chain(("slow", jaxgd.sgd(0.1)), ("fast", jaxgd.sgd(0.2)))
    assert named.replace(**{"fast.learning_rate": 0.3})["fast"].learning_rate == 0.3
    masked = optim.masked(jaxgd.adamw(0.1, mask=True), {"w": True, "b": False})
    assert masked["inner.learning_rate"] == masked.learning_rate == 0.1
    assert masked.replace(mask=False)["mask"] is False
    assert masked.replace(**{"inner.mask": False})["inner.mask"] is False
    assert GAN["g"] == GAN.g == jaxgd.adam(1e-3)
    assert GAN.replace(g=jaxgd.sgd(0.5)) == optim.partition(
        {"g": jaxgd.sgd(0.5), "d": jaxgd.adam(COSINE)}, LABELS
    )
    assert GAN.replace(param_labels="g")["param_labels"] == "g"


def test_inside_a_schedule():
    assert GAN["d.learning_rate.peak_value"] == 0.1
    faster = GAN.replace(**{"d.learning_rate.peak_value": 0.5})
    assert faster["d.learning_rate"] == COSINE.replace(peak_value=0.5)
    assert faster["g"] == GAN["g"]
    joined = jaxgd.sgd(optim.join_schedules([COSINE, lambda count: 0.1], [5]))
    assert joined["learning_rate.schedules.0.peak_value"] == 0.1
    changed = joined.replace(**{"learning_rate.schedules.0.peak_value": 0.5, "learning_rate.boundaries.0": 7})
    assert changed.learning_rate(1) == pytest.approx(0.05)
    assert changed["learning_rate.boundaries"] == (7,)
    assert changed["learning_rate.schedules.1"](0) == 0.1


def test_inside_a_transform_of_optaxs():
    multi = optim.from_optax(optax.MultiSteps, jaxgd.adam(COSINE), every_k_schedule=2)
    assert multi.replace(**{"opt.learning_rate.peak_value": 0.5})["opt.learning_rate.peak_value"] == 0.5
    assert multi["opt.b2"] == 0.999


def test_structure_stays_so_that_nothing_compiles():
    faster = GAN.replace(**{"g.learning_rate": 0.5, "d.learning_rate.peak_value": 0.5})
    assert jax.tree.structure(faster) == jax.tree.structure(GAN)
    updates, _ = faster.update(PARAMS, faster.init(PARAMS), PARAMS)
    np.testing.assert_allclose(updates["w"], [-0.5, 0.5], rtol=1e-5)


def test_a_transform_is_still_the_pair():
    init, update = GAN
    assert (GAN[0], GAN[1], GAN[-1], len(GAN)) == (init, update, update, 2)
    assert GAN[:1] == (init,)


def test_names_with_dots_and_numbers():
    layers = optim.partition({"a": jaxgd.sgd(0.1), "a.b": jaxgd.sgd(0.2), 3: jaxgd.sgd(0.3)}, "a")
    rates = [layers[f"{label}.learning_rate"] for label in ("a", "a.b", "3")]
    assert rates == [0.1, 0.2, 0.3]
    changed = layers.replace(**{"a.b.learning_rate": 0.5, "3.learning_rate": 0.6})
    assert [part.learning_rate for part in changed.transforms] == [0.1, 0.5, 0.6]


def test_a_name_that_is_in_one_part_needs_no_path():
    nested = jaxgd.chain(optax.clip(1.0), optim.masked(jaxgd.adam(0.1), True))
    assert nested.replace(learning_rate=0.2)["1.inner.learning_rate"] == nested["learning_rate"] * 2
    assert nested.b2 == 0.999


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("learning_rate", r"2 parts of .*say which, as in '0.g.learning_rate'"),
        ("momentum", "no part of .* has a hyperparameter 'momentum'"),
        ("0.g.lr", "unknown hyperparameter 'lr'"),
        ("0.g.learning_rate.peak_value", r"np.float64\(0.001\) has no part 'peak_value'"),
        ("0.d.learning_rate.peak_val", "did you mean"),
        ("1.max_delta", "has no part 'max_delta'"),
    ],
)
def test_what_is_not_there(path, message):
    whole = jaxgd.chain(GAN, optax.clip(1.0))
    with pytest.raises(KeyError, match=message):
        whole[path]
    with pytest.raises((TypeError, AttributeError), match=message):
        whole.replace(**{path: 0.1})


def test_parts_are_checked():
    with pytest.raises(ValueError, match="learning_rate must be finite and 0 or more"):
        GAN.replace(**{"g.learning_rate": float("nan")})
    with pytest.raises(TypeError, match="g of partition must be a gradient transformation, got 3"):
        GAN.replace(g=3)


numbers = st.floats(1e-6, 1, exclude_max=True)
schedules = st.recursive(
    st.builds(optim.constant_schedule, numbers)
    | st.builds(optim.exponential_decay, numbers, st.integers(1, 9), numbers),
    lambda inner: st.builds(lambda a, b: optim.join_schedules([a, b], [3]), inner, inner),
    max_leaves=3,
)
leaves = st.one_of(
    st.builds(jaxgd.sgd, numbers | schedules, numbers),
    st.builds(jaxgd.adam, numbers | schedules, numbers, numbers),
    st.builds(optim.lion, numbers, numbers),
    st.builds(optim.clip_by_global_norm, numbers),
    st.just(optax.clip(1.0)),
)
optimizers = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(jaxgd.chain, inner, inner),
        st.builds(lambda a, b: optim.named_chain(("a", a), ("b.c", b)), inner, inner),
        st.builds(lambda a, b: optim.partition({"a": a, "b": b}, "a"), inner, inner),
        st.builds(lambda a: optim.masked(a, True), inner),
        st.builds(lambda a: optim.selective_transform(a, freeze_mask=False), inner),
        st.builds(lambda a: optim.from_optax(optax.MultiSteps, a, 2), inner),
    ),
    max_leaves=6,
)


def paths_of(part):
    """Every path within a part."""
    items = [(name, part[name]) for name in part._names] if isinstance(part, Parted) else []
    if type(part) is tuple:
        items = [(str(i), item) for i, item in enumerate(part)]
    for name, item in items:
        yield name
        yield from (f"{name}.{path}" for path in paths_of(item))


@settings(max_examples=60, deadline=None)
@given(optimizers.filter(lambda drawn: isinstance(drawn, Parted)), st.data())
def test_nested_ones_round_trip(optimizer, data):
    paths = list(paths_of(optimizer))
    for path in paths:
        assert optimizer.replace(**{path: optimizer[path]}) == optimizer
    rates = [path for path in paths if path.endswith(("learning_rate", "b1", "init_value", "max_norm"))]
    numeric = [path for path in rates if not callable(optimizer[path])]
    if not numeric:
        return
    path = data.draw(st.sampled_from(numeric))
    changed = optimizer.replace(**{path: 0.123})
    assert changed[path] == 0.123
    assert jax.tree.structure(changed) == jax.tree.structure(optimizer)
    before, after = map(jax.tree.leaves, (optimizer, changed))
    assert sum(a != b for a, b in zip(before, after, strict=True)) == (optimizer[path] != 0.123)
    assert changed.replace(**{path: optimizer[path]}) == optimizer
