"""How often verdicts are false at the boundary; benchmarks/conclusions.py has more draws."""

import numpy as np
import pytest

from jaxgd.studies.verdicts import concluding


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


@pytest.mark.slow
@pytest.mark.parametrize("hits", [True, False], ids=["hits", "losses"])
@pytest.mark.parametrize(("twelve", "draws"), [(False, 1500), (True, 100)])
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
