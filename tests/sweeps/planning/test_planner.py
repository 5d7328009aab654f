"""The planner: forms that are forced, plans that are followed again, and what it chooses."""

import argparse
import dataclasses
import json

import jax
import numpy as np
import pytest

import jaxgd
from jaxgd.machine.kept import Kept
from jaxgd.sweeps.planning import planner
from jaxgd.sweeps.planning.constants import CORE
from jaxgd.sweeps.planning.costs import work_of

AXES = {"optimizer": ["sgd", "adam"], "batch_size": [5, 10, "full"], "seed": [0, 1]}


def make_problem(dtype=np.float32):
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(20, 3)).astype(dtype)
    model = jaxgd.linear(3, init="he_normal")
    return jaxgd.regression(model, (inputs, inputs[:, 0]), (inputs[:5], inputs[:5, 0]))


PROBLEM = make_problem()


def make_trainer(hp, problem=PROBLEM):
    rate = hp.learning_rate if "learning_rate" in hp else 0.1
    return jaxgd.trainer(problem, getattr(jaxgd, hp.optimizer)(rate), hp.batch_size)


def stops_early(hp):
    return jaxgd.early_stopping(make_trainer(hp), patience=1, min_delta=0.02, restore_best=True)


def with_remainder_dropped(hp):
    return make_trainer(hp).replace(remainder="drop")


def shapes(plan):
    """Runs, micro-batch, whether optimizers are merged, and whether batch sizes have loops of their own."""
    return sorted(
        (len(g.runs), g.recipe.microbatch or 0, g.recipe.generalized, g.recipe.branches) for g in plan.groups
    )


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [(6, 0, False, True)] * 2),
        ({"merge": False}, [(2, 0, False, False)] * 6),
        ({"merge": True}, [(6, 0, False, True)] * 2),
        ({"merge": 5}, [(6, 5, False, False)] * 2),
        ({"merge": 10}, [(2, 0, False, False)] * 2 + [(4, 10, False, False)] * 2),
        ({"generalize": True, "merge": False}, [(4, 0, True, False)] * 3),
        ({"generalize": True, "merge": True}, [(12, 0, True, True)]),
        ({"generalize": True, "merge": 5}, [(12, 5, True, False)]),
        ({"kind": "vmap", "merge": False}, [(2, 0, False, False)] * 6),
        ({"exact": True}, [(2, 0, False, False)] * 6),
    ],
    ids=str,
)
def test_forms(options, expected):
    plan = jaxgd.plan(make_trainer, AXES, 2, **options)
    assert shapes(plan) == expected
    assert sorted(index for group in plan.groups for index in group.runs) == list(range(12))
    assert "12 runs of 2 epochs in" in repr(plan)
    if options.get("exact"):
        assert {group.recipe.lanes for group in plan.groups} == {1}


def test_many_short_programs_are_merged_and_long_runs_are_not(monkeypatch):
    sizes = list(range(2, 21))

    def programs():
        axes = {"optimizer": ["sgd"], "batch_size": sizes}
        return len(jaxgd.plan(make_trainer, axes, 2, kind="vmap").groups)

    assert programs() <= 2
    slow = CORE._replace(compile=0.01, compile_leaf=0, batch=1, micro=15)
    monkeypatch.setattr(planner, "core_of", lambda devices: slow)
    assert programs() == len(sizes)


def test_programs_are_apart_where_enough_cores_compile_them(monkeypatch):
    def programs(cores):
        monkeypatch.setattr(planner, "num_cores", lambda: cores)
        axes = {"optimizer": ["sgd"], "batch_size": list(range(2, 21))}
        return len(jaxgd.plan(make_trainer, axes, 2).groups)

    assert programs(2) == 1
    assert programs(64) == 19


def test_short_steps_of_small_models_move_several_lanes_at_a_time():
    def width(epochs, make=make_trainer, **changes):
        axes = {"optimizer": ["sgd"], "batch_size": [5], "seed": range(64)} | changes
        return jaxgd.plan(make, axes, epochs).groups[0].recipe.width

    assert width(50) == width(4000) == 16
    assert width(4000, stops_early) == 1
    assert width(4000, seed=range(3)) == 1  # most places would be empty
    assert width(4000, batch_size=[1, "full"]) == 16


def test_two_rates_of_many_seeds_share_their_batches():
    problem = jaxgd.classification(jaxgd.linear(64, 10), *jaxgd.datasets.load("digits"))

    def make(hp):
        return jaxgd.trainer(problem, jaxgd.rmsprop(hp.learning_rate), hp.batch_size)

    axes = {"batch_size": [16, 512], "learning_rate": [0.001, 0.01], "seed": range(20)}
    recipes = {program.recipe for program in jaxgd.plan(make, axes, 10).groups}
    assert {(recipe.width, recipe.shares_batches) for recipe in recipes} == {(2, True)}


