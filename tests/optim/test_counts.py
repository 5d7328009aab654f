"""Counts against Python's integers, eagerly and as arguments of a program."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from jaxgd.optim.counts import Count, as_count

LARGEST = 2**31 - 1
counts = st.integers(0, LARGEST)
numbers = st.integers(-(2**31), 2**33)
float32s = numbers.map(lambda number: int(np.float32(number)))
lengths = st.one_of(st.integers(1, 1000), st.integers(1, 2**33))
few = settings(max_examples=60, deadline=None)


@jax.jit
def traced(count, number):
    count = as_count(count)
    return count.before(number), count.since(number).real, count.lengths(number)


@few
@given(counts, numbers)
def test_whole_numbers(count, number):
    exact = as_count(count)
    assert exact.before(np.float64(number)) == (count < number)
    if abs(number) < 2**31 and count - number <= LARGEST:
        assert exact.since(np.float64(number)).whole == count - number


@few
@given(counts, lengths)
def test_whole_lengths(count, length):
    assert as_count(count).lengths(np.float64(length)) == np.float32(count // length)
    assert traced(np.int32(count), np.float32(length))[2] == np.float32(count // int(np.float32(length)))


@few
@given(counts, float32s)
def test_traced_numbers_are_those_that_float32_holds(count, number):
    before, since, _ = traced(np.int32(count), np.float32(number))
    assert before == (count < number)
    if abs(number) < 2**31 and count - number <= LARGEST:
        assert since == np.float32(count - number)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**20), st.floats(0.25, 1000.0, width=32))
def test_lengths_that_are_not_whole(count, length):
    eager = float(as_count(count).lengths(np.float64(length)))
    assert eager == traced(np.int32(count), np.float32(length))[2]
    assert (
        eager == jax.vmap(lambda c: as_count(c).lengths(np.float64(length)))(np.full(3, count, np.int32))[1]
    )
    assert abs(eager - count / length) <= 1 + 1e-6 * eager


@few
@given(
    st.integers(0, 10**6),
    st.integers(0, 10**4).map(lambda n: n / 8),
    st.integers(0, 10**4).map(lambda n: n / 8),
)
def test_moments_between_two_updates(count, first, second):
    later = as_count(count).since(np.float64(first)).since(jnp.float32(second))
    assert later.real == count - first - second
    assert 0 <= later.part < 1
    assert later.before(np.float64(7.5)) == (count - first - second < 7.5)


def test_a_full_counter_does_not_wrap():
    full = as_count(jnp.int32(LARGEST))
    assert full.since(-10).whole == LARGEST
    assert full.lengths(np.float64(1)) == np.float32(LARGEST)
    assert not full.before(np.float64(LARGEST))
    assert full.before(np.float64(2**31))
    assert traced(jnp.int32(LARGEST), np.float32(2**31))[0]


@pytest.mark.parametrize(
    "count", [7, 7.0, np.int64(7), np.uint8(7), np.float64(7), jnp.int32(7), jnp.float32(7)]
)
def test_every_spelling_of_a_count(count):
    assert as_count(count).real == 7
    assert as_count(count).whole.dtype == jnp.int32


def test_beyond_int32_is_a_full_counter():
    assert as_count(10**18).whole == as_count(np.int64(2**40)).whole == LARGEST


@pytest.mark.parametrize("length", [0.0, -3.0])
def test_no_length_is_no_transition(length):
    count = Count(jnp.arange(3))
    for number in (np.float64(length), jnp.float32(length)):
        np.testing.assert_array_equal(count.over(number), 0)
        np.testing.assert_array_equal(count.lengths(number), 0)
