"""A made-up comparison shaped like a real one: small batches want lower rates, high rates diverge."""

import numpy as np
import xarray as xr

from jaxgd.specs.choices import check_seeds
from jaxgd.specs.presets import LEARNING_RATES
from jaxgd.studies.comparison.answer import Subject, write_answer, write_batch_sizes, write_choice
from jaxgd.studies.comparison.baselines import Baseline
from jaxgd.studies.comparison.conclusions import About, Comparison, found_in
from jaxgd.studies.comparison.findings import write_warnings
from jaxgd.studies.comparison.judging import Looks, judge
from jaxgd.studies.comparison.quality import Quality, write_quality

NUM_TRAIN, NUM_VALID, NUM_TEST = 1078, 359, 360
# How far each optimizer gets in one update at its best rate, and that rate at the full batch.
SPEED = {
    "sgd": (0.30, 1.0),
    "momentum": (1.0, 0.3),
    "nesterov": (1.05, 0.3),
    "adagrad": (0.55, 0.3),
    "rmsprop": (0.9, 0.01),
    "adadelta": (0.5, 10.0),
    "adam": (1.2, 0.03),
    "adamw": (1.15, 0.03),
    "nadam": (1.25, 0.03),
}


def synthetic_comparison(
    score="accuracy",
    data="digits",
    optimizers=("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adadelta", "adam", "nadam"),
    batch_sizes=(NUM_TRAIN, 128, 32, 1),
    epochs=20,
    seeds=3,
    fresh_seeds=5,
    unlucky=(),
):
    """A made-up Comparison; every number follows from the arguments.

    For each (optimizer, batch size) in unlucky the first fresh seed diverges in its fourth epoch.
    """
    rates = np.array([LEARNING_RATES[name] for name in optimizers])
    grid = _grid(optimizers, batch_sizes, rates, epochs, range(seeds), score)
    fresh = _fresh(grid, epochs, range(100, 100 + fresh_seeds), score)
    for optimizer, batch_size in unlucky:
        _diverge(fresh, {"optimizer": optimizer, "batch_size": batch_size, "seed": fresh.seed[0]})
    clock = _clock(optimizers, batch_sizes)
    looks, constant = Looks((fresh_seeds,), fresh_seeds, True), _constant(score)
    judged = judge(fresh, clock, score, constant, looks)
    subject = Subject(data, score, epochs, NUM_TRAIN, NUM_TEST, fresh_seeds)
    found = found_in(subject, grid, fresh, clock, judged, constant)
    quality = _quality(score)
    return Comparison(
        data=data,
        score=score,
        grid=grid,
        fresh=fresh,
        clock=clock,
        cells=list(found.cells),
        recommended=found.recommended if found.beats_constant else None,
        sentence=write_answer(found),
        details=[write_batch_sizes(found), write_choice(found), write_quality(quality)],
        warnings=write_warnings(found, grid, fresh, None, None),
        about=_about(data, grid, fresh, epochs, seeds, fresh_seeds, found.margin),
        snippet=_snippet(found.cells[0], data, epochs),
        constant=constant,
        linear=Baseline("scikit-learn's linear model", 0.9, np.full(NUM_TEST, 0.9)),
        quality=quality,
    )