@pytest.mark.parametrize(
    "make",
    [
        make_trainer,
        *(pytest.param(make, marks=pytest.mark.slow) for make in (stops_early, with_remainder_dropped)),
    ],
)
def test_a_loop_for_each_batch_size_has_the_bits_of_programs_apart(make):
    """Batch 6 leaves a smaller last batch, "full" takes the examples in their own order."""
    axes = {"optimizer": ["adam"], "batch_size": [1, 6, "full"], "learning_rate": [0.1, 1e30], "seed": [0, 1]}
    apart, together = (
        jaxgd.sweep(make, axes, 3, progress=False, plan=jaxgd.plan(make, axes, 3, merge=merge), clock=True)
        for merge in (False, True)
    )
    assert (len(apart.plan.groups), len(together.plan.groups)) == (3, 1)
    for name, column in apart.dataset.items():
        np.testing.assert_array_equal(column, together.dataset[name], err_msg=name)
    assert (apart.dataset.status.sel(learning_rate=1e30) == "diverged").any()
    place = {"batch_size": 6, "learning_rate": 0.1, "seed": 1}
    jax.tree.map(np.testing.assert_array_equal, apart.params(**place), together.params(**place))
    assert {float(x) > 0 for x in together.dataset.seconds.values.ravel()} == {True}


def test_what_is_compiled_does_not_change_the_plan():
    before = jaxgd.plan(make_trainer, AXES, 2)
    jaxgd.sweep(make_trainer, AXES, 2, progress=False, plan=jaxgd.plan(make_trainer, AXES, 2, merge=5))
    assert jaxgd.plan(make_trainer, AXES, 2) == before


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [{"merge": 5}, {"generalize": True, "merge": 5}, {"kind": "vmap"}, {"width": 2}], ids=str
)
def test_between_plans_numbers_agree(x64, options):
    problem = make_problem(np.float64)

    def make(hp):
        return make_trainer(hp, problem)

    apart = jaxgd.sweep(make, AXES, 1, progress=False, exact=True).dataset
    other = jaxgd.sweep(make, AXES, 1, progress=False, plan=jaxgd.plan(make, AXES, 1, **options)).dataset
    for name in ("train_loss", "valid_loss", "grad_norm"):
        assert other[name].dtype == np.float64
        np.testing.assert_allclose(other[name], apart[name], rtol=1e-9)
    np.testing.assert_array_equal(other.updates, apart.updates)


def test_what_was_chosen_before_is_not_chosen_again(monkeypatch):
    """Whatever the optimizers' numbers, which their names in the plan tell."""
    asked, run_seconds = [], planner.run_seconds
    monkeypatch.setattr(planner, "run_seconds", lambda *a: asked.append(a) or run_seconds(*a))

    def plan(rates=(0.1,), seeds=(0, 1), epochs=2, forget=False, **options):
        if forget:
            monkeypatch.setattr(planner, "_CHOSEN", Kept())
        asked.clear()
        axes = {**AXES, "learning_rate": list(rates), "seed": list(seeds)}
        return jaxgd.plan(make_trainer, axes, epochs, **options)

    plan(forget=True)
    assert asked
    again = plan(rates=[0.2])
    assert not asked
    assert {group.optimizer for group in again.groups} == {
        "sgd(learning_rate=0.2)",
        repr(jaxgd.adam(0.2)),
    }
    assert again == plan(rates=[0.2], forget=True)
    for other in ({"epochs": 3}, {"seeds": [0]}, {"rates": [0.1, 0.2]}, {"merge": 5}):
        plan()
        new = plan(**other)
        assert asked
        assert new == plan(forget=True, **other)


def test_one_run_is_on_one_device_and_each_of_few_on_its_own():
    for seeds, recipe in (([0], (1, 1)), ([0, 1], (1, 2)), ([0, 1, 2], (64, 2))):
        axes = {"optimizer": ["adam"], "batch_size": [5], "seed": seeds}
        plan = jaxgd.plan(make_trainer, axes, 2, width=1)
        assert [(g.recipe.lanes, g.recipe.devices) for g in plan.groups] == [recipe]
        result = jaxgd.sweep(make_trainer, axes, 2, progress=False, plan=plan)
        fit = jaxgd.fit(
            make_trainer(argparse.Namespace(optimizer="adam", batch_size=5)), jax.random.key(0), 2
        )
        np.testing.assert_array_equal(
            result.dataset.train_loss.sel(seed=0).squeeze(), fit.history["train_loss"]
        )


