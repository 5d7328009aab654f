import ast
import contextlib
import io

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxgd
from jaxgd.reports.pages import of_comparison, terminal
from jaxgd.specs.choices import check_choices
from jaxgd.specs.sources import load_source
from jaxgd.studies.comparison import comparing
from jaxgd.studies.comparison.comparing import compare, plan_comparison, run_comparison
from jaxgd.training.evaluation import example_scores
from jaxgd.training.problems.problem import SPLITS

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
    return small_comparison()


def small_comparison(**changes):
    given = {"epochs": 3, "seeds": 2, "fresh_seeds": 5, "max_seconds": 0, "progress": False, **changes}
    return compare(problem(), ["sgd", "momentum"], ["full", 8], [0.01, 0.1], **given)


def test_the_grid(small):
    assert dict(small.grid.sizes) == {"optimizer": 2, "batch_size": 2, "rate": 2, "seed": 2, "epoch": 3}
    assert small.grid.optimizer.values.tolist() == ["sgd", "momentum"]
    assert small.grid.batch_size.values.tolist() == [N, 8]
    assert small.grid.learning_rate.sel(optimizer="momentum").values.tolist() == [0.01, 0.1]
    assert small.grid.updates.isel(rate=0, seed=0, optimizer=0).values.tolist() == [[1, 2, 3], [3, 6, 9]]


def test_fresh_seeds_are_not_the_grids(small):
    assert small.grid.seed.values.tolist() == [0, 1]
    assert small.fresh.seed.values.tolist() == [2, 3, 4, 5, 6]
    sizes = {"optimizer": 2, "batch_size": 2, "seed": 5, "epoch": 3, "example": 12}
    assert dict(small.fresh.sizes) == sizes


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
    rows = example_scores(problem(), fit.state.params, "test")["accuracy"]
    assert runs.test_scores.sel(seed=seed).values.tolist() == np.asarray(rows).tolist()


def test_each_cell_has_the_rate_that_its_tuning_seeds_prefer(small):
    final = small.grid.valid_accuracy.isel(epoch=-1).mean("seed")
    for cell in small.cells:
        scores = final.sel(optimizer=cell.optimizer, batch_size=cell.batch_size)
        assert cell.tuning_valid == pytest.approx(float(scores.max()))
        rates = small.grid.learning_rate.sel(optimizer=cell.optimizer).values
        assert scores.values[rates.tolist().index(cell.learning_rate)] == scores.max()


def test_cells_are_in_the_order_of_the_fresh_seeds_validation_scores(small):
    final = small.fresh.valid_accuracy.isel(epoch=-1).mean("seed")
    scores = [float(final.sel(optimizer=cell.optimizer, batch_size=cell.batch_size)) for cell in small.cells]
    assert [cell.valid for cell in small.cells] == pytest.approx(scores)
    assert scores == sorted(scores, reverse=True)


def test_test_scores_are_means_over_fresh_seeds_and_rows(small):
    for cell in small.cells:
        runs = small.fresh.sel(optimizer=cell.optimizer, batch_size=cell.batch_size)
        assert cell.test == pytest.approx(float(runs.test_scores.mean()))
        assert 0 <= cell.test_low <= cell.test <= cell.test_high <= 1


def test_the_clock_has_every_cell(small):
    assert {name: small.clock.sizes[name] for name in ("optimizer", "batch_size")} == {
        "optimizer": 2,
        "batch_size": 2,
    }
    assert (small.clock.seconds_per_update > 0).all()
    assert small.clock.batch_size.values.tolist() == [N, 8]
    turns = small.clock.seconds_by_turn
    assert turns.sizes["turn"] >= 3
    np.testing.assert_allclose(turns.median("turn"), small.clock.seconds_per_update)


