"""Many paths at once are those of one after the other; each optimizer's best rate; basins of attraction."""

import jax
import numpy as np
import optax
import pytest

import jaxgd
from jaxgd.landscape.surfaces.base import surface
from jaxgd.landscape.surfaces.basins import attraction
from jaxgd.landscape.surfaces.exploration import at_best_rate, explore
from jaxgd.landscape.surfaces.paths import trace

HIMMELBLAU = surface("himmelblau")
STARTS = np.array([[0.0, 0.0], [-4.0, 1.0], [2.0, -3.0]])


def test_every_lane_is_its_path(x64):
    paths = explore(HIMMELBLAU, "all", STARTS, 20, learning_rates=[0.001, 0.01])
    assert paths.points.dims == (
        "optimizer",
        "rate",
        "batch_size",
        "start",
        "seed",
        "updates",
        "coordinate",
    )
    assert paths.points.shape == (8, 2, 1, 3, 1, 21, 2)
    assert (paths.status == "completed").all()
    for name in paths.optimizer.values:
        for rate in range(2):
            lane = paths.isel(rate=rate, batch_size=0, seed=0).sel(optimizer=name)
            optimizer = getattr(jaxgd, name)(float(lane.learning_rate))
            for start in range(3):
                alone = trace(optimizer, HIMMELBLAU, STARTS[start], 20)
                np.testing.assert_allclose(lane.points[start], alone, rtol=1e-7, atol=1e-9)
    values = jax.vmap(HIMMELBLAU)(paths.points.values.reshape(-1, 2))
    np.testing.assert_allclose(paths.loss.values.ravel(), values, rtol=1e-12, atol=1e-12)


def test_noise_is_that_of_trace_and_shrinks_with_the_batch(x64):
    cases = {"sgd": [jaxgd.sgd(0.003)]}
    paths = explore(HIMMELBLAU, cases, STARTS[1], 10, batch_sizes=["full", 4, 1], noise=6.0, seeds=2, every=5)
    assert paths.updates.values.tolist() == [0, 5, 10]
    assert paths.batch_size.values.tolist() == [np.inf, 4, 1]
    for size, noise in ((4, 3.0), (1, 6.0)):
        for seed in range(2):
            key = jax.random.key(seed)
            alone = trace(jaxgd.sgd(0.003), HIMMELBLAU, STARTS[1], 10, noise=noise, key=key)
            lane = paths.points.sel(batch_size=size).isel(seed=seed).squeeze()
            np.testing.assert_allclose(lane, alone[::5], rtol=1e-7)
    exact = trace(jaxgd.sgd(0.003), HIMMELBLAU, STARTS[1], 10)[::5]
    np.testing.assert_allclose(paths.points.sel(batch_size=np.inf).isel(seed=1).squeeze(), exact, rtol=1e-7)


def test_own_noise_differs_between_starts():
    same = np.zeros((2, 2))
    options = {"batch_sizes": [1], "noise": 1.0, "learning_rates": [0.01]}
    shared = explore(HIMMELBLAU, "sgd", same, 3, **options).points.squeeze()
    own = explore(HIMMELBLAU, "sgd", same, 3, **options, own_noise=True).points.squeeze()
    np.testing.assert_array_equal(shared[0], shared[1])
    assert (own[0, 1:] != own[1, 1:]).all()


def test_optimizers_of_any_library():
    cases = {"lion": [jaxgd.from_optax(optax.lion, learning_rate=r) for r in (0.1, 0.2)]}
    paths = explore(HIMMELBLAU, cases | {"sgd": [jaxgd.sgd(0.01), jaxgd.sgd(0.02)]}, STARTS, 4)
    assert paths.learning_rate.values.tolist() == [[0.1, 0.2], [0.01, 0.02]]
    np.testing.assert_allclose(
        paths.points.sel(optimizer="lion").isel(rate=1, start=0).squeeze(),
        trace(cases["lion"][1], HIMMELBLAU, STARTS[0], 4),
        rtol=1e-5,
    )


