"""A run as one pure function: transformations, compiles, segments, divergence, bad input."""

import inspect
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxgd
from jaxgd.training.batching import epoch_orders
from jaxgd.training.fitting import drawn_params, start_run
from jaxgd.training.segments import extent, segment

KEY = jax.random.key(5)
SCALE = 1.0


def make_problem(num=20, dtype=np.float64):
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(num, 3)).astype(dtype)
    targets = generator.normal(size=num).astype(dtype)
    return jaxgd.regression(jaxgd.linear(3, init="he_normal"), (inputs, targets), (inputs[:5], targets[:5]))


def assert_close(tree, other, **tolerances):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **tolerances), tree, other)


def assert_same_bits(tree, other):
    jax.tree.map(np.testing.assert_array_equal, tree, other)


def result_of(fit):
    return fit.state.params, fit.history


def test_under_jit_and_vmap_it_is_the_same_run(x64):
    problem = make_problem()
    optimizers = [jaxgd.adam(0.01), jaxgd.adam(0.1, b1=0.8)]
    stacked, in_axes = jaxgd.stack(optimizers)

    def run(optimizer, seed):
        return result_of(jaxgd.fit(jaxgd.trainer(problem, optimizer, 6), jax.random.key(seed), 2))

    over_seeds = jax.vmap(run, (None, 0))
    lanes = jax.jit(jax.vmap(over_seeds, (in_axes, None)))(stacked, jnp.arange(2))
    for i, optimizer in enumerate(optimizers):
        for seed in range(2):
            lane = jax.tree.map(lambda x, i=i, seed=seed: x[i, seed], lanes)
            assert_close(lane, run(optimizer, seed), rtol=1e-9)


def test_inside_a_jitted_function_that_holds_all_of_it(x64):
    tr = jaxgd.trainer(make_problem(), jaxgd.adam(0.01), 6)
    inside = jax.jit(lambda x: x + jaxgd.fit(tr, KEY, 2).history["valid_loss"][-1])(1.0)
    np.testing.assert_allclose(inside - 1, jaxgd.fit(tr, KEY, 2).history["valid_loss"][-1], rtol=1e-9)


def test_the_key_can_be_used_again():
    tr = jaxgd.trainer(make_problem(dtype=np.float32), jaxgd.sgd(0.1), 6)
    assert_same_bits(*(result_of(jaxgd.fit(tr, KEY, 2)) for _ in range(2)))


def test_forward_derivative(x64):
    problem = make_problem()

    def final(rate):
        return jaxgd.fit(jaxgd.trainer(problem, jaxgd.momentum(rate), 6), KEY, 2).history["valid_loss"][-1]

    final = jax.jit(final)
    slope = jax.jvp(final, (0.1,), (1.0,))[1]
    np.testing.assert_allclose(slope, (final(0.1 + 1e-5) - final(0.1 - 1e-5)) / 2e-5, rtol=1e-6)
    assert slope != 0


@pytest.fixture(scope="module")
def digits():
    """64 digits; some of their pixels are 0 in all of them."""
    inputs, labels = jaxgd.datasets.load("digits").train
    assert (inputs[:64].std(axis=0) == 0).any()
    return np.asarray(inputs[:64], float), labels[:64]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("optimizer", "microbatch"),
    [(jaxgd.sgd(0.05), 10), (jaxgd.momentum(0.05), None), (jaxgd.adam(0.01), None)],
    ids=["sgd", "momentum", "adam"],
)
def test_hypergradient_on_digits(x64, digits, optimizer, microbatch):
    problem = jaxgd.classification(jaxgd.linear(64, 10), digits, digits)

    def final(optimizer):
        tr = jaxgd.trainer(problem, optimizer, 24, microbatch)
        return jaxgd.fit(tr, KEY, 2).history["valid_loss"][-1]

    gradient = jax.jit(jax.grad(final))(optimizer)
    assert jax.tree.structure(gradient) == jax.tree.structure(optimizer)
    final = jax.jit(final)
    leaves, structure = jax.tree.flatten(optimizer)
    for position, slope in enumerate(jax.tree.leaves(gradient)):
        assert np.isfinite(slope)
        step = 1e-4 * leaves[position]
        if step == 0:  # eps_root: below 0 there is nothing to differ from
            continue

        def moved(by, position=position):
            changed = [leaf + by * (i == position) for i, leaf in enumerate(leaves)]
            return final(structure.unflatten(changed))

        difference = (moved(step) - moved(-step)) / (2 * step)
        np.testing.assert_allclose(slope, difference, rtol=1e-4, atol=4e-15 / step)  # its rounding error


def test_another_rate_compiles_nothing():
    problem = make_problem(dtype=np.float32)
    jaxgd.fit(jaxgd.trainer(problem, jaxgd.adam(0.1), 6), KEY, 2)
    before = segment._cache_size()
    for optimizer in (jaxgd.adam(1), jaxgd.adam(np.float32(0.2), b1=0.5), jaxgd.adam(jnp.float32(0.3))):
        jaxgd.fit(jaxgd.trainer(problem, optimizer, 6), jax.random.key(1), 2)
    assert segment._cache_size() == before
    jaxgd.fit(jaxgd.trainer(problem, jaxgd.adam(0.1), 7), KEY, 2)
    assert segment._cache_size() == before + 1


