"""Critical batch sizes: the numbers of a known curve, both ways; intervals; and what is refused."""

import math

import numpy as np
import pytest

from jaxgd.studies import critical_batch_sizes, measured_steps
from tests.studies.scaling.tables import table_of

SIZES = [2**k for k in range(10)]
STEPS = [387, 196, 99, 51, 27, 15, 9, 6, 5, 4]  # of a noisy quadratic, best over its rates


def test_a_known_curve_by_both_definitions():
    found = critical_batch_sizes(STEPS, SIZES)
    fit = found.fit
    assert (fit.fewest_updates, fit.fewest_examples) == (
        pytest.approx(3.26298, rel=1e-5),
        pytest.approx(380.499, rel=1e-5),
    )
    assert fit.value == pytest.approx(116.611, rel=1e-5)
    assert fit.misfit == pytest.approx(0.0501, abs=5e-5)
    assert found.overhead.value == pytest.approx(25.748, rel=1e-4)
    assert found.overhead.largest == 16
    assert found.ratio > 4
    assert "differ by 4.5 times" in found.text
    assert np.isnan([fit.low, fit.high, found.overhead.low, found.overhead.high]).all()


def test_a_curve_of_the_form_that_is_fitted_is_met():
    sizes = np.array([4.0, 16, 64, 256])
    found = critical_batch_sizes(1000 * (1 + 64 / sizes), sizes)
    assert found.fit.value == pytest.approx(64)
    assert (found.fit.fewest_updates, found.fit.fewest_examples) == (
        pytest.approx(1000),
        pytest.approx(64000),
    )
    assert found.fit.misfit < 1e-12


def test_the_overhead_is_a_power_between_two_batch_sizes():
    # Examples 100, 100, 200: 1.2 is log 1.2 / log 2 of the way from 16 to 64.
    found = critical_batch_sizes([25, 100 / 16, 200 / 64], [4, 16, 64]).overhead
    assert found.value == pytest.approx(16 * 4 ** (math.log(1.2) / math.log(2)))
    assert critical_batch_sizes([25, 100 / 16, 200 / 64], [4, 16, 64], overhead=1.0).overhead.value == (
        pytest.approx(64)
    )


def test_a_misfit_is_refused_with_where_it_is():
    found = critical_batch_sizes([100, 20, 30, 4, 9], [1, 2, 4, 8, 16])
    assert math.isnan(found.fit.value)
    assert found.fit.misfit > 0.1
    assert "misses the updates at batch size" in found.fit.reason


def test_too_few_batch_sizes_for_a_fit():
    found = critical_batch_sizes([100, 30, 20], [1, 4, 16])
    assert "needs 4 batch sizes" in found.fit.reason
    assert found.overhead.value > 1


def test_no_bend_within_what_was_measured():
    found = critical_batch_sizes([1000, 250, 62.5, 15.6], [1, 4, 16, 64])
    assert found.fit.value == math.inf
    assert "no bend is in sight" in found.fit.reason
    assert math.isnan(found.overhead.value)
    assert found.overhead.largest == 64


@pytest.mark.parametrize(
    ("steps", "sizes", "words"),
    [
        ([1, 2], [1, 2, 3], "must have one length"),
        ([1, -2], [1, 2], "steps must be finite and above 0, got -2"),
        ([1, 2], [0, 2], "batch_sizes must be finite and above 0, got 0"),
        ([1, 2], [4, 2], "batch_sizes must ascend"),
    ],
)
def test_what_is_no_curve(steps, sizes, words):
    with pytest.raises(ValueError, match=words):
        critical_batch_sizes(steps, sizes)


def measured(spread, seeds=10, seed=0, shared=0.0):
    random = np.random.default_rng(seed)
    base = np.log(20 * (1 + 64 / np.array(SIZES)))[:, None, None] + np.array([0.0, 0.4])[:, None]
    chance = random.normal(size=(len(SIZES), 2, seeds)) + shared * random.normal(size=seeds)
    return measured_steps(table_of(base + spread * chance, SIZES, (0.1, 0.3)), {"loss": 1.0})


def test_intervals_hold_the_truth_and_shrink_with_chance():
    wide, narrow = (critical_batch_sizes(measured(spread)) for spread in (0.1, 0.02))
    for found in (wide, narrow):
        assert found.fit.low < 64 < found.fit.high
        assert found.overhead.low < found.overhead.value < found.overhead.high
    assert wide.fit.high / wide.fit.low > 2 * narrow.fit.high / narrow.fit.low - 1
    assert wide.overhead.high / wide.overhead.low > narrow.overhead.high / narrow.overhead.low


def test_what_seeds_share_changes_no_interval():
    one, other = (critical_batch_sizes(measured(0.05, shared=shared)).fit for shared in (0.0, 5.0))
    assert other.high / other.low == pytest.approx(one.high / one.low, rel=0.05)


def test_batch_sizes_that_miss_are_left_out():
    steps = measured(0.05)
    kept = steps._replace(found=["not reached", *steps.found[1:]])
    with_all, without = critical_batch_sizes(steps), critical_batch_sizes(kept)
    assert without.fit.value != with_all.fit.value
    assert without.fit.value == pytest.approx(with_all.fit.value, rel=0.2)


@pytest.mark.slow
@pytest.mark.parametrize("spread", [0.05, 0.1])
def test_the_fit_covers_its_truth_as_often_as_it_says(spread):
    trials = 120
    fits = [critical_batch_sizes(measured(spread, seed=k)).fit for k in range(trials)]
    covered = np.mean([fit.low <= 64 <= fit.high for fit in fits])
    assert covered >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / trials)
