"""The noise scale of a run: by hand, against NumPy and the exact one, and what it leaves as it is."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxgd
from jaxgd.studies import local_noise_scale, noise_scale_of, noisy_quadratic
from jaxgd.training.batching import epoch_order

KEY = jax.random.key(3)
ROWS = np.random.default_rng(0).normal(size=(23, 3))
TARGETS = np.random.default_rng(1).normal(size=23)
NAMES = ("noise_trace", "noise_squared_norm", "noise_scale")
WAYS = pytest.mark.parametrize(("microbatch", "parts"), [(1, "all"), (None, "examples"), (2, "examples")])


def with_gradients(rows):
    """A problem whose examples have these gradients, wherever it is."""
    return jaxgd.Problem(lambda key: jnp.zeros(2), lambda w, rows: rows @ w, np.float32(rows))


def make_trainer(batch_size, microbatch=None, rate=0.05, problem=None, **options):
    problem = problem or jaxgd.regression(jaxgd.linear(3, 1, bias=False), (ROWS, TARGETS))
    return jaxgd.trainer(problem, jaxgd.sgd(rate), batch_size, microbatch, **options)


def measured(trainer, epochs, key=KEY):
    history = jaxgd.fit(trainer, key, epochs).history
    return np.stack([history[name] for name in NAMES], axis=-1)


@WAYS
def test_by_hand(microbatch, parts):
    trainer = make_trainer(4, microbatch, problem=with_gradients([[1, 0], [0, 1], [2, 1], [1, 2]]))
    found = measured(jaxgd.noise_scale(trainer, parts), 1)
    np.testing.assert_allclose(found, [[1.33333, 1.66667, 0.8]], rtol=1e-5)


@WAYS
def test_there_is_no_ratio_where_the_gradient_is_lost(microbatch, parts):
    trainer = make_trainer(4, microbatch, problem=with_gradients([[2, 0], [-2, 0], [0, 1], [0, -1]]))
    found = measured(jaxgd.noise_scale(trainer, parts), 1)
    np.testing.assert_allclose(found, [[3.33333, -0.833333, np.nan]], rtol=1e-5)


def expected(batch_size, part, epochs, parts_read="all"):
    """The means of each epoch, of the parts of each batch or its last one, by the formulas in NumPy."""
    weights, found = np.zeros(3), []
    for epoch in range(epochs):
        order, pairs, sizes = np.asarray(epoch_order(KEY, epoch, 23, "shuffle")), [], []
        for begin in range(0, 23, batch_size):
            rows = order[begin : begin + batch_size]
            each = (ROWS[rows] @ weights - TARGETS[rows])[:, None] * ROWS[rows]
            parts = [each[i : i + part] for i in range(0, len(rows), part)]
            if len(parts) > 1:
                parts = parts[-1:] if parts_read == "last" else parts
                big, small = len(rows), len(parts) / sum(1 / len(part) for part in parts)
                large_norm = np.sum(each.mean(axis=0) ** 2)
                small_norm = np.mean([np.sum(part.mean(axis=0) ** 2) for part in parts])
                squared_norm = (big * large_norm - small * small_norm) / (big - small)
                pairs.append(((small_norm - large_norm) / (1 / small - 1 / big), squared_norm))
                sizes.append(big)
            weights = weights - 0.05 * each.mean(axis=0)
        trace, norm = np.average(pairs, axis=0, weights=sizes)
        found.append((trace, norm, trace / norm if norm > 0 else np.nan))
    return found


# Of 23 examples in batches of 11 the last is of one; in batches of 7, of two, which micro-batches of 3 hold.
@pytest.mark.parametrize("batch_size", [8, 7, 11, 23, np.array(8)])
@pytest.mark.parametrize(("microbatch", "parts"), [(2, "last"), (3, "last"), (2, "all"), (3, "all")])
def test_of_micro_batches(x64, batch_size, microbatch, parts):
    trainer = jaxgd.noise_scale(make_trainer(batch_size, microbatch), parts)
    found = measured(trainer, 3)
    np.testing.assert_allclose(found, expected(int(batch_size), microbatch, 3, parts), rtol=1e-9)
    cut = list(jaxgd.iterate(trainer, KEY, 3, every=2))[-1][1]
    np.testing.assert_array_equal(np.stack([cut[name] for name in NAMES], axis=-1), found)


@pytest.mark.parametrize(("batch_size", "microbatch"), [(8, None), (11, None), (8, 3), (np.array(8), 4)])
def test_of_examples(x64, batch_size, microbatch):
    found = measured(jaxgd.noise_scale(make_trainer(batch_size, microbatch), "examples"), 3)
    np.testing.assert_allclose(found, expected(int(batch_size), 1, 3), rtol=1e-9)


def test_more_examples_than_gradients_at_once(x64):
    rows = np.random.default_rng(2).normal(size=(150, 2)) + 1
    trainer = make_trainer("full", problem=jaxgd.Problem(with_gradients(rows).init, lambda w, x: x @ w, rows))
    trace = rows.var(axis=0, ddof=1).sum()
    squared_norm = np.sum(rows.mean(axis=0) ** 2) - trace / 150
    found = measured(jaxgd.noise_scale(trainer, "examples"), 1)
    np.testing.assert_allclose(found, [[trace, squared_norm, trace / squared_norm]], rtol=1e-10)


@pytest.mark.parametrize(("microbatch", "parts"), [(4, "last"), (4, "all"), (None, "examples")])
def test_the_means_are_the_exact_numbers(microbatch, parts):
    """G = (1, 1), H = diag(2, 0.5), covariance diag(4, 1), within four standard errors of 300 epochs."""
    problem = noisy_quadratic([2.0, 0.5], [4.0, 1.0], start=[0.5, 2.0])
    exact = noise_scale_of(problem, problem.init(KEY), KEY)
    known = local_noise_scale([1, 1], np.diag([2, 0.5]), np.diag([4, 1]))
    assert (exact.simple, known.simple, known.noise) == pytest.approx((2.5, 2.5, 3.4), rel=1e-5)
    trainer = make_trainer(16, microbatch, rate=0.0, problem=problem, sampling="replacement")
    found = measured(jaxgd.noise_scale(trainer, parts), 300)[:, :2]
    errors = found.std(axis=0, ddof=1) / np.sqrt(300)
    assert (np.abs(found.mean(axis=0) - [5, 2]) < 4 * errors).all()
    assert (errors < [0.2, 0.06]).all()


def test_a_batch_of_one_part_says_nothing():
    for trainer in (
        jaxgd.noise_scale(make_trainer(4, microbatch=8)),
        jaxgd.noise_scale(make_trainer(1), "examples"),
    ):
        assert np.isnan(measured(trainer, 2)).all()


@pytest.mark.parametrize("parts", ["last", "all", "examples"])
def test_the_run_is_the_same_to_the_bit(parts):
    """With dropout, whose masks depend on keys, and in float32."""
    train, valid, _ = jaxgd.datasets.load("breast_cancer")
    problem = jaxgd.classification(jaxgd.mlp([30, 8, 2], dropout=0.3), train, valid)
    plain = jaxgd.trainer(problem, jaxgd.adam(0.01), 50, microbatch=20)
    one, other = (jaxgd.fit(each, KEY, 2) for each in (plain, jaxgd.noise_scale(plain, parts)))
    jax.tree.map(np.testing.assert_array_equal, one.state.params, other.state.params)
    for name, column in one.history.items():
        np.testing.assert_array_equal(column, other.history[name])
    assert set(other.history) - set(one.history) == set(NAMES)


class Silent(jaxgd.Rule):
    """A rule that reads nothing."""

    acts_on_updates = True


def num_instructions(trainer):
    """How many instructions of a compiled run compute with numbers of gradients and losses."""
    text = jax.jit(lambda trainer: jaxgd.fit(trainer, KEY, 1)).lower(trainer).compile().as_text()
    return len(re.findall(r"= f32\S* (?:add|subtract|multiply|divide|dot|reduce)\(", text))


@pytest.mark.parametrize(("microbatch", "parts"), [(2, "last"), (2, "all"), (None, "examples")])
def test_nothing_is_computed_that_no_rule_reads(microbatch, parts):
    plain = make_trainer(8, microbatch)
    counts = [num_instructions(each) for each in (plain, plain.replace(rules=[Silent()]))]
    assert counts[0] == counts[1] < num_instructions(jaxgd.noise_scale(plain, parts))


@pytest.mark.parametrize(("microbatch", "parts"), [(2, "last"), (2, "all"), (None, "examples")])
def test_lanes_have_the_numbers_of_their_runs(microbatch, parts):
    def make(hp):
        return jaxgd.noise_scale(make_trainer(hp.batch_size, microbatch, hp.learning_rate), parts)

    sizes = [6, 8, 23] if microbatch else [6, 8, "full"]
    axes = {"batch_size": sizes, "learning_rate": [0.05, 0.01], "seed": [0, 1]}
    options = [{}] if microbatch else [{}, {"merge": 6}]
    for option in options:
        plan = jaxgd.plan(make, axes, 2, **option)
        dataset = jaxgd.sweep(make, axes, 2, plan=plan, progress=False).dataset
        for size in sizes:
            for rate in axes["learning_rate"]:
                tr = jaxgd.noise_scale(make_trainer(size, microbatch, rate), parts)
                run = dataset.sel(batch_size=23 if size == "full" else size, learning_rate=rate, seed=1)
                found = np.stack([run[name] for name in NAMES], axis=-1)
                np.testing.assert_allclose(found, measured(tr, 2, jax.random.key(1)), rtol=2e-4)


def test_batches_that_come_one_after_the_other():
    orders = [np.asarray(epoch_order(KEY, epoch, 23, "shuffle")) for epoch in range(2)]
    problem = jaxgd.regression(jaxgd.linear(3, 1, bias=False), None)

    class Loader:
        epoch = 0

        def set_epoch(self, epoch):
            self.epoch = epoch

        def __iter__(self):
            rows = np.split(orders[self.epoch], [8, 16])
            return iter([(np.float32(ROWS[i]), np.float32(TARGETS[i])) for i in rows])

    for options in ({"microbatch": 2}, {"parts": "examples"}):
        trainers = [
            jaxgd.noise_scale(
                make_trainer(8, options.get("microbatch"), problem=given), options.get("parts", "last")
            )
            for given in (None, problem)
        ]
        history = jaxgd.train(trainers[1], KEY, 2, batches=Loader(), progress=False).history
        found = np.stack([history[name] for name in NAMES], axis=-1)
        np.testing.assert_array_equal(found, measured(trainers[0], 2))


def test_a_run_that_diverges_keeps_what_it_had():
    found = jaxgd.fit(jaxgd.noise_scale(make_trainer(8, 2, rate=40.0)), KEY, 12)
    assert int(found.state.status) == 2
    scales = np.asarray(found.history["noise_trace"])
    assert np.isfinite(scales[0])
    assert np.isnan(scales[-1])


def weighted():
    loss = lambda w, batch: ((batch[0] @ w - batch[1]) ** 2, jnp.ones_like(batch[1]))  # noqa: E731
    return jaxgd.Problem(lambda key: jnp.zeros(3), loss, (np.float32(ROWS), np.float32(TARGETS)))


def test_what_has_no_noise_scale():
    with pytest.raises(ValueError, match="noise_scale needs a trainer with a microbatch, such as a quarter"):
        jaxgd.noise_scale(make_trainer(8))
    with pytest.raises(ValueError, match="come in the data's order; give batch_size=23, or parts="):
        jaxgd.noise_scale(make_trainer("full", 2))
    with pytest.raises(ValueError, match="unknown parts 'each'"):
        jaxgd.noise_scale(make_trainer(8, 2), "each")
    with pytest.raises(ValueError, match="trainer measures its noise scale already"):
        jaxgd.noise_scale(jaxgd.noise_scale(make_trainer(8, 2)), "examples")
    coupled = with_gradients(ROWS[:, :2]).replace(coupled=True)
    with pytest.raises(ValueError, match="problem must not be coupled: the gradient of one example"):
        jaxgd.noise_scale(make_trainer(8, problem=coupled), "examples")


@pytest.mark.parametrize(("microbatch", "parts"), [(2, "last"), (2, "all"), (None, "examples")])
def test_weights_are_refused(microbatch, parts):
    make = lambda hp: jaxgd.noise_scale(make_trainer(8, microbatch, problem=weighted()), parts)  # noqa: E731
    with pytest.raises(ValueError, match=r"^the loss must have no weights, for noise_scale: its gradients"):
        jaxgd.fit(make(None), KEY, 1)
    with pytest.raises(ValueError, match="the loss must have no weights"):
        jaxgd.sweep(make, {"seed": [0, 1]}, 1, progress=False)


def test_what_it_is_called():
    made = [jaxgd.noise_scale(make_trainer(8, 2)), jaxgd.noise_scale(make_trainer(8), "examples")]
    names = ["noise_scale(parts='last')", "noise_scale(parts='examples')"]
    assert [repr(each.rules[0]) for each in made] == names