def test_a_plan_is_followed_again():
    plan = jaxgd.plan(make_trainer, AXES, 2, merge=10, lanes=2)
    first = jaxgd.sweep(make_trainer, AXES, 2, progress=False, plan=plan)
    assert [group.recipe for group in first.plan.groups] != []
    saved = jaxgd.Plan.from_dict(json.loads(first.dataset.attrs["plan"]))
    again = jaxgd.sweep(make_trainer, AXES, 2, progress=False, plan=saved)
    assert shapes(again.plan) == shapes(first.plan) == shapes(plan)
    for name in ("train_loss", "valid_loss"):
        np.testing.assert_array_equal(again.dataset[name], first.dataset[name])


@pytest.mark.slow
def test_exact_has_the_bits_of_runs_alone():
    result = jaxgd.sweep(make_trainer, AXES, 2, progress=False, exact=True)
    for optimizer in AXES["optimizer"]:
        for size in AXES["batch_size"]:
            trainer = jaxgd.trainer(PROBLEM, getattr(jaxgd, optimizer)(0.1), size)
            fit = jaxgd.fit(trainer, jax.random.key(1), 2)
            place = {"optimizer": optimizer, "batch_size": 20 if size == "full" else size, "seed": 1}
            np.testing.assert_array_equal(result.dataset.train_loss.sel(place), fit.history["train_loss"])
            jax.tree.map(np.testing.assert_array_equal, result.params(**place), fit.state.params)


@pytest.mark.slow
def test_wide_layers_have_the_bits_of_runs_alone():
    generator = np.random.default_rng(0)
    data = generator.normal(size=(64, 96)).astype(np.float32), np.arange(64) % 3
    problem = jaxgd.classification(jaxgd.mlp([96, 128, 3]), data)
    result = jaxgd.sweep(
        lambda hp: make_trainer(hp, problem),
        {"optimizer": ["momentum"], "batch_size": [1, 8]},
        2,
    )
    assert result.plan.groups[0].recipe.branches
    for size in (1, 8):
        fit = jaxgd.fit(jaxgd.trainer(problem, jaxgd.momentum(0.1), size), jax.random.key(0), 2)
        place = {"optimizer": "momentum", "batch_size": size}
        for name in ("train_loss", "grad_norm"):
            np.testing.assert_array_equal(result.dataset[name].sel(place), fit.history[name])
        jax.tree.map(np.testing.assert_array_equal, result.params(**place), fit.state.params)


def test_explain_prints_the_plan(capsys):
    jaxgd.sweep(make_trainer, AXES, 2, progress=False, explain=True)
    printed = capsys.readouterr().err
    assert "12 runs of 2 epochs in 2 programs" in printed
    assert "predicted: compile" in printed


def test_coupled_and_augmented_problems_have_no_microbatches():
    for changes in ({"coupled": True}, {"augment": lambda batch, key: batch}):
        problem = PROBLEM.replace(**changes)
        plan = jaxgd.plan(lambda hp, problem=problem: make_trainer(hp, problem), AXES, 2, merge=5)
        assert shapes(plan) == [(6, 0, False, True)] * 2


def test_foreign_optimizers_are_not_merged():
    def make(hp):
        return jaxgd.trainer(PROBLEM, jaxgd.optim.lion(0.1) if hp.lion else jaxgd.sgd(0.1), 5)

    assert len(jaxgd.plan(make, {"lion": [0, 1]}, 2).groups) == 2
    with pytest.raises(ValueError, match="generalize=True needs optimizers of the family"):
        jaxgd.plan(make, {"lion": [0, 1]}, 2, generalize=True)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"merge": 0.5}, TypeError, "merge must be None, True, False or a number of examples, got 0.5"),
        ({"merge": True, "kind": "vmap"}, ValueError, "merge=True, .* needs lanes in turn, kind='map'"),
        ({"merge": -1}, ValueError, "merge must be .* got -1"),
        ({"kind": "pmap"}, ValueError, "unknown kind 'pmap'; did you mean 'map'"),
        ({"lanes": 0}, ValueError, "lanes must be a whole number, 1 or more, or None, got 0"),
        ({"width": 1.5}, TypeError, "width must be a whole number, 1 or more, or None, got 1.5"),
        ({"width": 4, "lanes": 6}, ValueError, "width must divide lanes, .* got width=4, lanes=6"),
        ({"width": 4, "kind": "vmap"}, ValueError, "width must divide lanes, of kind 'map'"),
        ({"exact": True, "width": 2}, ValueError, "exact=True runs one lane at a time"),
        ({"exact": True, "merge": 5}, ValueError, "exact=True runs one lane at a time"),
    ],
)
def test_bad_options(options, error, message):
    with pytest.raises(error, match=message):
        jaxgd.plan(make_trainer, AXES, 2, **options)


