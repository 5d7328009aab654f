"""What is said before numbers at equal budgets are trusted, each flag where it is true and not elsewhere."""

import numpy as np
import pytest

from jaxgd.studies import equal_budgets

FINAL = [[1.0, 0.5, 0.8], [1.0, 0.55, 0.9]]
UNTUNED = [[1.0, 0.9, 0.8], [0.3, 0.9, 0.55]]


def flags(data, **options):
    return equal_budgets(data, schedule=options.pop("schedule", "averaged"), **options).flags


def test_nothing_to_say(table):
    assert flags(table(FINAL)) == ()


def test_a_best_rate_at_the_edge_of_its_grid(table):
    assert flags(table(UNTUNED)) == (
        "The best rate is the lowest tried, and better may lie beyond: adam at batch size 32 "
        "(at equal epochs, updates, examples and seconds).",
        "The best rate is the highest tried, and better may lie beyond: adam at batch size 8 "
        "(at equal epochs, updates, examples and seconds).",
    )
    one = flags(table([[[0.5], [0.5]]], rates=[0.1]))
    assert one[0].startswith("One learning rate was tried, so nothing was tuned: adam at batch size 8 and 32")


def test_an_optimizer_that_loses_to_one_that_it_contains(table):
    interior = [[1.0, 0.5, 1.0], [1.0, 0.5, 1.0]]
    worse = [[1.0, 0.6, 1.0], [1.0, 0.5, 1.0]]

    def found(first, second, methods):
        return [flag for flag in flags(table([first, second], methods=methods)) if "Under-tuned" in flag]

    (flag,) = found(worse, interior, ("adam", "momentum"))
    assert flag.startswith(
        "Under-tuned, as it contains momentum and loses to it: adam at batch size 8 (at equal"
    )
    assert found(interior, worse, ("adam", "momentum")) == []
    assert found(worse, interior, ("momentum", "adam")) == []  # Adam contains momentum, and not the reverse
    assert len(found(worse, interior, ("adamw, width 64", "adam, width 64"))) == 1
    assert found(worse, interior, ("adamw, width 32", "adam, width 64")) == []
    assert found(interior, interior, ("nesterov", "sgd")) == []


def test_few_seeds(table):
    assert flags(table(FINAL, seeds=9))[0] == "4 reporting seeds: with fewer than 5 there is no verdict."


def test_fewer_seeds_that_tune_than_report(table):
    assert flags(table(FINAL), tuning=4) == (
        "Rates were chosen on 4 seeds, fewer than report: methods may differ by luck of the choice.",
    )


def test_schedules(table):
    data = table(FINAL)
    assert flags(data, schedule=None)[0].startswith("What the learning rate did is not given")
    assert flags(data, schedule="constant")[0].startswith("The learning rate was constant")
    (decayed,) = flags(data, schedule="decayed")
    assert decayed == (
        "Read before the end of the schedule, where the rate is to fall: adam at batch size 8 "
        "(at equal updates and seconds)."
    )


def test_what_is_not_known(table):
    data = table(FINAL)
    without = {name: column for name, column in data.items() if name not in ("epochs", "seconds")}
    assert "Nothing is said at equal epochs and seconds, which the data do not hold." in flags(without)
    lost = data | {"loss": np.where((data["batch_size"] == 8) & (data["seed"] < 2), np.inf, data["loss"])}
    assert any(
        flag.startswith("Every learning rate diverged at some seed: adam at batch size 8")
        for flag in flags(lost)
    )
    cut = {name: column[(data["seed"] != 9) | (data["epochs"] < 3)] for name, column in data.items()}
    assert any(flag.startswith("Some reporting seed is not known at the budget") for flag in flags(cut))
    both = table([FINAL, FINAL], methods=("adam", "sgd"))
    gone = (both["optimizer"] == "adam") & (both["batch_size"] == 8)
    assert any(
        flag.startswith("There are no trials: adam at batch size 8")
        for flag in flags({name: column[~gone] for name, column in both.items()})
    )


@pytest.mark.parametrize("constant", [True, False])
def test_seeds_that_change_nothing(table, constant):
    data = table(FINAL)
    if constant:
        is_small = data["batch_size"] == 8
        data["loss"] = np.where(is_small, np.round(data["loss"], 1), data["loss"])
    said = [flag for flag in flags(data) if flag.startswith("All reporting seeds have the same score")]
    assert bool(said) is constant
