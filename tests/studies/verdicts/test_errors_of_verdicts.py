"""How often verdicts are false at the boundary; benchmarks/conclusions.py has more draws."""

import numpy as np
import pytest

from jaxgd.studies.verdicts import best, concluding
from jaxgd.studies.verdicts.crossed import Differences


def few_rows(simulator, hits, rows=60):
    if hits:
        return simulator.World(np.zeros(2), first=0.9, rows=rows, seed=0.1)
    return simulator.World(np.zeros(2), False, 0.3, 60, (0.1, 0.02), 0.3, 0.8, 0.1, 0.1)


def assert_seldom_false(simulator, world, draws, key=0):
    found = simulator.study(world, np.random.default_rng(key), draws, who=["procedure"])
    looks = [*(found.once["procedure", seeds] for seeds in (5, 10, 40)), found.rounds["procedure", 40]]
    for look in looks:
        for kind, share in simulator.false_shares(world, look.codes).items():
            assert share <= simulator.highest(simulator.LIMITS[kind], draws), kind
        assert 1 - look.held.mean() <= simulator.highest(0.05, draws)


@pytest.mark.parametrize("hits", [True, False], ids=["hits", "losses"])
def test_two_cells_one_margin_apart(simulator, hits):
    for world in simulator.boundaries(few_rows(simulator, hits), twelve=False).values():
        assert_seldom_false(simulator, world, 300)


def test_twelve_cells(simulator):
    for world in simulator.boundaries(few_rows(simulator, True, rows=30), twelve=True).values():
        assert_seldom_false(simulator, world, 40)


def false_of_normal(simulator, world, deviations, draws=1500):
    """The shares of false verdicts on independent cells of known deviations from the world's true scores."""
    own = np.broadcast_to(deviations, world.better.shape)
    means = world.better + own * np.random.default_rng(0).normal(size=(draws, len(own)))
    gaps = means[:, :, None] - means[:, None]
    variance = np.broadcast_to(np.add.outer(own**2, own**2) * (1 - np.eye(len(own))), gaps.shape)
    known = Differences(gaps, variance, np.full_like(gaps, 1e9), None, world.rows)
    intervals = best.intervals_of(best.ends_of(known, concluding.ERROR, world.margin))
    return simulator.false_shares(world, concluding.verdict_codes(intervals, world.margin))


@pytest.mark.parametrize(
    ("kind", "deviations", "beside"),
    [
        ("better", 0.5, "far"),
        ("as good", 0.5, "far"),
        ("as good", 1.5, "far"),
        ("as good", 1.5, "equal"),
        ("as good", 3.0, "equal"),
    ],
)
def test_twelve_cells_make_the_whole_error_and_no_more(simulator, kind, deviations, beside):
    """One margin between the first two of twelve, which is so many deviations of a difference."""
    behind = 100.0 if beside == "far" else 1.0
    world = simulator.World(np.zeros(2))
    world = simulator.with_cells(world, -world.margin * np.array([0, 1, *[behind] * 10]))
    shares = false_of_normal(simulator, world, world.margin / deviations / np.sqrt(2))
    share, limit = shares[kind], simulator.LIMITS[kind]
    assert 0.6 * limit < share <= simulator.highest(limit, 1500)


def test_many_noisy_cells_below_a_quiet_best_one(simulator):
    """The level against each cell is the one that holds against the best, who may vary far less."""
    world = simulator.with_cells(simulator.World(np.zeros(2)), [0.0, *[-0.005] * 11])
    shares = false_of_normal(simulator, world, world.margin / 1.3 * np.array([0.05, *[1.0] * 11]), 4000)
    assert shares["as good"] <= simulator.highest(0.05, 4000)


@pytest.mark.slow
@pytest.mark.parametrize("hits", [True, False], ids=["hits", "losses"])
@pytest.mark.parametrize(("twelve", "draws"), [(False, 700), (True, 50)])
def test_more_draws(simulator, hits, twelve, draws):
    for world in simulator.boundaries(few_rows(simulator, hits), twelve).values():
        assert_seldom_false(simulator, world, draws, key=1)


def test_it_finds_what_is_there(simulator):
    far = simulator.World(np.array([0.0, -0.1]), rows=100)
    look = simulator.study(far, np.random.default_rng(0), 100, who=["procedure"]).once["procedure", 10]
    assert (look.codes == [concluding.BETTER, concluding.WORSE]).all(-1).mean() > 0.8


def test_the_benchmark_looks_as_conclude_does(simulator):
    world = simulator.with_cells(few_rows(simulator, hits=True), [0.0, -0.02, -0.1])
    scores = world.draw(np.random.default_rng(0), 8, 40)
    part = simulator._study_chunk(world, scores, np.ones((8, 3)), ["procedure"], leave_out=False)
    shares = simulator.spending.shares_of_error(simulator.ROUNDS, 40)
    for draw, values in enumerate(scores):
        found = concluding.conclude(
            concluding.CellScores(list(values), True, True), world.margin, simulator.ROUNDS, shares
        )
        assert found.codes.tolist() == part.rounds["procedure", 40].codes[draw].tolist()
