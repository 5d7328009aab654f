import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxgd
from jaxgd.landscape.networks.directions import (
    Directions,
    eigenvector_directions,
    filter_normalized,
    path_directions,
    random_directions,
)
from jaxgd.landscape.networks.planes import _losses, line, path_plane, plane
from jaxgd.landscape.networks.stacks import Lanes
from jaxgd.landscape.networks.training_paths import training_path

RNG = np.random.default_rng(0)
INPUTS = RNG.normal(size=(50, 4)).astype(np.float32)
LABELS = RNG.integers(0, 3, 50)
KEY = jax.random.key(1)
PROBLEM = jaxgd.classification(jaxgd.mlp([4, 5, 3], "tanh"), (INPUTS, LABELS))


def models(*lanes, problem=PROBLEM):
    """Random parameters; to compile the initialisers of many models would take seconds."""
    shapes = jax.eval_shape(problem.init, KEY)
    rng = np.random.default_rng(4)
    return jax.tree.map(lambda x: rng.normal(size=(*lanes, *x.shape)).astype(np.float32) / 2, shapes)


def loss(params, problem=PROBLEM):
    return float(jaxgd.evaluate(problem, params, "train")["loss"])


def along(params, *steps):
    """The parameters moved by steps along directions."""
    for step, direction in steps:
        params = jax.tree.map(lambda p, d, step=step: p + np.float32(step) * d, params, direction)
    return params


@pytest.mark.parametrize("chunk", [4096, 8])
def test_a_line_is_evaluated_at_its_positions(chunk):
    first, second = (jax.tree.map(lambda x, i=i: x[i], models(2)) for i in range(2))
    found = line(PROBLEM, first, second, [-0.5, 0, 0.3, 1], chunk=chunk)
    between = lambda t: jax.tree.map(lambda a, b: a + np.float32(t) * (b - a), first, second)  # noqa: E731
    np.testing.assert_allclose(found.losses, [loss(between(t)) for t in found.positions], rtol=1e-5)
    assert line(PROBLEM, first, second).losses.shape == (61,)


def test_on_a_line_the_model_state_goes_from_the_one_to_the_other():
    def loss(params, batch, model_state):
        return (params + model_state["mean"] + model_state["count"].astype(float)) ** 2 * batch, model_state

    def state(mean, count):
        return {"mean": jnp.float32(mean), "count": jnp.int32(count)}

    problem = jaxgd.Problem(lambda key: jnp.ones(()), loss, np.ones(3), model_state=state(9, 9))
    ends, positions = (jnp.array(1.0), jnp.array(3.0)), [-1, 0, 0.25, 0.75, 1, 2]
    found = line(problem, *ends, positions, model_state=state(2, 0), second_state=state(6, 1))
    np.testing.assert_allclose(found.losses, np.square([-1 + 2, 1 + 2, 1.5 + 3, 2.5 + 6, 3 + 7, 5 + 7]))
    with pytest.raises(ValueError, match=r"^second_state is missing: .* give second_state=fit"):
        line(problem, *ends, model_state=state(2, 0))


def test_the_barrier_is_the_rise_above_the_straight_line():
    # (x² - 1)² has minima at -1 and 1 and a hill of height 1 between them; beyond it is convex.
    problem = jaxgd.Problem(
        lambda key: jnp.ones(()), lambda x, batch: (x**2 - 1) ** 2 + 0 * batch, np.ones(3)
    )
    found = line(problem, jnp.array([-1.0, -1.0]), jnp.array([1.0, -2.0]), np.linspace(-1, 2, 31))
    np.testing.assert_allclose(found.barrier, [1, 0], atol=1e-6)


def test_a_plane_is_evaluated_at_its_points():
    params = models()
    directions = random_directions(PROBLEM, params, jax.random.key(5))
    found = plane(PROBLEM, params, directions, [-1, 0, 0.5], [-0.25, 2], chunk=8)
    assert found.losses.shape == (2, 3)
    expected = [[loss(along(params, (x, directions.x), (y, directions.y))) for x in found.x] for y in found.y]
    np.testing.assert_allclose(found.losses, expected, rtol=1e-5)