def test_bad_plans():
    plan = jaxgd.plan(make_trainer, AXES, 2)
    many = dataclasses.replace(
        plan, groups=tuple(dataclasses.replace(g, recipe=g.recipe._replace(devices=99)) for g in plan.groups)
    )

    def sweep(axes=AXES, epochs=2, **options):
        return jaxgd.sweep(make_trainer, axes, epochs, progress=False, **options)

    with pytest.raises(TypeError, match=r"plan must be a jaxgd.plan\(...\), got 3"):
        sweep(plan=3)
    with pytest.raises(ValueError, match="plan is one of 2 epochs, the sweep has 3"):
        sweep(epochs=3, plan=plan)
    with pytest.raises(ValueError, match="plan is one of 12 runs, the sweep has 6"):
        sweep({**AXES, "seed": [0]}, plan=plan)
    with pytest.raises(ValueError, match="would have runs of 2 structures"):
        sweep({name: AXES[name] for name in ("seed", "batch_size", "optimizer")}, plan=plan)
    with pytest.raises(ValueError, match=r"plan is one for .*, the sweep would run on"):
        sweep(plan=many)
    with pytest.raises(ValueError, match="give one of plan and exact"):
        sweep(plan=plan, exact=True)
    with pytest.warns(UserWarning, match="the plan was made on a toaster"):
        sweep(plan=dataclasses.replace(plan, device="a toaster"))


def test_work_of_a_model():
    model = jaxgd.mlp([3, 4, 2])
    problem = jaxgd.classification(model, (np.ones((6, 3), np.float32), np.arange(6) % 2))
    work = work_of(jaxgd.trainer(problem, jaxgd.sgd(0.1), 2), jax.eval_shape(model.init, jax.random.key(0)))
    assert work.flops == 3 * 2 * (3 * 4 + 4 * 2)
    assert work.outputs == 3 * (4 + 2)
    assert work.bytes == 4 * (12 + 4 + 8 + 2)
    assert work.leaves == 4
    assert work.moments == 0


def test_work_of_a_convolution():
    model = jaxgd.Model(
        lambda key: {"kernel": np.ones((3, 3, 1, 2), np.float32)},
        lambda p, x: jax.lax.conv_general_dilated(
            x, p["kernel"], (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
        ).sum((1, 2)),
    )
    problem = jaxgd.classification(model, (np.ones((6, 8, 8, 1), np.float32), np.arange(6) % 2))
    work = work_of(jaxgd.trainer(problem, jaxgd.sgd(0.1), 2), jax.eval_shape(model.init, jax.random.key(0)))
    assert (work.flops, work.conv_flops, work.convs, work.channels) == (0, 3 * 2 * (6 * 6 * 2) * 9, 1, 2)
    assert work.outputs == 3 * 6 * 6 * 2


def test_lanes_with_convolutions_go_one_after_the_other():
    def recipe(model):
        problem = jaxgd.classification(model, (np.ones((64, 8, 8, 1), np.float32), np.arange(64) % 2))
        trainer = jaxgd.trainer(problem, jaxgd.sgd(0.1), 4)
        return jaxgd.plan(lambda hp: trainer, {"seed": range(64)}, 100).groups[0].recipe

    flat = jaxgd.Model(
        lambda key: {"w": np.ones((64, 2), np.float32)}, lambda p, x: x.reshape(-1, 64) @ p["w"]
    )
    assert recipe(flat).width == 16
    assert recipe(jaxgd.conv_net((8, 8, 1), 2, [2])).width == 1


@pytest.mark.parametrize(
    ("layers", "rates", "width"),
    [([4], 8, 8), ([4], 20, 10), ([4], 2, 2), ([8], 10, 5), ([8], 7, 1), ([16], 8, 1), ([4, 4], 8, 1)],
)
def test_lanes_of_one_convolution_share_their_batches(layers, rates, width):
    problem = jaxgd.classification(
        jaxgd.conv_net((8, 8, 1), 2, layers), (np.ones((64, 8, 8, 1), np.float32), np.arange(64) % 2)
    )

    def make(hp):
        return jaxgd.trainer(problem, jaxgd.sgd(hp.learning_rate), 4)

    axes = {"learning_rate": list(np.linspace(0.01, 0.1, rates)), "seed": range(16)}
    recipe = jaxgd.plan(make, axes, 100).groups[0].recipe
    assert (recipe.width, recipe.shares_batches) == (width, width > 1)