def scaled_problem():
    return jaxgd.Problem(
        lambda key: jnp.zeros(()), lambda p, batch: SCALE * (p - batch) ** 2, jnp.arange(4.0)
    )


def test_a_problem_made_again_compiles_nothing_but_a_changed_constant_does(monkeypatch):
    def run():
        return jaxgd.fit(jaxgd.trainer(scaled_problem(), jaxgd.sgd(0.1), "full"), KEY, 1).history[
            "train_loss"
        ][0]

    assert run() == 3.5
    before = segment._cache_size()
    assert run() == 3.5
    assert segment._cache_size() == before
    monkeypatch.setitem(globals(), "SCALE", 2.0)
    assert run() == 7
    assert segment._cache_size() == before + 1


@pytest.mark.parametrize("options", [{}, {"microbatch": 4}, {"microbatch": 4, "remainder": "drop"}], ids=str)
def test_a_run_cut_anywhere_has_the_same_bits(options):
    tr = jaxgd.trainer(make_problem(dtype=np.float32), jaxgd.adam(0.1), 6, **options)
    orders = epoch_orders(KEY, 0, 3, 20, "shuffle")
    program = jax.jit(inspect.unwrap(segment))
    compiled = program._cache_size()

    def run(*cuts):
        carry = start_run(tr, KEY, drawn_params(tr.problem.init, KEY), 3)
        for begin, end in itertools.pairwise((0, *cuts, 60)):
            carry = program(tr, *carry, orders, 0, extent(begin, end, 20))
        return carry[0]._replace(key=0), carry[1]

    whole = run()
    assert whole[0].epoch == 3
    for cuts in ([20], [1], [6, 7, 20], [19, 33], [40, 52]):
        assert_same_bits(run(*cuts), whole)
    assert_same_bits(result_of(jaxgd.fit(tr, KEY, 3)), (whole[0].params, whole[1]))
    assert program._cache_size() == compiled + 1


@pytest.mark.parametrize(("batch_size", "microbatch"), [(6, None), (np.array(6), 4)], ids=["static", "leaf"])
def test_a_rate_too_high(batch_size, microbatch):
    tr = jaxgd.trainer(make_problem(dtype=np.float32), jaxgd.momentum(1e30), batch_size, microbatch)
    fit = jaxgd.fit(tr, KEY, 3)
    assert fit.state.status == 2
    assert 0 <= fit.state.stopped_at <= 4
    assert fit.state.epoch == 3
    for leaf in jax.tree.leaves(fit.state.params):
        assert np.isfinite(leaf).all()
    for name in ("train_loss", "grad_norm", "valid_loss", "valid_squared_error"):
        assert np.isnan(fit.history[name]).all()
    assert len(set(fit.history["updates"].tolist())) == 1
    assert fit.history["updates"][0] == fit.state.stopped_at
    assert len(set(fit.history["examples"].tolist())) == 1


def vanishing(params, batch):
    """The losses of a parameter that falls by one at every update; NaN from the seventh update on."""
    return jnp.where(params < -5.5, jnp.nan, params + 0 * batch)


