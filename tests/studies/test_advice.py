"""Advice on a batch size: the trade between updates and examples, weighed by throughput."""

import math

import numpy as np
import pytest

from jaxgd.studies import recommend_batch_size

SPEEDS = {1024: 120e3, 16: 10e3, 64: 36e3, 256: 100e3}


def test_known_costs():
    advice = recommend_batch_size({16: 1000.0}, 64, measured=(1000, 64000))
    assert (advice.updates, advice.examples, advice.seconds) == (5000, 80000, 80)
    assert (advice.relative_updates, advice.relative_examples, advice.relative_time) == (5, 1.25, 1)


def test_only_what_is_measured_is_absolute():
    advice = recommend_batch_size(SPEEDS, 64)
    assert advice.updates is advice.examples is advice.seconds is advice.low is advice.high is None
    np.testing.assert_array_equal(advice.batch_sizes, [16, 64, 256, 1024])
    times = np.array([1.25 / 10, 2 / 36, 5 / 100, 17 / 120])
    np.testing.assert_allclose(advice.relative_time, times / times.min())
    assert advice.batch_size == 256


def test_the_fastest_over_the_interval():
    advice = recommend_batch_size(SPEEDS, 64, (40, 1000))
    assert (advice.low, advice.batch_size, advice.high) == (64, 256, 256)
    ends = recommend_batch_size(SPEEDS, 64, (0, math.inf))
    assert (ends.low, ends.high) == (16, 1024)  # the fastest updates, and the fastest examples


def test_an_infinitely_parallel_machine_wants_the_largest_and_a_serial_one_the_smallest():
    sizes = [1, 8, 64]
    assert recommend_batch_size({size: 100.0 * size for size in sizes}, 8).batch_size == 64
    assert recommend_batch_size(dict.fromkeys(sizes, 100.0), 8).batch_size == 1


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (({}, 64), {}, "examples_per_second must be a mapping from batch sizes to numbers"),
        (([1, 2], 64), {}, r"must be a mapping .* got \[1, 2\]"),
        (({0: 1.0}, 64), {}, "batch size must be a whole number, 1 or more, got 0"),
        (({4: -1.0}, 64), {}, r"examples_per_second\[4\] must be finite and above 0, got -1.0"),
        ((SPEEDS, math.nan), {}, "noise_scale must be finite and above 0, got nan"),
        (
            (SPEEDS, 64, (90, 30)),
            {},
            r"interval must be \(low, high\), 0 or more and in order, got \(90, 30\)",
        ),
        ((SPEEDS, 64, (math.nan, math.nan)), {}, r"in order, got \(nan, nan\)"),
        ((SPEEDS, 64), {"measured": (0, 1)}, "measured must be finite and above 0, got 0"),
    ],
)
def test_bad_arguments(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        recommend_batch_size(*arguments, **options)
