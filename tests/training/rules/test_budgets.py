"""Budgets and patience of any size, against Python's integers, which have no end."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import jaxgd
from jaxgd.training.rules.budgets import batches_end
from jaxgd.training.rules.rule import NEVER, count_leaf

KEY = jax.random.key(0)
NUM, EPOCHS = 23, 4

counts = st.one_of(st.integers(1, 100), st.integers(1, 2**62), st.integers(2**31 - 3, 2**31 + 3))
bounds = st.one_of(
    counts, counts.map(float), counts.map(np.int64), st.just(float("inf")), st.just(np.float32(1e18))
)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_where_batches_end(data):
    num = data.draw(st.one_of(st.integers(1, 200), st.integers(1, 2**31 - 1)))
    size = data.draw(st.one_of(st.just(num), st.integers(1, min(num, 50)), st.integers(1, num)))
    begin = data.draw(st.integers(0, num // size)) * size
    batches = data.draw(st.one_of(st.integers(0, 50), st.integers(0, NEVER)))
    expected = begin + batches * size
    found = jitted_end(*np.array([begin, batches, size, num], np.int32))
    assert found == (num if expected >= num else expected)


jitted_end = jax.jit(batches_end)


@settings(deadline=None)
@given(bounds)
def test_a_whole_number_on_the_host(value):
    leaf = count_leaf("patience", value, "", 1)
    assert leaf.dtype == np.int32
    assert leaf == min(value, NEVER)


TRACED = {
    dtype: jax.jit(lambda value: count_leaf("patience", value, "", 1))
    for dtype in ("int8", "uint32", "int64", "uint64", "float32", "float64")
}


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(list(TRACED)), counts)
def test_a_whole_number_that_is_traced(dtype, value):
    with jax.enable_x64(True):
        most = np.iinfo(dtype).max if np.issubdtype(dtype, np.integer) else np.inf
        number = np.asarray(min(value, most)).astype(dtype)
        leaf = TRACED[dtype](number)
    assert leaf.dtype == np.int32
    assert leaf == min(int(number), NEVER)


def test_infinities_that_are_traced():
    found = jax.jit(jax.vmap(lambda x: count_leaf("patience", x, "", 0)))(jnp.array([0.0, 7.0, 3e9, jnp.inf]))
    assert found.tolist() == [0, 7, NEVER, NEVER]


def unmoved(params, batch):
    return 0 * params + batch


PROBLEM = jaxgd.Problem(lambda key: jnp.zeros(()), unmoved, np.ones(NUM, np.float32))


def reference(size, updates, examples, epochs, patience, start):
    """`(updates, examples, status)` after each epoch of a run whose loss stays as it is, in Python."""
    made = used = 0
    status, wait, rows = 0, 0, []
    for epoch in range(EPOCHS):
        position = 0
        while status == 0 and position < NUM:
            batch = min(size, NUM - position)
            if made + 1 > updates or used + batch > examples:
                break
            made, used, position = made + 1, used + batch, position + batch
        is_spent = made >= updates or used + size > examples or epoch + 1 >= epochs
        is_best = epoch == start
        wait += epoch > start
        is_over = epoch > start and not is_best and epoch > 0 and wait >= patience
        status = status or (3 if is_spent else 1 if is_over else 0)
        rows.append((made, used, status))
    return rows


@settings(max_examples=100, deadline=None)
@given(st.integers(1, NUM), bounds, bounds, bounds, bounds, st.one_of(st.integers(0, 3), bounds))
def test_a_run_ends_where_its_bounds_say(size, updates, examples, epochs, patience, start):
    # All are leaves: one program serves every example.
    trainer = jaxgd.trainer(PROBLEM, jaxgd.sgd(0.1), np.asarray(size), microbatch=5)
    trainer = jaxgd.budget(trainer, updates=updates)
    trainer = jaxgd.budget(trainer, examples=examples)
    trainer = jaxgd.budget(trainer, epochs=epochs)
    options = {"monitor": "train_loss", "restore_best": False}
    trainer = jaxgd.early_stopping(trainer, patience, start_from_epoch=start, **options)
    fit = jaxgd.fit(trainer, KEY, EPOCHS)
    rows = reference(size, updates, examples, epochs, patience, start)
    assert fit.history["updates"].tolist() == [made for made, _, _ in rows]
    assert fit.history["examples"].tolist() == [used for _, used, _ in rows]
    assert int(fit.state.status) == rows[-1][-1]


@pytest.mark.parametrize("bound", [3 * 10**8, 2**30 + 1, 10**10, 2**62, float("inf"), 99e99])
def test_a_budget_that_cannot_be_reached_is_none(bound):
    problem = jaxgd.Problem(lambda key: jnp.zeros(()), lambda p, b: -p * b, np.ones(24, np.float32))
    trainer = jaxgd.trainer(problem, jaxgd.sgd(1.0), 8)
    for what in ("updates", "examples", "epochs"):
        trainer = jaxgd.budget(trainer, **{what: bound})
    fit = jaxgd.fit(trainer, KEY, 2)
    assert fit.history["updates"].tolist() == [3, 6]
    assert fit.state.status == 0


@pytest.mark.parametrize("value", [0, -(10**400), float("nan"), -float("inf")])
def test_what_is_no_bound(value):
    with pytest.raises(ValueError, match="updates must be a whole number, 1 or more, got"):
        jaxgd.budget(jaxgd.trainer(PROBLEM, jaxgd.sgd(0.1), 4), updates=value)


def test_bounds_beyond_32_bits_are_lanes_beside_others():
    def make(hp):
        trainer = jaxgd.trainer(PROBLEM, jaxgd.sgd(0.1), 5)
        trainer = jaxgd.early_stopping(trainer, hp.patience, monitor="train_loss")
        return jaxgd.budget(trainer, updates=hp.most)

    axes = {"patience": [1, float("inf"), 2**40], "most": [3, 10**12]}
    result = jaxgd.sweep(make, axes, epochs=3, progress=False)
    assert len(result.plan.groups) == 1
    assert result.dataset.updates[..., -1].values.tolist() == [[3, 10], [3, 15], [3, 15]]
