"""One call for a sweep in a folder: it trains what the folder lacks, and nothing that contradicts it."""

import shutil
import warnings

import jax
import numpy as np
import pytest

import jaxgd
from jaxgd.sweeps.engine import clock
from jaxgd.sweeps.engine.driver import Driver
from jaxgd.sweeps.folders import going_on, keeper
from jaxgd.sweeps.folders.opening import ContradictionError
from jaxgd.sweeps.planning import planner

AXES = {"batch_size": ["full", 6], "learning_rate": [0.01, 1e30], "seed": [0, 3]}


def make_problem(scale=1.0):
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(20, 3)).astype(np.float32)
    targets = scale * generator.normal(size=20).astype(np.float32)
    return jaxgd.regression(jaxgd.linear(3, init="he_normal"), (inputs, targets), (inputs[:5], targets[:5]))


PROBLEM = make_problem()


def make_trainer(hp):
    trainer = jaxgd.trainer(PROBLEM, jaxgd.momentum(hp.learning_rate), hp.batch_size)
    return jaxgd.early_stopping(trainer, patience=2)


def run(folder=None, make=make_trainer, axes=AXES, epochs=3, progress=False, **options):
    return jaxgd.sweep(make, axes, epochs, progress=progress, folder=folder, **options)


def assert_same(result, other, but=()):
    """Every number and word of two results is the same, bit for bit."""
    one, two = (each.dataset.drop_vars(but, errors="ignore") for each in (result, other))
    assert set(one.variables) == set(two.variables)
    for name in one.variables:
        np.testing.assert_array_equal(one[name].values, two[name].values, err_msg=name)
    jax.tree.map(np.testing.assert_array_equal, list(result.states), list(other.states))


@pytest.fixture
def in_steps(monkeypatch):
    """Calls of 13 of 20 examples, each followed by a checkpoint."""

    begin = Driver._begin

    def begin_slowly(self, expected_seconds):
        begin(self, expected_seconds)
        self.places, self.length = min(2, self.recipe.lanes), 13

    monkeypatch.setattr(Driver, "_begin", begin_slowly)
    monkeypatch.setattr(Driver, "_pace", lambda *_: None)
    monkeypatch.setattr(keeper, "_EVERY", 0.0)
    monkeypatch.setattr(keeper, "_COST", 0.0)


@pytest.fixture(scope="session")
def plain():
    """The sweep without a folder."""
    return run()


RECIPES = {
    "chosen": None,
    "at once": {"kind": "vmap", "lanes": 2},
    "some at once": {"kind": "map", "lanes": 4, "width": 2, "merge": False},
    "a loop for each batch size": {"merge": True},
    "in micro-batches": {"merge": 6},
    "one at a time": {"exact": True},
}


class Killed(BaseException):
    """Nothing in the package takes it."""


def plan_of(recipe):
    options = RECIPES[recipe]
    return options and jaxgd.plan(make_trainer, AXES, 3, **options)