def test_a_nan_takes_the_run_back_to_the_start_of_its_epoch():
    problem = jaxgd.Problem(lambda key: jnp.zeros(()), vanishing, jnp.zeros(8), valid=jnp.zeros(3))
    fit = jaxgd.fit(jaxgd.trainer(problem, jaxgd.sgd(1.0), 2), KEY, 4)
    assert fit.state.status == 2
    assert fit.state.stopped_at == 6
    assert fit.state.params == -4
    assert fit.state.updates == 6
    np.testing.assert_array_equal(fit.history["train_loss"], [-1.5, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(fit.history["valid_loss"], [-4, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(fit.history["grad_norm"], [1, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(fit.history["updates"], [4, 6, 6, 6])
    np.testing.assert_array_equal(fit.history["examples"], [8, 14, 14, 14])
    assert "diverged" in fit._repr_html_()


@pytest.mark.parametrize("options", [{}, {"microbatch": 2}], ids=str)
def test_without_gradient_norms_a_run_is_the_same(x64, options):
    rows = np.random.default_rng(0).normal(size=(20, 3))
    problem = jaxgd.regression(jaxgd.linear(3, 1), (rows, rows[:, 0]))
    trainer = jaxgd.trainer(problem, jaxgd.adam(0.1), 8, **options)
    with_norms, without = (jaxgd.fit(each, KEY, 3) for each in (trainer, trainer.replace(grad_norm=False)))
    assert {*with_norms.history} - {*without.history} == {"grad_norm"}
    for name, column in without.history.items():
        np.testing.assert_allclose(column, with_norms.history[name], rtol=1e-12)
    np.testing.assert_allclose(without.state.params["w"], with_norms.state.params["w"], rtol=1e-12)


@pytest.mark.parametrize("size", [2, "full"])
def test_without_gradient_norms_a_run_diverges_by_its_next_loss_or_at_the_end_of_its_epoch(size):
    def steep(params, batch):  # a loss that is finite, and its gradient at 0 is not
        return jnp.sqrt(jnp.abs(params)) + 0 * batch

    problem = jaxgd.Problem(lambda key: jnp.zeros(()), steep, jnp.zeros(8))
    trainer = jaxgd.trainer(problem, jaxgd.sgd(1.0), size)
    with pytest.raises(ValueError, match="first batch"):
        jaxgd.fit(trainer, KEY, 2)
    fit = jaxgd.fit(trainer.replace(grad_norm=False), KEY, 2)
    assert (fit.state.status, fit.state.stopped_at, fit.state.updates) == (2, 1, 1)
    assert fit.state.params == 0
    assert np.isnan(fit.history["train_loss"]).all()


@pytest.mark.parametrize(
    ("key", "epochs", "error", "message"),
    [
        (KEY, 0, ValueError, "epochs must be a whole number, 1 or more, got 0"),
        (KEY, -2, ValueError, "epochs must be a whole number, 1 or more, got -2"),
        (KEY, 2.0, TypeError, "epochs must be a whole number, 1 or more, got 2.0"),
        (KEY, True, TypeError, "epochs must be a whole number, 1 or more, got True"),
        (KEY, 2**30, ValueError, "epochs must be below 107374182 for 20 examples"),
        (0, 1, TypeError, "key must be one PRNG key such as .* got 0"),
        (jax.random.split(KEY), 1, TypeError, "key must be one PRNG key"),
    ],
)
def test_bad_arguments_compile_nothing(key, epochs, error, message):
    tr = jaxgd.trainer(make_problem(dtype=np.float32), jaxgd.sgd(0.1), 6)
    programs = (segment, start_run, *drawn_params.programs, *epoch_orders.programs)
    before = [program._cache_size() for program in programs]
    with pytest.raises(error, match=message):
        jaxgd.fit(tr, key, epochs)
    assert [program._cache_size() for program in programs] == before


def test_a_key_of_the_older_form():
    tr = jaxgd.trainer(make_problem(dtype=np.float32), jaxgd.sgd(0.1), 6)
    old = jax.random.key_data(KEY)
    assert_same_bits(result_of(jaxgd.fit(tr, old, 2)), result_of(jaxgd.fit(tr, KEY, 2)))


def a_run(how, problem, optimizer):
    def make(hp=None):
        return jaxgd.trainer(problem, optimizer, 4)

    key = jax.random.key(0)
    return {
        "fit": lambda: jaxgd.fit(make(), key, 2),
        "train": lambda: jaxgd.train(make(), key, 2, progress=False),
        "jit": lambda: jax.jit(lambda key: jaxgd.fit(make(), key, 2))(key),
        "sweep": lambda: jaxgd.sweep(make, {"seed": [0, 1]}, 2, progress=False),
    }[how]()


@pytest.mark.parametrize("how", ["fit", "train", "jit", "sweep"])
@pytest.mark.parametrize(
    "optimizer",
    [
        jaxgd.sgd(0.1),
        jaxgd.adam(0.1),
        jaxgd.chain(jaxgd.optim.clip_by_global_norm(1.0), jaxgd.optim.lion(0.1)),
        jaxgd.optim.selective_transform(jaxgd.sgd(0.1), freeze_mask={"w": False, "power": True}),
    ],
    ids=["sgd", "adam", "chain", "frozen"],
)
def test_integer_parameters_are_named_before_anything_compiles(how, optimizer):
    problem = jaxgd.Problem(
        lambda key: {"w": jnp.zeros(2), "power": jnp.array(2)},
        lambda params, batch: (batch[0] @ params["w"] - batch[1]) ** params["power"],
        (np.ones((8, 2), np.float32), np.ones(8, np.float32)),
    )
    compiled = []

    def note(event, seconds, fun_name="", **details):
        compiled.extend([fun_name] if event.endswith("backend_compile_duration") else [])

    jax.monitoring.register_event_duration_secs_listener(note)
    try:
        with pytest.raises(
            TypeError, match=r"^params\['power'\] is int32: only floating-point .*model_state"
        ):
            a_run(how, problem, optimizer)
    finally:
        jax.monitoring.unregister_event_duration_listener(note)
    assert not [name for name in compiled if "params" in name or "run" in name or "segment" in name]


@pytest.mark.parametrize("two", [np.int64(2), np.uint8(2), jnp.int32(2)], ids=repr)
def test_whole_numbers_of_any_spelling(two):
    problem = make_problem(300, np.float32)
    expected = jaxgd.fit(jaxgd.trainer(problem, jaxgd.sgd(0.1), 6, 2), KEY, 2)
    size = 6 if isinstance(two, jax.Array) else type(two)(6)  # of JAX's it would be a leaf
    given = jaxgd.trainer(problem, jaxgd.sgd(0.1), size, two)
    assert_same_bits(result_of(jaxgd.fit(given, KEY, two)), result_of(expected))
    assert_same_bits(result_of(jaxgd.train(given, KEY, two, progress=False)), result_of(expected))
    assert type(given.batch_size.value) is type(given.microbatch.value) is int