def test_what_leaves_and_what_diverges_is_said():
    paths = explore(HIMMELBLAU, "sgd", STARTS, 30, learning_rates=[0.01, 10.0])
    assert (paths.status.isel(rate=0) == "completed").all()
    assert (paths.status.isel(rate=1) == "diverged").all()
    assert np.isfinite(paths.points).all()
    down = explore(surface("saddle"), "sgd", [1.0, 0.1], 100, learning_rates=[0.1])
    assert down.status.item() == "left"


def test_the_best_rate_of_a_quadratic_is_the_known_one():
    """Gradient descent on curvatures 1 and 1/4 is fastest at 2 / (1 + 1/4) = 1.6."""
    bowl = surface("quadratic", condition=4.0)
    rates = [0.4, 0.8, 1.2, 1.6, 1.9, 2.2]
    best = at_best_rate(explore(bowl, "sgd", [[1.0, 1.0]], 8, learning_rates=rates))
    assert best.learning_rate.item() == 1.6
    assert "rate" not in best.dims
    # After so many updates that several have arrived, it is the fastest of those.
    best = at_best_rate(explore(bowl, "sgd", [[1.0, 1.0]], 400, learning_rates=rates))
    assert best.learning_rate.item() in (1.2, 1.6)


def test_basins_of_a_double_well():
    """Without noise the sign of x decides; with much of it starts near the ridge end on either side."""
    wells = attraction(
        surface("double_well"), {"sgd": jaxgd.sgd(0.1)}, 200, cells=20, batch_sizes=["full", 1], noise=1.0
    )
    assert wells.minima.values.tolist() == [[-1.0, 0.0], [1.0, 0.0]] or wells.minima[0, 0] == 1
    left = int(wells.minima[0, 0] > 0)
    exact = wells.reached.sel(optimizer="sgd", batch_size=np.inf)
    assert (exact.where(exact.x < 0, left) == left).all()
    assert (exact.where(exact.x > 0, 1 - left) == 1 - left).all()
    np.testing.assert_allclose(wells.share.sel(batch_size=np.inf), 0.5)
    noisy = wells.reached.sel(optimizer="sgd", batch_size=1)
    assert 0.03 < float((noisy != exact).mean()) < 0.6


def test_basins_cover_himmelblau_at_best_rates():
    basins = attraction(HIMMELBLAU, "sgd", 200, cells=15)
    assert (basins.reached >= 0).all()
    np.testing.assert_allclose(basins.share.sum("minimum"), 1)
    assert 0.003 < basins.learning_rate.item() < 0.02


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"optimizers": "adm"}, ValueError, "unknown optimizer 'adm'; did you mean 'adam'?"),
        ({"starts": [[9.0, 0.0]]}, ValueError, "starts must be inside the domain of himmelblau"),
        ({"every": 3}, ValueError, "every is 3; it must divide updates, which is 10"),
        ({"noise": 1.0}, ValueError, "noise is 1 and batch_sizes is"),
        ({"batch_sizes": [1]}, ValueError, "noise is 0 and batch_sizes is"),
        ({"batch_sizes": ["half"], "noise": 1.0}, ValueError, "batch_sizes has 'half'"),
        ({"batch_sizes": [0], "noise": 1.0}, ValueError, "batch_sizes has 0"),
        ({"seeds": 0}, ValueError, "seeds must be a whole number, 1 or more, got 0"),
        ({"optimizers": {"a": [jaxgd.sgd(0.1)], "b": []}}, ValueError, "equally long lists"),
        (
            {"optimizers": {"a": [jaxgd.sgd(0.1), jaxgd.adam(0.1)]}},
            ValueError,
            "differ only in",
        ),
        ({"optimizers": {"a": ["sgd"]}}, TypeError, "must be a gradient transformation"),
        ({"updates": 10**8}, ValueError, "would take .* GiB"),
        ({"learning_rates": [-1.0]}, ValueError, "learning_rates has -1"),
    ],
)
def test_bad_input(change, error, message):
    given = {"surface": HIMMELBLAU, "optimizers": "sgd", "starts": STARTS, "updates": 10, **change}
    with pytest.raises(error, match=message):
        explore(**given)


def test_basins_need_two_coordinates_and_a_minimum():
    with pytest.raises(ValueError, match="two coordinates"):
        attraction(surface("sphere", dim=3), "sgd")
    with pytest.raises(ValueError, match="has none"):
        attraction(surface("saddle"), "sgd")
