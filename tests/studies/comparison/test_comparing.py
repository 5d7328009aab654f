import ast
import contextlib
import io

import jax
import numpy as np
import pytest

import jaxgd
from jaxgd.specs.choices import check_choices
from jaxgd.studies.comparison import comparing
from jaxgd.studies.comparison.comparing import compare, plan_comparison, run_comparison

pytestmark = pytest.mark.filterwarnings("ignore:the sweep ran on")

N = 24


def problem(valid=True, test=True):
    """Two classes of points that a line separates, with some noise."""
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(2 * N, 3)).astype(np.float32)
    labels = (inputs[:, 0] + 0.5 * generator.normal(size=2 * N) > 0).astype(np.int32)
    parts = [(inputs[part], labels[part]) for part in (slice(N), slice(N, N + 12), slice(N + 12, None))]
    model = jaxgd.linear(3, 2, init="he_normal")
    return jaxgd.classification(model, parts[0], parts[1] if valid else None, parts[2] if test else None)


@pytest.fixture(scope="module")
def small():
    """Two optimizers, two batch sizes, two rates, two seeds."""
    return compare(
        problem(),
        ["sgd", "momentum"],
        ["full", 8],
        [0.01, 0.1],
        epochs=3,
        seeds=2,
        fresh_seeds=3,
        progress=False,
    )


def test_the_grid(small):
    assert dict(small.grid.sizes) == {"optimizer": 2, "batch_size": 2, "rate": 2, "seed": 2, "epoch": 3}
    assert small.grid.optimizer.values.tolist() == ["sgd", "momentum"]
    assert small.grid.batch_size.values.tolist() == [N, 8]
    assert small.grid.learning_rate.sel(optimizer="momentum").values.tolist() == [0.01, 0.1]
    assert small.grid.updates.isel(rate=0, seed=0, optimizer=0).values.tolist() == [[1, 2, 3], [3, 6, 9]]


def test_fresh_seeds_are_not_the_grids(small):
    assert not set(small.fresh.seed.values) & set(small.grid.seed.values)
    assert dict(small.fresh.sizes) == {"optimizer": 2, "batch_size": 2, "seed": 3, "epoch": 3}


@pytest.mark.parametrize("optimizer", ["sgd", "momentum"])
@pytest.mark.parametrize("batch_size", ["full", 8])
def test_fresh_runs_are_runs_of_fit_scored_on_the_test_split(small, optimizer, batch_size):
    place = {"optimizer": optimizer, "batch_size": N if batch_size == "full" else batch_size}
    runs = small.fresh.sel(place)
    rate, seed = float(runs.learning_rate), int(runs.seed[1])
    trainer = jaxgd.trainer(problem(), getattr(jaxgd, optimizer)(rate), batch_size)
    fit = jaxgd.fit(trainer, jax.random.key(seed), epochs=3)
    scores = jaxgd.evaluate(problem(), fit.state.params, "test")
    for name in ("loss", "accuracy"):
        assert float(runs[f"test_{name}"].sel(seed=seed)) == pytest.approx(float(scores[name]), rel=1e-5)


def test_each_cell_has_the_rate_that_its_grid_prefers(small):
    final = small.grid.valid_accuracy.isel(epoch=-1).mean("seed")
    for cell in small.cells:
        scores = final.sel(optimizer=cell.optimizer, batch_size=cell.batch_size)
        assert cell.valid == scores.max()
        assert cell.learning_rate in small.grid.learning_rate.sel(optimizer=cell.optimizer)


def test_the_clock_has_every_cell(small):
    assert dict(small.clock.sizes) == {"optimizer": 2, "batch_size": 2}
    assert (small.clock.seconds_per_update > 0).all()
    assert small.clock.batch_size.values.tolist() == [N, 8]