@pytest.mark.parametrize("recipe", RECIPES)
def test_wherever_it_is_cut_it_comes_to_the_same_bits(recipe, tmp_path, in_steps):
    plan, cuts = plan_of(recipe), []

    def cut(done, total, text):
        shutil.copytree(tmp_path / "whole", tmp_path / f"cut{len(cuts)}")
        cuts.append(tmp_path / f"cut{len(cuts)}")

    whole = run(tmp_path / "whole", plan=plan, progress=cut)
    assert_same(whole, run(plan=plan))
    assert len(cuts) >= 8
    for folder in cuts[:: len(cuts) // 4]:
        partial = jaxgd.load(folder)
        ended = partial.dataset.status.values != "not run"
        assert_same(run(folder), whole)
        for name in ("train_loss", "status", "updates"):
            np.testing.assert_array_equal(
                partial.dataset[name].values[ended], whole.dataset[name].values[ended]
            )


def test_what_stops_it_leaves_where_it_stood(tmp_path, monkeypatch, plain):
    made = []

    def stop(done, total, text):
        made.append(done)
        raise Killed

    with pytest.raises(Killed):
        run(tmp_path, progress=stop)
    assert np.sum(jaxgd.load(tmp_path).dataset.status.values != "not run") == made[0]
    assert_same(run(tmp_path), plain)


def test_a_sweep_that_is_done_trains_nothing(tmp_path, monkeypatch, capfd, plain):
    run(tmp_path)
    monkeypatch.setattr(going_on.Engine, "driver", None, raising=False)
    monkeypatch.setattr("jaxgd.sweeps.engine.execution.compiled", lambda *_: pytest.fail("it compiles"))
    assert_same(run(tmp_path, progress=True), plain)
    assert "has 8 of 8 runs: nothing is left to train" in capfd.readouterr().err


@pytest.mark.parametrize(
    "wider",
    [{"seed": [3, 7, 0]}, {"learning_rate": [0.1, 0.01, 1e30]}, {"batch_size": [4, "full", 6]}],
    ids=str,
)
def test_values_that_an_axis_has_got_are_trained_and_no_others(wider, tmp_path):
    run(tmp_path)
    counts = []
    found = run(tmp_path, axes={**AXES, **wider}, progress=lambda *so_far: counts.append(so_far[:2]))
    assert {total for _, total in counts} == {12}
    assert min(done for done, _ in counts) >= 8
    assert sum(len(program.runs) for program in found.plan.groups) == 12
    assert_same(found, run(axes={**AXES, **wider}))
    assert_same(jaxgd.load(tmp_path), found)


def test_a_list_of_points_may_get_further_ones(tmp_path):
    points = [{"batch_size": 6, "learning_rate": 0.1}, {"batch_size": "full", "learning_rate": 0.01}]
    run(tmp_path, axes=points[:1])
    assert_same(run(tmp_path, axes=points), run(axes=points))


CONTRADICTIONS = {
    "epochs was 3 there, and is 4 now (a schedule": {"epochs": 4},
    "axis 'seed' was [0, 3] there, and is [0] now": {"axes": {**AXES, "seed": [0]}},
    "the list of axes was": {"axes": {name: AXES[name] for name in reversed(AXES)}},
    "the data's sha256 was": {
        "make": lambda hp: jaxgd.trainer(make_problem(2.0), jaxgd.momentum(hp.learning_rate), hp.batch_size)
    },
    "exact was False there, and is True now": {"exact": True},
    "what has changed is the code of its model, loss, optimizer": {
        "make": lambda hp: jaxgd.early_stopping(
            jaxgd.trainer(PROBLEM, jaxgd.nesterov(hp.learning_rate), hp.batch_size), patience=2
        )
    },
    "what has changed is the numbers of its runs": {
        "make": lambda hp: jaxgd.early_stopping(
            jaxgd.trainer(PROBLEM, jaxgd.momentum(hp.learning_rate, momentum=0.8), hp.batch_size), patience=2
        )
    },
}


@pytest.mark.parametrize("text", CONTRADICTIONS)
def test_what_contradicts_the_folder_is_refused_by_name(text, tmp_path, plain):
    run(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(ContradictionError) as caught:
        run(tmp_path, **CONTRADICTIONS[text])
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert_same(jaxgd.load(tmp_path), plain)


def test_another_plan_than_that_of_the_folder_is_refused(tmp_path):
    run(tmp_path)
    with pytest.raises(ContradictionError, match="follows another plan"):
        run(tmp_path, plan=plan_of("at once"))


def test_replace_begins_anew(tmp_path):
    run(tmp_path)
    assert_same(run(tmp_path, epochs=2, replace=True), run(epochs=2))
    assert jaxgd.load(tmp_path).dataset.sizes["epoch"] == 2


def test_a_result_that_was_saved_at_once_is_not_gone_on_with(tmp_path, plain):
    plain.save(tmp_path)
    with pytest.raises(ContradictionError, match="was saved when it was finished"):
        run(tmp_path)
    assert_same(jaxgd.load(tmp_path), plain)
    run(tmp_path, replace=True)


SCALE = np.float32(1.0)


def own_problem(loss):
    (inputs, targets), valid = PROBLEM.train, PROBLEM.valid
    init = lambda key: jax.random.normal(key, (3,))  # noqa: E731
    return jaxgd.Problem(init=init, loss=loss, train=(inputs, targets), valid=valid, coupled=False)


def squares(params, batch):
    return SCALE * (batch[0] @ params - batch[1]) ** 2


def squares_again(params, batch):
    # A comment, and other names for what is the same.
    inputs, targets = batch
    return SCALE * (inputs @ params - targets) ** 2


def cubes(params, batch):
    return SCALE * abs(batch[0] @ params - batch[1]) ** 3


def weighed(weights):
    return lambda params, batch: (batch[0] @ (weights * params) - batch[1]) ** 2


def sweep_of(loss, folder, **options):
    problem = own_problem(loss)
    make = lambda hp: jaxgd.trainer(problem, jaxgd.sgd(hp.learning_rate), 6)  # noqa: E731
    return run(folder, make=make, axes={"learning_rate": [0.01, 0.1]}, **options)


def test_an_edited_loss_does_not_mix_with_what_it_was_before(tmp_path):
    before = sweep_of(squares, tmp_path)
    with pytest.raises(ContradictionError, match="runs of batch 6, sgd, that are not those of now"):
        sweep_of(cubes, tmp_path)
    assert_same(sweep_of(squares_again, tmp_path), before)


def test_another_optimizer_is_named(tmp_path):
    problem = jaxgd.classification(jaxgd.linear(2, 2), (np.eye(2, dtype=np.float32), np.arange(2)))

    def swept(optimizer):
        make_trainer = lambda hp: jaxgd.trainer(problem, optimizer, 2)  # noqa: E731
        return jaxgd.sweep(make_trainer, {"seed": [0, 1]}, 1, folder=tmp_path, progress=False)

    swept(jaxgd.sgd(0.1))
    with pytest.raises(ContradictionError, match=r"holds runs of .*sgd.*, and those of now are of adam"):
        swept(jaxgd.adam(0.1))


def test_nor_does_a_global_that_has_changed(tmp_path, monkeypatch):
    sweep_of(squares, tmp_path)
    monkeypatch.setitem(globals(), "SCALE", np.float32(2.0))
    with pytest.raises(ContradictionError, match="or a value that this code reads"):
        sweep_of(squares, tmp_path)


def test_nor_does_an_array_that_a_closure_holds(tmp_path):
    weights = np.ones(3, np.float32)
    before = sweep_of(weighed(weights), tmp_path)
    assert_same(sweep_of(weighed(weights.copy()), tmp_path), before)
    with pytest.raises(ContradictionError, match="the code of its model, loss"):
        sweep_of(weighed(weights * np.float32(1.5)), tmp_path)


def test_initial_parameters_that_are_drawn_otherwise_are_another_sweep(tmp_path):
    problem = own_problem(squares)
    make = lambda hp: jaxgd.trainer(problem, jaxgd.sgd(hp.learning_rate), 6)  # noqa: E731
    run(tmp_path, make=make, axes={"learning_rate": [0.01]})
    problem = problem.replace(init=lambda key: 2 * jax.random.normal(key, (3,)))
    with pytest.raises(ContradictionError, match="the numbers of its runs or their initial parameters"):
        run(tmp_path, make=make, axes={"learning_rate": [0.01]})


def damage(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 16
    path.write_bytes(content)


@pytest.mark.parametrize("harm", [damage, lambda path: path.unlink()], ids=["a flipped bit", "missing"])
def test_runs_of_a_damaged_file_are_trained_again(harm, tmp_path, plain):
    run(tmp_path)
    (unit,) = tmp_path.glob("unit-*")
    harm(unit)
    with pytest.raises(ValueError, match=unit.name):
        jaxgd.load(tmp_path)
    with pytest.warns(UserWarning, match=f"{unit.name}.*8 runs are trained again"):
        found = run(tmp_path)
    assert_same(found, plain)
    assert_same(jaxgd.load(tmp_path), plain)


def test_without_its_checkpoint_a_program_keeps_the_runs_that_have_ended(tmp_path, in_steps, plain):
    def stop(done, total, text):
        if done == 4:
            raise Killed

    with pytest.raises(Killed):
        run(tmp_path, progress=stop, plan=jaxgd.plan(make_trainer, AXES, 3, lanes=2))
    (checkpoint,) = tmp_path.glob("checkpoint-*")
    damage(checkpoint)
    with pytest.warns(UserWarning, match=f"{checkpoint.name}.*runs under way begin again"):
        found = run(tmp_path)
    assert_same(found, plain)


def test_another_machine_reads_what_is_done_and_trains_nothing_more(tmp_path, monkeypatch, plain):
    run(tmp_path)
    monkeypatch.setattr(planner, "versions", lambda: {"jax": "0.0.1"})
    with pytest.warns(UserWarning, match="whether the code is the same was not compared"):
        assert_same(run(tmp_path), plain)
    with pytest.raises(ContradictionError, match=r"was made on 2 x cpu with .*, this is .*jax 0\.0\.1"):
        run(tmp_path, axes={**AXES, "seed": [0, 3, 4]})


def test_seconds_of_updates_are_kept_too(tmp_path):
    whole = run(tmp_path, clock=True)
    found = run(tmp_path, clock=True)
    assert_same(found, whole)
    assert np.all(found.dataset.seconds.values > 0)
    assert found.dataset.identical(jaxgd.load(tmp_path).dataset)


def no_call(*arguments):
    raise AssertionError("nothing is left to do")


def test_a_kept_sweep_without_seconds_can_be_timed_later(tmp_path, monkeypatch, plain):
    assert "seconds" not in run(tmp_path).dataset
    spent = jaxgd.load(tmp_path).plan
    monkeypatch.setattr(Driver, "call", no_call)
    timed = run(tmp_path, clock=True)
    assert_same(timed, plain, but=["seconds"])
    assert np.all(timed.dataset.seconds.values > 0)
    assert timed.plan.clock_seconds > 0 == spent.clock_seconds
    assert timed.plan.seconds == pytest.approx(spent.seconds + timed.plan.clock_seconds)
    monkeypatch.setattr(clock.LaneAlone, "_timed", no_call)
    for again in (run(tmp_path, clock=True), run(tmp_path), jaxgd.load(tmp_path)):
        assert again.dataset.identical(timed.dataset)


def test_what_is_not_asked_for_is_not_timed(tmp_path, monkeypatch):
    timed = run(tmp_path, clock=True)
    monkeypatch.setattr(clock.LaneAlone, "_timed", no_call)
    wider = run(tmp_path, axes={**AXES, "seed": [0, 3, 5]})
    seconds = wider.dataset.seconds
    assert seconds.sel(seed=[0, 3]).equals(timed.dataset.seconds)
    assert seconds.sel(seed=5).isnull().all()


def test_seconds_that_cannot_be_written_are_in_the_result(tmp_path, monkeypatch):
    run(tmp_path)
    monkeypatch.setattr(keeper, "read_file", damaged_file)
    with pytest.warns(UserWarning, match="unit-1.npz is damaged: what its updates take is not kept"):
        timed = run(tmp_path, clock=True)
    assert np.all(timed.dataset.seconds.values > 0)
    assert "seconds" not in jaxgd.load(tmp_path).dataset


def damaged_file(*arguments):
    raise ValueError("unit-1.npz is damaged")


def test_a_manifest_that_is_damaged_is_named(tmp_path):
    run(tmp_path)
    damage(tmp_path / "manifest.json")
    with warnings.catch_warnings(), pytest.raises(ValueError, match=r"manifest\.json is damaged"):
        run(tmp_path)


def test_data_that_every_trainer_makes_anew_are_hashed_once(tmp_path, monkeypatch):
    made = []
    hashed = jaxgd.Problem.data_sha256.fget
    monkeypatch.setattr(
        jaxgd.Problem, "data_sha256", property(lambda problem: made.append(1) or hashed(problem))
    )
    make = lambda hp: jaxgd.trainer(make_problem(), jaxgd.sgd(hp.learning_rate), 6)  # noqa: E731
    run(tmp_path, make=make, axes={"learning_rate": [0.1, 0.2, 0.3]})
    assert len(made) == 1