def test_every_lane_has_its_own_plane():
    params = models(2, 3)
    directions = random_directions(PROBLEM, params, KEY)
    found = plane(PROBLEM, params, directions, [-1, 1], [0, 1, 2])
    assert found.losses.shape == (2, 3, 3, 2)
    one, own = (jax.tree.map(lambda x: x[1, 2], tree) for tree in (params, directions[:2]))
    np.testing.assert_allclose(
        found.losses[1, 2], plane(PROBLEM, one, own, [-1, 1], [0, 1, 2]).losses, rtol=1e-5
    )
    # One pair of directions serves all lanes.
    shared = plane(PROBLEM, params, own, [-1, 1], [0, 1, 2])
    np.testing.assert_allclose(shared.losses[1, 2], found.losses[1, 2], rtol=1e-5)
    assert not np.allclose(shared.losses[0, 0], found.losses[0, 0])


def test_filters_are_the_last_axis_and_vectors_stay():
    params = {"w": np.array([[3.0, 0.0], [4.0, 2.0]]), "conv": np.full((3, 3, 2, 5), 0.5), "b": np.ones(2)}
    drawn = jax.tree.map(lambda p: np.random.default_rng(3).normal(size=p.shape), params)
    found = filter_normalized(params, drawn)
    expected = drawn["w"] * [5.0, 2.0] / np.linalg.norm(drawn["w"], axis=0)
    np.testing.assert_allclose(found["w"], expected, rtol=1e-6)
    norms = np.linalg.norm(np.asarray(found["conv"]).reshape(-1, 5), axis=0)
    np.testing.assert_allclose(norms, np.sqrt(18 * 0.25), rtol=1e-6)
    np.testing.assert_array_equal(found["b"], 0)


def test_a_filter_of_zeros_and_a_direction_of_zeros_stay_finite():
    params = {"w": np.array([[0.0, 1.0], [0.0, 1.0]])}
    np.testing.assert_array_equal(filter_normalized(params, {"w": np.ones((2, 2))})["w"][:, 0], 0)
    np.testing.assert_array_equal(filter_normalized(params, {"w": np.zeros((2, 2))})["w"], 0)


def test_random_directions_scale_with_the_weights():
    params = models()
    larger = jax.tree.map(lambda p: 10 * p, params)
    drawn = random_directions(PROBLEM, jax.tree.map(lambda *x: jnp.stack(x), params, larger), KEY)
    for direction in drawn[:2]:
        jax.tree.map(lambda d: np.testing.assert_allclose(d[1], 10 * d[0], rtol=1e-5), direction)
    alone = random_directions(PROBLEM, larger, KEY)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a[1], b, rtol=1e-5), drawn[:2], alone[:2])
    assert not np.allclose(jax.tree.leaves(drawn.x)[1], jax.tree.leaves(drawn.y)[1])


def test_the_plane_of_a_path_holds_what_its_share_says():
    # A path in 6 dimensions whose variances along three axes are known.
    problem = jaxgd.Problem(lambda key: jnp.zeros(6), lambda p, b: jnp.sum(p**2) + 0 * b, np.ones(2))
    t = np.linspace(0, 2 * np.pi, 9)[:-1]
    waves = np.stack([3 * np.cos(t), 2 * np.sin(t), np.cos(2 * t)])
    axes = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 3)))[0].T
    path = 5 + waves.T @ axes
    found = path_directions(problem, path.astype(np.float32))
    np.testing.assert_allclose(found.share, 13 / 14, rtol=1e-5)
    np.testing.assert_allclose(np.abs(axes @ np.stack(found[:2]).T), np.eye(3)[:, :2], atol=1e-5)
    expected = np.stack(found[:2]) @ (path - path[-1]).T
    np.testing.assert_allclose(found.path, expected, atol=1e-5)
    assert (found.path[:, 0] >= 0).all()


def test_the_plane_of_a_training_path_goes_through_its_end_and_shows_all_of_it():
    trainer = jaxgd.trainer(PROBLEM, jaxgd.momentum(0.1), 10)
    paths = [training_path(trainer, jax.random.key(seed), 6) for seed in range(2)]
    path = jax.tree.map(lambda *p: np.stack(p), *paths)
    found = path_plane(PROBLEM, path)
    assert found.losses.shape == (2, 41, 41)
    assert ((found.directions.share > 0.5) & (found.directions.share < 1)).all()
    places = found.directions.path
    np.testing.assert_array_equal(places[..., -1], 0)
    assert found.x.min() < places[:, 0].min() < places[:, 0].max() < found.x.max()
    assert found.y.min() < places[:, 1].min() < places[:, 1].max() < found.y.max()
    centre = path_plane(PROBLEM, path, [0], [0]).losses[:, 0, 0]
    np.testing.assert_allclose(centre, [loss(jax.tree.map(lambda x: x[-1], p)) for p in paths], rtol=1e-5)


