"""Which examples are used when: epoch orders and the keys of examples."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import jaxgd
from jaxgd.training.batching import epoch_order, epoch_orders, example_keys, init_key

KEY = jax.random.key(3)


def test_a_shuffle_is_every_example_once():
    first, second = (np.asarray(epoch_order(KEY, epoch, 20, "shuffle")) for epoch in (0, 1))
    np.testing.assert_array_equal(np.sort(first), np.arange(20))
    np.testing.assert_array_equal(np.sort(second), np.arange(20))
    assert (first != second).any()
    assert (first != np.arange(20)).any()
    assert (first != epoch_order(jax.random.key(4), 0, 20, "shuffle")).any()


def test_replacement_draws_independently():
    draws = np.asarray(epoch_orders(KEY, 0, 400, 5, "replacement"))
    assert draws.min() == 0
    assert draws.max() == 4
    counts = np.bincount(draws.ravel(), minlength=5)
    np.testing.assert_allclose(counts / draws.size, 0.2, atol=4 * np.sqrt(0.16 / draws.size))
    # Neighbouring draws are equal one time in five.
    same = np.mean(draws[:, 1:] == draws[:, :-1])
    np.testing.assert_allclose(same, 0.2, atol=4 * np.sqrt(0.16 / draws[:, 1:].size))


def test_orders_of_many_epochs():
    orders = epoch_orders(KEY, 2, 3, 7, "shuffle")
    for row, epoch in zip(orders, (2, 3, 4), strict=True):
        np.testing.assert_array_equal(row, epoch_order(KEY, epoch, 7, "shuffle"))
    np.testing.assert_array_equal(epoch_order(KEY, 5, 7, "sequential"), np.arange(7))


def test_streams_of_a_key_differ():
    data = jax.random.key_data
    keys = [init_key(KEY), *example_keys(KEY, 0, jnp.arange(3)), *example_keys(KEY, 1, jnp.arange(3))]
    assert len({data(key).tobytes() for key in map(jnp.asarray, keys)} | {data(KEY).tobytes()}) == 8


def constant_losses(params, batch):
    return batch + 0 * params


@pytest.mark.parametrize(("batch_size", "microbatch"), [(3, None), (4, 3), (7, None), (6, 2)])
@pytest.mark.parametrize("sampling", ["shuffle", "replacement"])
def test_the_order_is_the_same_whatever_the_batch_size(batch_size, microbatch, sampling):
    # Losses are powers of four, so their sum tells which examples were used, and how often.
    losses = 4.0 ** np.arange(10, dtype=np.float32)
    problem = jaxgd.Problem(lambda key: jnp.zeros(()), constant_losses, losses)
    tr = jaxgd.trainer(problem, jaxgd.sgd(0.0), batch_size, microbatch, sampling, remainder="drop")
    history = jaxgd.fit(tr, KEY, 2).history
    used = 10 // batch_size * batch_size
    for epoch in range(2):
        order = epoch_order(KEY, epoch, 10, sampling)
        assert history["train_loss"][epoch] == np.float32(losses[order[:used]].sum()) / np.float32(used)


def noisy_losses(params, batch, keys):
    return batch + 0 * params if keys is None else jax.vmap(jax.random.uniform)(keys) + 0 * params


@pytest.mark.parametrize(("batch_size", "microbatch"), [(1, None), (4, None), (4, 3), (10, 4), ("full", 4)])
def test_keys_of_examples_do_not_depend_on_batches(batch_size, microbatch):
    problem = jaxgd.Problem(lambda key: jnp.zeros(()), noisy_losses, jnp.zeros(10), valid=jnp.ones(3))
    history = jaxgd.fit(jaxgd.trainer(problem, jaxgd.sgd(0.1), batch_size, microbatch), KEY, 2).history
    for epoch in range(2):
        draws = jax.vmap(jax.random.uniform)(example_keys(KEY, epoch, jnp.arange(10)))
        np.testing.assert_allclose(history["train_loss"][epoch], draws.mean(), rtol=1e-6)
    np.testing.assert_array_equal(history["valid_loss"], [1, 1])  # keys are None in evaluation


def own_batches(num):
    """A problem whose run tells what was in its batches.

    Example i has the gradient of one for parameter i, so an update at rate 1 takes 1/B from each parameter
    whose example is in its batch of B.
    """
    return jaxgd.Problem(lambda key: jnp.zeros(num), lambda params, batch: batch @ params, jnp.eye(num))


def assert_each_once_an_epoch(num, batch_size, remainder, params, updates):
    """Two epochs: so many batches, each whole but the last, which is left out or has what is left over."""
    whole, rest = divmod(num, batch_size)
    of_rest = 0.0 if remainder == "drop" else 1 / rest if rest else 0.0
    assert updates.tolist() == [(epoch + 1) * (whole + (of_rest > 0)) for epoch in range(2)]
    taken = -np.asarray(params, np.float64)
    # What an example can have lost in two epochs, and what all have together.
    possible = {1 / batch_size * whole_times + of_rest * (2 - whole_times) for whole_times in range(3)}
    if not rest:
        possible = {2 / batch_size}
    assert all(min(abs(value - each) for each in possible) < 1e-6 for value in taken)
    np.testing.assert_allclose(taken.sum(), updates[-1], rtol=1e-6)


REMAINDERS = ("keep", "drop")


def check_static(num, batch_size, microbatch, remainder):
    trainer = jaxgd.trainer(
        own_batches(num), jaxgd.sgd(1.0), batch_size, min(microbatch, batch_size) or None, remainder=remainder
    )
    fit = jaxgd.fit(trainer, KEY, 2)
    assert_each_once_an_epoch(num, batch_size, remainder, fit.state.params, fit.history["updates"])


SIZES = st.integers(1, 32).flatmap(lambda num: st.tuples(st.just(num), st.integers(1, num)))


@settings(max_examples=3)
@given(SIZES, st.integers(0, 8), st.sampled_from(REMAINDERS))
def test_an_epoch_is_each_example_once(sizes, microbatch, remainder):
    check_static(*sizes, microbatch, remainder)


@pytest.mark.slow
@settings(max_examples=60)
@given(SIZES, st.integers(0, 32), st.sampled_from(REMAINDERS))
def test_an_epoch_is_each_example_once_often(sizes, microbatch, remainder):
    check_static(*sizes, microbatch, remainder)


def check_all_batch_sizes(num, remainder, microbatch):
    """Every batch size of a number of examples, as lanes of one program."""

    @jax.vmap
    def run(batch_size):
        trainer = jaxgd.trainer(
            own_batches(num), jaxgd.sgd(1.0), batch_size, microbatch=microbatch, remainder=remainder
        )
        fit = jaxgd.fit(trainer, KEY, 2)
        return fit.state.params, fit.history["updates"]

    sizes = np.arange(1, num + 1)
    params, updates = jax.jit(run)(sizes)
    for size, own, counts in zip(sizes.tolist(), params, np.asarray(updates), strict=True):
        assert_each_once_an_epoch(num, size, remainder, own, counts)


@pytest.mark.parametrize(("num", "microbatch", "remainder"), [(7, 3, "keep"), (32, 5, "drop")])
def test_traced_batch_sizes_take_each_example_once(num, microbatch, remainder):
    check_all_batch_sizes(num, remainder, microbatch)


@pytest.mark.slow
@pytest.mark.parametrize("remainder", REMAINDERS)
@pytest.mark.parametrize("num", range(1, 33))
def test_every_batch_size_of_every_number_takes_each_example_once(num, remainder):
    check_all_batch_sizes(num, remainder, microbatch=1 + num % 5)


@pytest.mark.parametrize(("position", "size", "rows"), [(0, 3, [0, 1, 2]), (4, 4, [4, 5, 6]), (6, 2, [6])])
def test_a_batch_of_a_traced_size_is_filled_up_with_its_first_example(position, size, rows):
    order = jnp.array([3, 1, 4, 0, 5, 2, 6], jnp.int32)
    data = {"x": np.arange(7) * 10, "y": jnp.arange(14.0).reshape(7, 2)}
    take = jax.jit(jaxgd.datasets.take_batch, static_argnums=4)
    batch, mask = take(data, order, position, size, 4)
    used = np.asarray(order)[[*rows, *[position] * (4 - len(rows))]]
    np.testing.assert_array_equal(batch["x"], 10 * used)
    np.testing.assert_array_equal(batch["y"], np.asarray(data["y"])[used])
    np.testing.assert_array_equal(mask, np.arange(4) < len(rows))


def test_beyond_the_end_of_an_epoch_a_batch_is_empty():
    order = jaxgd.datasets.epoch_order(KEY, 5)
    _, mask = jaxgd.datasets.take_batch(jnp.arange(5.0), order, 5, 2, 3)
    assert not mask.any()


def test_a_loop_over_these_batches_is_fit():
    inputs = np.random.default_rng(0).normal(size=(10, 3)).astype(np.float32)
    problem = jaxgd.regression(jaxgd.linear(3), (inputs, inputs[:, 0]))
    whole = jaxgd.fit(jaxgd.trainer(problem, jaxgd.sgd(0.1), 4), KEY, epochs=2)
    params = jax.tree.map(jnp.asarray, problem.init(init_key(KEY)))

    def mean_loss(params, batch, mask):
        return jnp.mean(problem.loss(params, batch), where=mask)

    for epoch in range(2):
        order = jaxgd.datasets.epoch_order(KEY, 10, epoch)
        np.testing.assert_array_equal(order, epoch_order(KEY, epoch, 10, "shuffle"))
        for position in (0, 4, 8):
            batch, mask = jaxgd.datasets.take_batch(problem.train, order, position, 4, 6)
            gradient = jax.grad(mean_loss)(params, batch, mask)
            params = jax.tree.map(lambda p, g: p - 0.1 * g, params, gradient)
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)  # noqa: E731
    jax.tree.map(close, params, whole.state.params)


FIVE, ORDER = jnp.ones(5), jnp.arange(5)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: jaxgd.datasets.epoch_order(3, 5), "key must be one PRNG key"),
        (lambda: jaxgd.datasets.epoch_order(KEY, 0), "num_examples must be a whole number"),
        (lambda: jaxgd.datasets.take_batch(FIVE, ORDER[:4], 0, 2, 3), "a place for each of 5 examples"),
        (lambda: jaxgd.datasets.take_batch(FIVE, ORDER, 0, 4, 3), "batch_size .* from 1 to 3, got 4"),
        (lambda: jaxgd.datasets.take_batch((FIVE, ORDER[:4]), ORDER, 0, 2, 3), "differ in length"),
    ],
)
def test_orders_and_batches_that_there_are_not(call, text):
    with pytest.raises((ValueError, TypeError), match=text):
        call()