def test_what_is_said_about_it(small):
    about = small.about
    assert (about.epochs, about.seeds, about.fresh_seeds) == (3, 2, 3)
    assert (about.num_train, about.num_valid, about.num_test) == (24, 12, 12)
    assert about.examples_seen == 3 * 24 * (16 + 12)
    assert about.wall_seconds == pytest.approx(sum(about.stage_seconds.values()))
    assert about.versions["jaxgd"] == jaxgd.__version__
    assert about.splits == "as the problem came"
    assert small.sentence.startswith("On your problem, 3 epochs: ")
    assert "datasets" not in repr(small)


def test_a_problem_without_splits_gets_them_and_a_warning():
    whole = problem(valid=False, test=False)
    found = compare(whole, "sgd", 8, 0.1, 3, 2, 2, data="mine", progress=False)
    assert (found.about.num_train, found.about.num_valid, found.about.num_test) == (16, 4, 4)
    assert found.about.splits in found.warnings
    assert run_snippet(found.snippet, problem=whole) == fresh_losses(found)


def test_the_snippet_repeats_the_first_cell():
    found = compare("diabetes", "sgd", "full", [0.01, 0.03], 3, 1, 2, progress=False)
    assert found.score == "loss"
    assert run_snippet(found.snippet) == fresh_losses(found)


def run_snippet(code, **names):
    """The test losses that the code prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code, names)
    return [ast.literal_eval(line.split(" ", 1)[1])["loss"] for line in printed.getvalue().splitlines()]


def fresh_losses(found):
    first = found.cells[0]
    runs = found.fresh.sel(optimizer=first.optimizer, batch_size=first.batch_size)
    return [pytest.approx(loss, rel=1e-5) for loss in runs.test_loss.values.tolist()]


def test_diverged_runs_have_no_test_score():
    found = compare(problem(), "sgd", 8, 1e30, 3, 1, 2, progress=False)
    assert (found.fresh.status == "diverged").all()
    assert np.isnan(found.fresh.test_loss).all()
    assert "diverged" in found.sentence
    assert found.cells[0].diverged == 2


def test_progress_is_on_stderr(capsys):
    compare(problem(), "sgd", 8, 0.1, 3, 1, 2, progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[0] == "1 optimizer x 1 batch size x 1 rate x 1 seed: 1 run of 3 epochs"


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"optimizers": ["adm"]}, ValueError, r"did you mean 'adam'\?"),
        ({"batch_sizes": [25]}, ValueError, "batch_sizes has 25; allowed: .* to 24"),
        ({"learning_rates": [-1]}, ValueError, "learning_rates has -1"),
        ({"epochs": 0}, ValueError, "epochs must be a whole number, 1 or more, got 0"),
        ({"epochs": 10**9}, ValueError, "epochs"),
        ({"seeds": 0}, ValueError, "seeds must be a whole number, 1 or more, got 0"),
        ({"fresh_seeds": 1}, ValueError, "fresh_seeds must be a whole number, 2 or more, got 1"),
        ({"problem": "digts"}, ValueError, "did you mean 'digits'"),
        ({"problem": 3}, TypeError, "problem is a int; a jaxgd.Problem is needed"),
    ],
)
def test_bad_input(changes, error, message):
    arguments = {"problem": problem(), "progress": False, **changes}
    with pytest.raises(error, match=message):
        compare(**arguments)


def test_preset_batch_sizes_that_do_not_fit_are_left_out():
    assert plan_comparison(problem()).batch_sizes == ("full", 1)


def test_bad_input_is_found_before_anything_runs(monkeypatch):
    monkeypatch.setattr(comparing, "run_comparison", lambda *a, **k: pytest.fail("ran"))
    with pytest.raises(ValueError, match="epochs must be a whole number, 1 or more, got 0"):
        compare(problem(), epochs=0)


def test_the_same_call_gives_the_same_numbers(small):
    again = run_comparison(
        plan_comparison(problem(), check_choices(["sgd", "momentum"], ["full", 8], [0.01, 0.1], 3, 2, 3)),
        progress=False,
    )
    assert again.grid.equals(small.grid)
    assert again.fresh.equals(small.fresh)