@pytest.mark.slow
def test_along_eigenvectors_the_loss_is_a_parabola_of_that_curvature():
    params = models(2)
    directions = eigenvector_directions(PROBLEM, params, KEY)
    values = jaxgd.curvature.extreme_eigenvalues(PROBLEM, params, KEY)
    found = plane(PROBLEM, params, directions, [-0.2, 0, 0.2], [-0.2, 0, 0.2])
    losses = np.asarray(found.losses, float)
    second = lambda f: (f[:, 0] - 2 * f[:, 1] + f[:, 2]) / 0.2**2  # noqa: E731
    np.testing.assert_allclose(second(losses[:, 1, :]), values.largest[:, 0], rtol=0.05)
    np.testing.assert_allclose(second(losses[:, :, 1]), values.smallest[:, 0], rtol=0.05, atol=5e-3)


def test_a_loss_that_overflows_is_data():
    problem = jaxgd.regression(jaxgd.linear(4, 1), (INPUTS, np.zeros(50)))
    params = jax.tree.map(jnp.ones_like, problem.init(KEY))
    found = plane(problem, params, (params, params), [0, 1e30], [0])
    assert np.isfinite(found.losses[0, 0])
    assert not np.isfinite(found.losses[0, 1])


def program_bytes(num_examples, lanes, points, chunk):
    data = np.zeros((num_examples, 64), np.float32), np.zeros(num_examples, int)
    problem = jaxgd.classification(jaxgd.mlp([64, 64, 10]), data)
    params = models(lanes, problem=problem)
    lanes, steps = Lanes.of(problem, params, "train", chunk, None), jnp.zeros(points)
    memory = _losses.lower(lanes, (params, params), (steps, steps)).compile().memory_analysis()
    return memory.temp_size_in_bytes


def test_memory_is_bounded_by_the_chunk():
    small = program_bytes(8192, 1, 4, 4096)
    assert program_bytes(65536, 4, 400, 4096) < 1.2 * small
    assert program_bytes(65536, 1, 4, 65536) > 3 * small


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: {"w": p}, "direction 2 must have the structure of the problem's parameters, but lacks"),
        (lambda p: jax.tree.map(lambda x: x[..., :1], p), "direction 2: .* must have shape"),
        (lambda p: jax.tree.map(lambda x: x * np.nan, p), "direction 2 must be finite, but .* has a NaN"),
        (
            lambda p: jax.tree.map(lambda x: x * 1j, p),
            "direction 2 must be real, but .* is complex64: losses and curvature are looked at along real",
        ),
        (lambda p: models(3), r"direction 2 must be stacked like the parameters, \(2,\), got \(3,\)"),
    ],
)
def test_bad_directions(change, message):
    params = models(2)
    with pytest.raises(ValueError, match=message):
        plane(PROBLEM, params, (params, change(params)))


def test_bad_arguments():
    params = models()
    with pytest.raises(TypeError, match=r"directions must be .* or a pair of trees, got int"):
        plane(PROBLEM, params, 3)
    with pytest.raises(ValueError, match=r"x must be a list of finite numbers, got an array of shape \(0,\)"):
        plane(PROBLEM, params, (params, params), [])
    with pytest.raises(ValueError, match=r"second must be stacked like the parameters, \(\), got \(2,\)"):
        line(PROBLEM, params, models(2))
    with pytest.raises(TypeError, match="key must be one PRNG key"):
        random_directions(PROBLEM, params, 3)
    with pytest.raises(ValueError, match="path must have 3 points or more to span a plane, got 2"):
        path_directions(PROBLEM, models(2))
    with pytest.raises(ValueError, match="path must turn"):
        path_directions(PROBLEM, jax.tree.map(lambda p: np.stack([p, 2 * p, 3 * p, 4 * p]), params))
    with pytest.raises(ValueError, match="path must turn"):
        path_directions(PROBLEM, jax.tree.map(lambda p: np.stack([p] * 4), params))


def test_directions_say_what_they_are():
    params = models()
    assert isinstance(random_directions(PROBLEM, params, KEY), Directions)
    assert plane(PROBLEM, params, (params, params), [0], [0]).directions.names == (
        "direction 1",
        "direction 2",
    )