def test_what_is_said_about_it(small):
    about = small.about
    assert (about.epochs, about.seeds.tuning, about.seeds.num_fresh) == (3, range(2), 5)
    assert about.fresh_counts == (5,)
    assert about.margin == 1 / 12
    assert "over fresh seeds" in about.intervals
    assert "test rows" in about.intervals
    assert (about.num_train, about.num_valid, about.num_test) == (24, 12, 12)
    assert about.examples_seen == 3 * 24 * (16 + 20)
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


def test_the_snippet_repeats_what_is_recommended():
    found = compare("diabetes", "sgd", "full", [0.01, 0.03], 3, 1, 2, first_seed=7, progress=False)
    assert found.score == "loss"
    assert "range(8, 10)" in found.snippet
    assert run_snippet(found.snippet) == fresh_losses(found)


def test_the_snippet_scores_a_network_by_the_model_state_of_its_run():
    def apply(params, inputs, model_state, training):
        mean = jnp.where(training, inputs.mean(axis=0), model_state)
        return (inputs - mean[None]) @ params["w"], 0.5 * model_state + 0.5 * mean

    whole, outputs = problem(), jaxgd.linear(3, 2, init="he_normal", bias=False)
    far = {split: (getattr(whole, split)[0] + 5, getattr(whole, split)[1]) for split in SPLITS}
    model = jaxgd.Model(outputs.init, apply, coupled=True, model_state=jnp.zeros(3))
    normalised = jaxgd.classification(model, **far)
    found = compare(normalised, "sgd", 8, 0.1, 3, 1, 2, progress=False)
    assert run_snippet(found.snippet, problem=normalised) == fresh_losses(found)


