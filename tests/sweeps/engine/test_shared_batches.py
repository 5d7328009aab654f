"""Lanes of one seed side by side, whose batches are gathered once for all of them."""

import numpy as np
import pytest

import jaxgd
from jaxgd.sweeps.engine import programs
from jaxgd.sweeps.engine.driver import Driver

RATES = [0.01, 0.03, 0.1, 0.2]
AXES = {"batch_size": [4, 6], "learning_rate": RATES, "seed": [0, 1, 2]}
KINDS = {
    "several at a time": {"width": 2, "merge": False},
    "of several batch sizes": {"width": 4, "merge": True},
    "at once": {"kind": "vmap", "lanes": 8, "merge": False},
}
each_kind = pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)
MODELS = {"mlp": jaxgd.mlp([3, 8, 2]), "convolution": jaxgd.conv_net((3, 3, 1), 2, [4])}
each_model = pytest.mark.parametrize("model", MODELS)


def make_problem(num_valid=8, model="mlp"):
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(24, 3))
    targets = inputs @ [1, -1, 2] + generator.normal(size=24)
    if model == "convolution":
        inputs = generator.normal(size=(24, 3, 3, 1)) + inputs[:, :, None, None]
    return jaxgd.classification(
        MODELS[model], (inputs, targets > 0), (inputs[:num_valid], targets[:num_valid] > 0)
    )


def sweep(options, axes=AXES, problem=None):
    problem = problem or make_problem()

    def make(hp):
        return jaxgd.trainer(problem, jaxgd.adam(hp.learning_rate), hp.batch_size)

    plan = jaxgd.plan(make, axes, 3, **options)
    return jaxgd.sweep(make, axes, 3, plan=plan, progress=False)


def assert_same(result, other, **place):
    for name, column in result.dataset.sel(place).items():
        np.testing.assert_array_equal(column, other.dataset.sel(place)[name], err_msg=name)


@each_kind
@each_model
def test_numbers_are_those_of_runs_alone(x64, options, model):
    problem = make_problem(model=model)
    shared, alone = (
        sweep(form, problem=problem) for form in (options, {"kind": "map", "width": 1, "merge": False})
    )
    assert all(program.recipe.shares_batches for program in shared.plan.groups)
    for name in ("train_loss", "grad_norm", "valid_loss", "updates", "examples"):
        np.testing.assert_allclose(shared.dataset[name], alone.dataset[name], rtol=1e-9)


@each_kind
@each_model
def test_a_lane_has_the_same_bits_beside_others_in_another_order_and_wherever_it_is_cut(
    monkeypatch, options, model
):
    problem = make_problem(model=model)
    result = sweep(options, problem=problem)
    axes = AXES | {"learning_rate": [1e30, *RATES[:0:-1]], "seed": [2, 0, 1]}
    other = sweep(options, axes, problem)
    assert (other.dataset.status.sel(learning_rate=1e30) == "diverged").any()
    for rate in RATES[1:]:
        for seed in (0, 1, 2):
            assert_same(result, other, learning_rate=rate, seed=seed)
    monkeypatch.setattr(Driver, "call_seconds", 1e-9)
    assert_same(sweep(options, problem=problem), result)


@each_kind
def test_validation_rows_are_there_once_for_all_lanes(monkeypatch, options):
    texts = []

    def kept(*arguments):
        lowered = lower(*arguments)
        texts.append(lowered.as_text())
        return lowered

    lower = programs.lower
    monkeypatch.setattr(programs, "lower", kept)
    sweep(options, problem=make_problem(num_valid=11))
    assert texts
    assert all("tensor<11x3xf32>" in text and "x11x3xf32>" not in text for text in texts)


@each_kind
def test_side_by_side_are_lanes_of_one_seed_that_came_together(monkeypatch, options):
    monkeypatch.setattr(Driver, "call_seconds", 1e-9)
    original = Driver.call

    def call(work):
        ended = original(work)
        for begin in range(0, len(work.lane_of), work.recipe.width):
            slots = range(begin, begin + work.recipe.width)
            lanes = [(work.lane_of[slot], work.epoch_of[slot]) for slot in slots]
            seeds = {work.group.runs[lane].seed for lane, _ in lanes if lane is not None}
            assert len(seeds) <= 1
            assert len({epoch for lane, epoch in lanes if lane is not None}) <= 1
        return ended

    monkeypatch.setattr(Driver, "call", call)
    assert (sweep(options).dataset.status == "completed").all()


def test_only_where_lanes_come_out_even_and_end_together():
    problem = make_problem()

    def recipes(rates, seeds, rules=(), **options):
        def make(hp):
            return jaxgd.trainer(problem, jaxgd.adam(hp.learning_rate), 6, rules=rules)

        axes = {"learning_rate": list(np.linspace(0.01, 0.1, rates)), "seed": list(range(seeds))}
        return [program.recipe for program in jaxgd.plan(make, axes, 3, **options).groups]

    (recipe,) = recipes(12, 2, kind="vmap", lanes=8)
    assert (recipe.lanes, recipe.width, recipe.shares_batches) == (8, 4, True)
    assert str(recipe).startswith("8 lanes at once on each of ")
    assert "4 of one seed share each batch" in str(recipe)
    (recipe,) = recipes(7, 2, width=4)
    assert (recipe.width, recipe.shares_batches) == (4, False)
    (recipe,) = recipes(1, 8, kind="vmap", lanes=8)
    assert (recipe.width, recipe.shares_batches) == (1, False)
    rule = jaxgd.early_stopping(jaxgd.trainer(problem, jaxgd.sgd(0.1), 6), patience=1).rules
    (recipe,) = recipes(12, 2, rules=rule, kind="vmap", lanes=8)
    assert not recipe.shares_batches


def test_a_plan_that_shares_batches_is_followed_again():
    result = sweep(KINDS["at once"])
    saved = jaxgd.Plan.from_dict(result.plan.to_dict())
    assert saved.groups[0].recipe == result.plan.groups[0].recipe
    broken = result.plan.to_dict()
    broken["groups"][0]["recipe"]["shares_batches"] = 1
    with pytest.raises(TypeError, match="shares_batches of a plan must be true or false"):
        jaxgd.Plan.from_dict(broken)


def test_a_plan_of_before_some_constants_is_followed_again():
    saved = sweep(KINDS["at once"]).plan.to_dict()
    for later in ("conv_shared", "gather", "channels"):
        del saved["constants"][later]
    assert jaxgd.Plan.from_dict(saved).constants == saved["constants"]
    del saved["constants"]["flop"]
    with pytest.raises(ValueError, match="the constants of a plan lack flop"):
        jaxgd.Plan.from_dict(saved)
