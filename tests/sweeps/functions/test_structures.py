"""Which values of a point are numbers to trace, which are structure, and what is no training function."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgd.sweeps.axes import checked_axes
from jaxgd.sweeps.cohorts import cohorts_of
from jaxgd.sweeps.functions.structures import function_runs


def runs_of(train, axes):
    return function_runs(train, checked_axes(axes))


def names_of(train, axes):
    """Of each program the numbers that are traced and what is structure."""
    runs, _ = runs_of(train, axes)
    firsts = [cohort.first for cohort in cohorts_of(run.row for run in runs)]
    return [(list(one.numbers), dict(one.settings.value)) for one in firsts]


def train(key, rate, width=2, name="a", shift=0.0):
    x = jnp.zeros(width) if name == "a" else jnp.ones(width) * shift
    return {"loss": jnp.full(3, rate) + jnp.sum(x)}


def test_numbers_are_traced_and_the_rest_is_structure():
    axes = {"rate": [0.1, 0.2, 0.3], "name": ["a", "b", None], "seed": [0, 1]}
    assert names_of(train, axes) == [(["rate"], {"name": name}) for name in ("a", "b", None)]


def test_a_number_whose_value_is_needed_is_structure():
    found = names_of(train, {"rate": [0.1, 0.2], "width": [2, 3], "shift": [0.5, 1.5]})
    assert found == [(["rate", "shift"], {"width": width}) for width in (2, 3)]


def test_it_is_structure_only_where_it_is_needed():
    def depends(key, rate, width, name):
        return {"loss": jnp.full(3, rate * (width if name == "a" else len(range(width))))}

    found = names_of(depends, {"name": ["a", "b"], "width": [2, 3], "rate": [0.5, 1.5]})
    assert found == [
        (["rate", "width"], {"name": "a"}),
        *((["rate"], {"name": "b", "width": width}) for width in (2, 3)),
    ]


def test_a_branch_on_a_number_is_structure():
    def branching(key, rate):
        return {"loss": jnp.full(3, rate if rate > 0.15 else 0.0)}

    assert len(names_of(branching, {"rate": [0.1, 0.2], "seed": [0, 1, 2]})) == 2


def test_kinds_of_numbers_are_as_in_jit():
    seen = []

    def kinds(key, rate):
        seen.append((jnp.result_type(rate), (jnp.ones(1, jnp.bfloat16) * rate).dtype))
        return {"loss": rate * jnp.ones(2)}

    with jax.numpy_dtype_promotion("standard"):
        runs_of(kinds, {"rate": [0.1]})
        runs_of(kinds, {"rate": [np.float32(0.1)]})
        runs_of(kinds, {"rate": [3]})
    assert seen == [(np.float32, jnp.bfloat16), (np.float32, np.float32), (np.int32, jnp.bfloat16)]


def test_whole_numbers_of_more_bits_are_structure():
    def large(key, number):
        return {"loss": jnp.full(2, float(number))}

    assert names_of(large, {"number": [2**40]}) == [([], {"number": 2**40})]


def test_a_seed_is_the_key_and_an_argument_where_it_is_asked_for():
    def seeded(key, seed):
        return {"loss": jnp.full(2, seed)}

    runs, epochs = runs_of(seeded, {"seed": [4, 5]})
    assert epochs == 2
    assert [(run.seed, run.routine.numbers) for run in runs] == [(4, {"seed": 4}), (5, {"seed": 5})]
    assert [run.routine.numbers for run in runs_of(train, {"rate": [1.0], "seed": [4]})[0]] == [{"rate": 1.0}]


class Trainer:
    def __call__(self, key, rate):
        return {"loss": jnp.full(2, rate)}


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (jax.jit(train, static_argnames="width"), "train(width=3)"),
        (functools.partial(train, name="b"), "train(width=3)"),
        (Trainer(), "Trainer()"),
        (Trainer().__call__, "__call__()"),
    ],
)
def test_whatever_can_be_called_is_a_function(function, text):
    width = {"width": [3]} if "width" in text else {}
    runs, _ = runs_of(function, {"rate": [0.5], **width})
    assert repr(runs[0].routine) == text


LEAKED = []


def leaks(key, rate, name):
    LEAKED.append(rate * 2)
    return {"loss": jnp.full(2, LEAKED[0])}


RATES = {"rate": [0.1, 0.2]}
BAD = {
    "no function": (3, RATES, TypeError, r"train must be a function train\(key, \*\*values\), got 3"),
    "no key": (lambda rate: rate, RATES, TypeError, r"must take the key first.*got <lambda>\(rate\)"),
    "nothing": (lambda: 0, RATES, TypeError, "must take the key first"),
    "a misspelt axis": (train, {"rte": [1.0]}, ValueError, "unknown axis 'rte'; did you mean 'rate'"),
    "an argument": (train, {"width": [2]}, ValueError, "needs 'rate', which is no axis"),
    "no dict": (lambda key, rate: rate, RATES, TypeError, "must return a dict of arrays.* got a float"),
    "an empty dict": (lambda key, rate: {}, RATES, TypeError, "got a dict without any"),
    "a text": (lambda key, rate: {"a": rate, "b": "c"}, RATES, TypeError, "got a str in 'b'"),
    "lengths": (
        lambda key, width: {"loss": jnp.ones(width)},
        {"width": [2, 3]},
        ValueError,
        r"one length at all points, got 2 at \(width=2\) and 3 at \(width=3\)",
    ),
    "its own error": (
        lambda key, rate: {"loss": jnp.ones(3) * rate + jnp.ones(2)},
        RATES,
        TypeError,
        r"shapes.*\(from train at \(rate=0.1\)\)",
    ),
    "a name of the result": (
        lambda key, loss: {"loss": loss * jnp.ones(2)},
        {"loss": [1.0]},
        ValueError,
        "axis 'loss' has the name of a result variable",
    ),
    "a leak": (leaks, {**RATES, "name": ["a", "b"]}, ValueError, "uses a value of an earlier trace"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_training_function_is_refused_in_a_line(name):
    function, axes, error, text = BAD[name]
    with pytest.raises(error, match=text) as raised:
        runs_of(function, axes)
    assert "\n" not in str(raised.value)


def test_other_errors_keep_their_class_and_tell_the_point():
    def raises(key, rate):
        raise KeyError("missing")

    with pytest.raises(KeyError) as raised:
        runs_of(raises, RATES)
    assert raised.value.__notes__[-1:] == ["train raised this at (rate=0.1)"]