def run_snippet(code, **names):
    """The test losses that the code prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code, names)
    return [ast.literal_eval(line.split(" ", 1)[1])["loss"] for line in printed.getvalue().splitlines()]


def fresh_losses(found):
    cell = found.recommended or found.cells[0]
    runs = found.fresh.sel(optimizer=cell.optimizer, batch_size=cell.batch_size)
    return [pytest.approx(loss, rel=1e-5) for loss in runs.test_loss.values.tolist()]


def test_diverged_runs_have_no_test_score():
    found = compare(problem(), "sgd", 8, 1e30, 3, 1, 2, progress=False)
    assert (found.fresh.status == "diverged").all()
    assert np.isnan(found.fresh.test_loss).all()
    assert found.sentence == (
        "On your problem, 3 epochs: nothing to recommend: every cell diverged on a fresh seed. Try smaller "
        "learning rates."
    )
    assert (found.recommended, found.details) == (None, [])
    assert found.cells[0].diverged == 2
    assert "sgd(1e+30)" in found.snippet


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
        ({"fresh_seeds": 0}, ValueError, "fresh_seeds must be a whole number, 1 or more, got 0"),
        ({"first_seed": -1}, ValueError, "first_seed must be a whole number, from 0 to 4294967295, got -1"),
        ({"max_seeds": 4}, ValueError, "max_seeds must be fresh_seeds or more, 5, got 4"),
        ({"max_seconds": -1}, ValueError, "max_seconds must be a finite number, 0 or more, got -1"),
        ({"margin": 5}, ValueError, "margin must be from 0 to 1 for an accuracy, got 5; 0.05 is five points"),
        ({"margin": "1"}, TypeError, "margin must be a number, 0 or more, got '1'"),
        ({"problem": "digts"}, ValueError, "did you mean 'digits'"),
        ({"problem": 3}, TypeError, "problem is a int; a jaxgd.Problem is needed"),
    ],
)
def test_bad_input(changes, error, message):
    arguments = {"problem": problem(), "progress": False, **changes}
    with pytest.raises(error, match=message):
        compare(**arguments)


def test_a_margin_of_a_loss_has_no_upper_end():
    inputs, targets = problem().train
    part = inputs, 100 * targets.astype(np.float32)
    losses = jaxgd.regression(jaxgd.linear(3, 1), part, part, part)
    assert plan_comparison(losses, check_choices(margin=5)).margin == 5.0
    assert plan_comparison(problem(), check_choices(margin=1)).margin == 1.0


def test_preset_batch_sizes_that_do_not_fit_are_left_out():
    assert plan_comparison(problem()).batch_sizes == ("full", 1)


def test_bad_input_is_found_before_anything_runs(monkeypatch):
    monkeypatch.setattr(comparing, "run_comparison", lambda *a, **k: pytest.fail("ran"))
    with pytest.raises(ValueError, match="epochs must be a whole number, 1 or more, got 0"):
        compare(problem(), epochs=0)


def test_the_same_call_gives_the_same_numbers(small):
    again = run_comparison(
        plan_comparison(
            problem(), check_choices(["sgd", "momentum"], ["full", 8], [0.01, 0.1], 3, 2, 5, max_seconds=0)
        ),
        progress=False,
    )
    assert again.grid.equals(small.grid)
    assert again.fresh.equals(small.fresh)


def test_other_seeds_are_other_runs(small):
    other = small_comparison(first_seed=100)
    assert other.grid.seed.values.tolist() == [100, 101]
    assert other.fresh.seed.values.tolist() == [102, 103, 104, 105, 106]
    assert not np.isin(other.grid.valid_loss, small.grid.valid_loss).any()
    assert not np.isin(other.fresh.test_loss, small.fresh.test_loss).any()


def test_a_seed_gives_the_same_run_wherever_it_is_among_the_seeds(small):
    """Seed 2 is the first fresh one of `small`; here the second one, at the same rates."""
    rates = {cell.optimizer: [] for cell in small.cells}
    for cell in small.cells:
        rates[cell.optimizer].append(cell.learning_rate)
    shared = [name for name, both in rates.items() if len(set(both)) == 1]
    assert shared
    given = {"seeds": 1, "fresh_seeds": 2, "first_seed": 0, "max_seconds": 0, "progress": False}
    again = compare(problem(), shared, ["full", 8], {name: rates[name][:1] for name in shared}, 3, **given)
    for name in shared:
        one, two = (runs.fresh.sel(optimizer=name, seed=2) for runs in (again, small))
        np.testing.assert_array_equal(one.valid_loss, two.valid_loss)
        np.testing.assert_array_equal(one.test_scores, two.test_scores)


@pytest.mark.slow
def test_a_problem_decided_at_once_has_one_round():
    """A rate at which next to nothing is learnt, and one at which the line is found."""
    easy = line(400)
    found = compare(
        easy, ["sgd", "adam"], [16], {"sgd": [1e-6], "adam": [0.1]}, 4, 1, max_seconds=60, progress=False
    )
    assert found.about.fresh_counts == (5,)
    assert [cell.verdict for cell in found.cells] == ["better", "worse"]
    assert found.recommended is found.cells[0]
    assert found.sentence.startswith(
        "On your problem, 4 epochs: use adam, batch 16, rate 0.1: test accuracy "
    )
    assert ", better than the other (+" in found.sentence
    assert found.details[-1].startswith("By other measures: balanced accuracy ")
    assert found.quality is not None
    assert found.quality.confusion is not None
    assert found.quality.confusion.sum() == pytest.approx(400)
    assert np.trace(found.quality.confusion) / 400 == pytest.approx(found.cells[0].test)


def line(rows):
    """Points of two classes that a line separates, beside an input of noise that is ten times as large."""
    inputs = np.random.default_rng(1).normal(size=(3, rows, 2)).astype(np.float32)
    inputs[..., 1] *= 10
    parts = [(each, (each[:, 0] > 0).astype(np.int32)) for each in inputs]
    return jaxgd.classification(jaxgd.linear(2, 2), *parts)


@pytest.mark.slow
def test_undecided_cells_go_on_in_rounds():
    """Adam and the same Adam with a little decay on few rows: no seeds tell them apart."""
    given = {"seeds": 1, "max_seeds": 12, "max_seconds": 60, "progress": False}
    found = compare(problem(), ["adam", "adamw"], [8], [0.1], 2, **given)
    assert found.about.fresh_counts == (5, 10, 12)
    assert found.fresh.seed.values.tolist() == list(range(1, 13))
    assert [cell.seeds for cell in found.cells] == [12, 12]
    assert "12 fresh seeds" in found.sentence
    once = compare(problem(), ["adam", "adamw"], [8], [0.1], 2, **{**given, "max_seconds": 0})
    assert once.about.fresh_counts == (5,)
    assert once.fresh.test_scores.equals(found.fresh.test_scores.isel(seed=slice(5)))


@pytest.mark.slow
def test_runs_without_chance_are_one_run():
    """A linear model starts at zeros and a full batch has no order."""
    train, valid, test = jaxgd.datasets.load("breast_cancer")
    made = jaxgd.classification(jaxgd.linear(30, 2), train, valid, test)
    rates = {"sgd": [0.2], "momentum": [0.04]}
    given = {"epochs": 30, "progress": False}
    found = compare(made, ["sgd", "momentum"], ["full"], rates, **given)
    assert [cell.chance for cell in found.cells] == [False, False]
    assert not {"better", "worse"} & {cell.verdict for cell in found.cells}
    assert found.about.fresh_counts == (5,)  # more seeds would be the same runs
    assert "over 115 test rows (one run: no seed changes it)" in found.sentence
    assert any(line.startswith("No seed changes ") for line in found.warnings)
    assert not any("better on" in line for line in found.warnings)
    many = compare(made, ["sgd", "momentum"], ["full"], rates, fresh_seeds=40, **given)
    for cell, other in zip(found.cells, many.cells, strict=True):
        assert (cell.gap_low, cell.gap_high) == pytest.approx((other.gap_low, other.gap_high), rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [3, 5])
def test_adam_and_adamw_have_no_winner(seeds):
    """They differ by some millionths of the loss, at every seed in the same direction."""
    found = compare("diabetes", ["adam", "adamw"], [32], [0.003], 20, seeds, progress=False)
    assert [cell.verdict for cell in found.cells] == ["as good"] * 2
    assert all(abs(cell.gap) < 1e-4 * cell.test for cell in found.cells)
    assert "beats" not in found.sentence
    assert "better" not in found.sentence
    # With 89 test rows not every set of seeds shows that they beat the constant prediction.
    assert "as good as the best of 2" in found.sentence or found.recommended is None


def noise_classes(rng):
    inputs = rng.normal(size=(300, 6))
    return inputs, (rng.uniform(size=300) < 0.13).astype(int), ["%.4f"] * 6 + ["%d"]


def noise_numbers(rng):
    noise_classes(rng)
    targets = rng.normal(size=100) * 10
    return rng.normal(size=(100, 6)), targets, "%.4f"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "reference"),
    [
        (noise_classes, "Predicting the most common class of the training examples every time gives 80.0 %."),
        (
            noise_numbers,
            "Predicting the mean of the training targets every time gives a test loss of 0.5329.",
        ),
    ],
)
def test_in_noise_nothing_is_recommended(tmp_path, make, reference):
    inputs, targets, fmt = make(np.random.default_rng(0))
    path = str(tmp_path / "noise.csv")
    table = np.c_[inputs, targets]
    np.savetxt(path, table, delimiter=",", header="a,b,c,d,e,f,y", comments="", fmt=fmt)
    source = load_source(path, "y")._replace(data="noise")
    found = compare(source, ["adam"], ["full"], [0.1], epochs=10, seeds=1, max_seconds=0, progress=False)
    opening = f"On noise, 10 epochs: nothing to recommend. {reference} The best cell, adam, full batch, rate"
    assert found.sentence.startswith(opening)
    assert found.recommended is None
    assert reference in [str(part) for part in terminal.render(found).renderables]
    assert reference in of_comparison.page(found)
