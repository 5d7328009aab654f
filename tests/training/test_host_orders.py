"""Epoch orders made on the host: those of JAX's program, bit for bit, and no program compiled for them."""

import contextlib

import jax
import numpy as np
import pytest
from hypothesis import given, strategies as st

from jaxgd.training import host_orders
from jaxgd.training.batching import epoch_orders
from jaxgd.training.host_orders import first_orders, key_numbers

# A shuffle sorts never, once and, from 1626 on, twice. For the last 2**16 squared is 0 in a word of 32 bits.
NUMS = [1, 2, 5, 64, 1000, 1024, 1625, 1626, 5000, 2**16 + 5]
SEEDS = [0, 1, 3, 2**31, 2**32 - 1]
SAMPLINGS = ["shuffle", "replacement"]


def assert_equal(found, wanted):
    assert found.dtype == wanted.dtype
    np.testing.assert_array_equal(found, wanted)


def program(seed, count, num, sampling):
    """What the program of JAX makes."""
    return np.asarray(epoch_orders(jax.random.key(seed), 0, count, num, sampling))


def test_the_generator_gives_the_numbers_of_its_authors():
    words = host_orders._threefry(np.zeros((1, 2), np.uint32), np.zeros(1, np.uint32))
    assert [int(word[0, 0]) for word in words] == [0x6B200159, 0x99BA4EFE]


@pytest.mark.parametrize("is_long", [False, True], ids=["x32", "x64"])
@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("num", NUMS)
def test_orders_are_those_of_the_program(num, sampling, is_long):
    with jax.enable_x64(is_long):
        for seed in SEEDS:
            assert_equal(first_orders(key_numbers(seed), 3, num, sampling), program(seed, 3, num, sampling))


@pytest.mark.slow
def test_so_are_those_that_take_three_sorts():
    assert_equal(first_orders(key_numbers(3), 1, 2_700_000, "shuffle"), program(3, 1, 2_700_000, "shuffle"))


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_so_are_those_of_more_epochs_than_are_drawn_at_once(sampling, monkeypatch):
    monkeypatch.setattr(host_orders, "_BLOCK", 32)
    assert_equal(first_orders(key_numbers(3), 13, 9, sampling), program(3, 13, 9, sampling))
    assert_equal(first_orders(key_numbers(3), 3, 64, sampling), program(3, 3, 64, sampling))


@given(seed=st.integers(0, 2**32 - 1), sampling=st.sampled_from(SAMPLINGS), is_long=st.booleans())
def test_so_are_those_of_any_seed(seed, sampling, is_long):
    with jax.enable_x64(is_long):
        assert_equal(first_orders(key_numbers(seed), 3, 64, sampling), program(seed, 3, 64, sampling))


@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(1, 20),
    num=st.integers(1, 3000),
    sampling=st.sampled_from(SAMPLINGS),
)
def test_orders_are_of_every_example_and_of_no_other(seed, count, num, sampling):
    orders = first_orders(key_numbers(seed), count, num, sampling)
    assert (orders.shape, orders.dtype) == ((count, num), np.int32)
    assert orders.min() >= 0
    assert orders.max() < num
    if sampling == "shuffle":
        assert_equal(np.sort(orders, axis=1), np.tile(np.arange(num, dtype=np.int32), (count, 1)))


@given(st.lists(st.integers(2**32 - 3, 2**32 - 1) | st.integers(0, 2), min_size=1, max_size=50))
def test_equal_words_keep_their_order(words):
    row = np.array([words], np.uint32)
    np.testing.assert_array_equal(host_orders._places(row), np.argsort(row, axis=1, kind="stable"))


@pytest.mark.parametrize("is_long", [False, True], ids=["x32", "x64"])
@pytest.mark.parametrize("seed", [*SEEDS, -1, -(2**31), -(2**63), 2**32, 2**32 + 1, 2**63 - 1])
def test_keys_are_those_of_jax(seed, is_long):
    with jax.enable_x64(is_long):
        assert_equal(key_numbers(seed), np.asarray(jax.random.key_data(jax.random.key(seed))))


def test_nothing_is_traced_or_compiled():
    events = []
    note = lambda event, duration_secs, **_: events.append(event)  # noqa: E731
    jax.monitoring.register_event_duration_secs_listener(note)
    try:
        for sampling in SAMPLINGS:
            first_orders(key_numbers(11), 7, 77, sampling)
        assert events == []
        jax.jit(lambda: 0)()
        assert events != []
    finally:
        jax.monitoring.unregister_event_duration_listener(note)


@contextlib.contextmanager
def offset_of_seeds():
    jax.config.update("jax_random_seed_offset", 7)
    try:
        yield
    finally:
        jax.config.update("jax_random_seed_offset", 0)


@contextlib.contextmanager
def replaced(name, value):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jax, name, value)
        yield


UNKNOWN = {
    "rbg": lambda: jax.default_prng_impl("rbg"),
    "other counters": lambda: jax.threefry_partitionable(False),
    "offset": offset_of_seeds,
    "a later JAX": lambda: replaced("__version_info__", (0, 99, 0)),
    "a GPU": lambda: replaced("default_backend", lambda: "gpu"),
}


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("unknown", UNKNOWN)
def test_what_is_not_known_here_is_made_by_the_program(unknown, sampling, monkeypatch):
    calls = []
    monkeypatch.setattr(host_orders, "epoch_orders", lambda *args: calls.append(args) or epoch_orders(*args))
    with UNKNOWN[unknown]():
        numbers = key_numbers(3)
        assert_equal(numbers, np.asarray(jax.random.key_data(jax.random.key(3))))
        assert_equal(first_orders(numbers, 3, 64, sampling), program(3, 3, 64, sampling))
    assert len(calls) == 1


def test_an_order_that_is_none_is_made_by_the_program_too():
    assert_equal(first_orders(key_numbers(3), 2, 5, "sequential"), program(3, 2, 5, "sequential"))
