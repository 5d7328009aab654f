"""Whole numbers of any spelling, and names that are not known."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, strategies as st

from jaxgd.arguments import as_integer, unknown

DTYPES = [np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64]


@given(st.data(), st.sampled_from(DTYPES))
def test_every_whole_number_is_the_same_int(data, dtype):
    limits = np.iinfo(dtype)
    number = data.draw(st.integers(int(limits.min), int(limits.max)))
    for spelling in (number, dtype(number), np.array(number, dtype)):
        count = as_integer(spelling)
        assert type(count) is int
        assert count == number


def test_jax_scalars_are_numbers():
    assert as_integer(jnp.int32(7)) == as_integer(jnp.arange(8)[7]) == 7


@pytest.mark.parametrize(
    "value",
    [True, np.True_, jnp.bool_(True), 2.0, np.float64(2), jnp.float32(2), "2", None, [2], np.array([2])],
    ids=repr,
)
def test_anything_else_is_none(value):
    assert as_integer(value) is None


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("learning_rat", "; did you mean 'learning_rate'?"),
        ("lr", "; did you mean 'learning_rate'?"),
        ("wd", "; did you mean 'weight_decay'?"),
        ("x", ""),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest_one_or_that_of_its_initials(name, said):
    known = ["b1", "learning_rate", "weight_decay"]
    assert unknown("argument", name, known) == (
        f"unknown argument {name!r}{said} (known: b1, learning_rate, weight_decay)"
    )