def _constant(score):
    """Right about the first tenth of the test examples, or a loss of 2.3 for each."""
    rows = np.full(NUM_TEST, 2.3) if score == "loss" else (np.arange(NUM_TEST) < NUM_TEST // 10).astype(float)
    return Baseline("the most common class of the training examples", float(rows.mean()), rows)


def _quality(score):
    if score == "loss":
        return Quality({"root mean squared error": 0.5}, None)
    confusion = 33 * np.eye(10)
    confusion[3, 8], confusion[8, 3] = 1.4, 12.25
    return Quality({"balanced accuracy": 0.97, "log loss": 0.07}, confusion)


def _run(optimizer, batch_size, rate, seed, epochs):
    """One run's curves (loss, accuracy, updates) and the update at which it diverged, or -1."""
    speed, full_rate = SPEED[optimizer]
    best = full_rate * (batch_size / NUM_TRAIN) ** 0.55
    generator = np.random.default_rng([seed, batch_size, len(optimizer), int(1e6 * rate)])
    updates = -(-NUM_TRAIN // batch_size) * np.arange(1, epochs + 1)
    miss = np.log10(rate / best)
    if miss > 0.9 + 0.1 * generator.normal():
        return None, None, updates, int(generator.integers(1, max(2, updates[-1] // 2)))
    progress = speed * np.minimum(1, 10.0**miss) * updates * (batch_size / NUM_TRAIN) ** 0.45
    noise = 1 + 0.12 * generator.normal(size=epochs).cumsum() / np.sqrt(np.arange(1, epochs + 1))
    floor = 0.07 + 0.05 * max(miss, 0) ** 2 + (0.02 if batch_size == 1 else 0) + 0.012 * generator.normal()
    loss = np.maximum(floor, 0.03) * noise.clip(0.5) + 2.25 / (1 + 0.6 * progress) ** 0.9
    accuracy = np.round((1 - 0.9 * np.minimum(1, loss / 2.4) ** 0.95) * NUM_VALID) / NUM_VALID
    return loss, accuracy, updates, -1


def _runs(places, shape, epochs, score):
    """Variables of many runs; places yields (index, optimizer, batch_size, rate, seed)."""
    names = ["train_loss", "valid_loss", "grad_norm"] + ([f"valid_{score}"] if score != "loss" else [])
    values = {name: np.full((*shape, epochs), np.nan) for name in names}
    values |= {name: np.zeros((*shape, epochs), int) for name in ("updates", "examples")}
    status, stopped_at = np.full(shape, "completed", dtype="<U13"), np.full(shape, -1)
    for index, optimizer, batch_size, rate, seed in places:
        loss, accuracy, updates, diverged_at = _run(optimizer, batch_size, rate, seed, epochs)
        if diverged_at >= 0:
            whole = int(np.searchsorted(updates, diverged_at))
            loss, accuracy = np.full(epochs, np.nan), np.full(epochs, np.nan)
            loss[:whole], accuracy[:whole] = 2.3 * 1.05 ** np.arange(whole), 0.1
            status[index], stopped_at[index] = "diverged", diverged_at
            updates = np.minimum(updates, diverged_at)
        values["train_loss"][index], values["valid_loss"][index] = 0.8 * loss, loss
        values["grad_norm"][index] = np.sqrt(loss)
        if score != "loss":
            values[f"valid_{score}"][index] = accuracy
        values["updates"][index] = updates
        values["examples"][index] = updates * batch_size
    return values, status, stopped_at


def _grid(optimizers, batch_sizes, rates, epochs, seeds, score):
    dims = ("optimizer", "batch_size", "rate", "seed")
    shape = (len(optimizers), len(batch_sizes), rates.shape[1], len(seeds))
    places = (
        (i, optimizers[i[0]], batch_sizes[i[1]], rates[i[0], i[2]], seeds[i[3]]) for i in np.ndindex(*shape)
    )
    values, status, stopped_at = _runs(places, shape, epochs, score)
    return xr.Dataset(
        {name: ((*dims, "epoch"), value) for name, value in values.items()}
        | {"status": (dims, status), "stopped_at": (dims, stopped_at)},
        {
            "optimizer": list(optimizers),
            "batch_size": list(batch_sizes),
            "rate": range(shape[2]),
            "seed": list(seeds),
            "epoch": range(1, epochs + 1),
            "learning_rate": (("optimizer", "rate"), rates),
        },
        {"num_train": NUM_TRAIN},
    )


def _fresh(grid, epochs, seeds, score):
    dims = ("optimizer", "batch_size", "seed")
    optimizers, batch_sizes = grid.optimizer.values.tolist(), grid.batch_size.values.tolist()
    shape = (len(optimizers), len(batch_sizes), len(seeds))
    final = grid[f"valid_{score}"].isel(epoch=-1).mean("seed", skipna=False)
    best = (final if score == "loss" else -final).fillna(np.inf).argmin("rate")
    rates = grid.learning_rate.isel(rate=best).transpose("optimizer", "batch_size").values
    places = ((i, optimizers[i[0]], batch_sizes[i[1]], rates[i[:2]], seeds[i[2]]) for i in np.ndindex(*shape))
    values, status, _ = _runs(places, shape, epochs, score)
    rows = _test_scores(values, shape, score)
    return xr.Dataset(
        {name: ((*dims, "epoch"), value) for name, value in values.items()}
        | {"test_scores": ((*dims, "example"), rows), f"test_{score}": (dims, rows.mean(-1))}
        | {"status": (dims, status), "learning_rate": (("optimizer", "batch_size"), rates)},
        {
            "optimizer": optimizers,
            "batch_size": batch_sizes,
            "seed": list(seeds),
            "epoch": range(1, epochs + 1),
        },
        {"num_train": NUM_TRAIN},
    )


def _test_scores(values, shape, score):
    """The score of each test example: some are hard for every run, and each run has its own chance."""
    generator = np.random.default_rng(0)
    hardness, chance = generator.normal(size=NUM_TEST), generator.normal(size=(*shape, NUM_TEST))
    if score == "loss":
        factors = np.exp(0.5 * hardness + 0.1 * chance)
        return 1.05 * values["valid_loss"][..., -1:] * factors / factors.mean(-1, keepdims=True)
    share = np.clip(values[f"valid_{score}"][..., -1:] - 0.004, 0, 1)
    ranks = (hardness + 0.2 * chance).argsort(-1).argsort(-1)
    return np.where(np.isnan(share), np.nan, ranks < np.round(share * NUM_TEST))


def _diverge(fresh, place):
    for name, values in fresh.data_vars.items():
        if values.dtype == float and name != "learning_rate":
            after = {"epoch": slice(4, None)} if "epoch" in values.dims else {}
            values.loc[place | after] = np.nan
    fresh.status.loc[place] = "diverged"


def _clock(optimizers, batch_sizes):
    sizes = np.array(batch_sizes, float)
    slower = np.array([1 + 0.15 * i for i in range(len(optimizers))])[:, None]
    seconds = slower * (1.5e-6 + 4e-7 * sizes)
    memory = np.round(slower * (230_000 + 900 * sizes)).astype(int)
    turns = seconds[..., None] * np.array([1.0, 1.04, 0.98])
    dims = ("optimizer", "batch_size")
    return xr.Dataset(
        {
            "seconds_per_update": (dims, seconds),
            "examples_per_second": (dims, sizes / seconds),
            "bytes": (dims, memory),
            "seconds_by_turn": ((*dims, "turn"), turns),
        },
        {"optimizer": list(optimizers), "batch_size": list(batch_sizes)},
        {"num_train": NUM_TRAIN},
    )


def _about(data, grid, fresh, epochs, seeds, fresh_seeds, margin):
    return About(
        epochs=epochs,
        seeds=check_seeds(seeds, fresh_seeds, 0, fresh_seeds, 0),
        fresh_counts=(fresh_seeds,),
        margin=margin,
        num_train=NUM_TRAIN,
        num_valid=NUM_VALID,
        num_test=NUM_TEST,
        splits=f"{NUM_TRAIN:,} training, {NUM_VALID} validation and {NUM_TEST} test, at random",
        examples_seen=int(grid.examples.isel(epoch=-1).sum() + fresh.examples.isel(epoch=-1).sum()),
        stage_seconds={"grid": 15.0, "fresh seeds": 4.0, "clock": 2.4},
        versions={"jaxgd": "0.1.0", "jax": "0.10.2", "optax": "0.2.8", "numpy": "2.3.1"},
        device="2 x cpu",
        cores=2,
        command=f"jaxgd compare --data '{data}' --epochs {epochs}",
        model="mlp([64, 64, 10])",
    )


def _snippet(cell, data, epochs):
    batch_size = '"full"' if cell.batch_size == NUM_TRAIN else cell.batch_size
    return f"""\
import jax
import jaxgd
from jaxgd.training.data import datasets

train, valid, test = datasets.load({data!r})
problem = jaxgd.classification(jaxgd.mlp([64, 64, 10]), train, valid, test)
trainer = jaxgd.trainer(problem, jaxgd.{cell.optimizer}({cell.learning_rate:g}), batch_size={batch_size})
fit = jaxgd.fit(trainer, jax.random.key(100), epochs={epochs})
print(jaxgd.evaluate(problem, fit.state.params, "test"))
"""
