"""What a comparison says in words."""

import runpy
from pathlib import Path

import numpy as np
import pytest

from jaxgd.studies.comparison.answer import (
    baseline_lines,
    constant_text,
    times_faster,
    write_answer,
    write_batch_sizes,
    write_choice,
    write_remedy,
)
from jaxgd.studies.comparison.baselines import Baseline

made_up = runpy.run_path(str(Path(__file__).with_name("made_up.py")))
cell, found = made_up["make_cell"], made_up["make_found"]
N, CONSTANT, FIRST, LOST = (made_up[name] for name in ("NUM_TRAIN", "CONSTANT", "FIRST", "LOST"))
WORSE = {"verdict": "worse", "gap": -0.03, "gap_low": -0.05, "gap_high": -0.01}


def test_as_good_as_the_best():
    others = [cell(optimizer="adam"), *[cell(optimizer="sgd", **WORSE) for _ in range(10)]]
    assert write_answer(found(*others)) == (
        "On digits, 20 epochs: use momentum, batch 32, rate 0.04: test accuracy 97.4 % (95.2 to 98.6) over 5 "
        "fresh seeds and 360 test rows, as good as the best of 12 (+0.1 points, -0.4 to +0.9) and the "
        "cheapest of the 2 that are."
    )


def test_the_only_one_shown_as_good_is_not_called_the_cheapest():
    assert write_answer(found(cell(verdict="cannot tell"))).endswith(
        ", as good as the best of 2 (+0.1 points, -0.4 to +0.9)."
    )


def test_better():
    best = cell(verdict="better", gap=0.021, gap_low=0.008, gap_high=0.034)
    worse = cell(**WORSE)
    assert write_answer(found(worse, first=best)).endswith(
        "360 test rows, better than the other (+2.1 points, +0.8 to +3.4)."
    )
    assert ", better than the 2 others (" in write_answer(found(worse, worse, first=best))


def test_cannot_tell_qualifies_it():
    first = cell(verdict="cannot tell", seeds=20)
    second = cell(verdict="cannot tell", seeds=40)
    assert write_answer(found(second, second, first=first)).endswith(
        " over 20 fresh seeds and 360 test rows, the best on validation data; 40 fresh seeds cannot tell it "
        "from the 2 others (+0.1 points, -0.4 to +0.9)."
    )


def test_too_few_seeds():
    few = cell(verdict="no verdict", seeds=3)
    made = found(cell(few), first=few)
    assert write_answer(made).endswith(
        ", the best on validation data; fewer than 5 fresh seeds allow no verdict."
    )
    assert write_remedy(made) == "To tell: at least 5 fresh seeds (--fresh-seeds 5)."


def test_one_run_that_no_seed_changes():
    once = cell(chance=False, verdict="cannot tell", batch_size=N)
    made = found(cell(once, optimizer="sgd"), first=once)
    assert write_answer(made) == (
        "On digits, 20 epochs: use momentum, full batch, rate 0.04: test accuracy 97.4 % (95.2 to 98.6) over "
        "360 test rows (one run: no seed changes it), the best on validation data; 360 test rows cannot tell "
        "it from the other (+0.1 points, -0.4 to +0.9)."
    )
    assert write_remedy(made) == "To tell: more test rows than 360."
    assert write_remedy(found(cell(once), first=once, num_test=5000)) == ""
    assert write_choice(made) == ""


def test_a_cell_alone():
    made = found(first=cell(verdict="no verdict"))
    assert write_answer(made).endswith("97.4 % (95.2 to 98.6) over 5 fresh seeds and 360 test rows.")
    assert write_remedy(made) == ""
    assert write_batch_sizes(made) == ""


def test_the_only_one_that_did_not_diverge():
    made = found(cell(**LOST), cell(**LOST), first=cell(verdict="no verdict"))
    assert write_answer(made).endswith(", the only one of 3 that did not diverge on a fresh seed.")
    assert write_remedy(made) == ""


def test_every_cell_diverged():
    lost = cell(**LOST)
    made = found(lost, first=lost, recommended=None, beats=False)
    assert write_answer(made) == (
        "On digits, 20 epochs: nothing to recommend: every cell diverged on a fresh seed. Try smaller "
        "learning rates."
    )
    assert [write_batch_sizes(made), write_remedy(made), write_choice(made)] == ["", "", ""]


def test_nothing_below_the_constant_is_recommended():
    made = found(cell(**WORSE), beats=False, constant=CONSTANT._replace(score=0.96), epochs=1)
    assert write_answer(made) == (
        "On digits, 1 epoch: nothing to recommend. Predicting the most common class of the training examples "
        "every time gives 96.0 %. The best cell, momentum, batch 32, rate 0.04, is not shown to beat that: "
        "97.4 % (95.2 to 98.6) over 5 fresh seeds and 360 test rows."
    )
    assert write_batch_sizes(made) == write_choice(made) == ""


def test_losses_are_in_their_units():
    first = cell(test=0.2984, test_low=0.2241, test_high=0.3991, gap=7e-6, gap_low=2.6e-6, gap_high=1.2e-5)
    assert write_answer(found(FIRST, first=first, score="loss")).startswith(
        "On digits, 20 epochs: use momentum, batch 32, rate 0.04: test loss 0.298 (0.224 to 0.399) over 5 "
        "fresh seeds and 360 test rows, as good as the best of 2 (+7.0e-06, +2.6e-06 to +1.2e-05)"
    )


@pytest.mark.parametrize(
    ("turns", "factor"),
    [
        ((0.84, 0.84, 0.84), 2.0),
        ((0.84, 0.47, 5.0), 2.0),  # every turn above 1.1
        ((0.84, 0.46, 5.0), None),
        ((0.84, 0.462, 0.84), None),  # exactly 1.1
    ],
)
def test_a_factor_needs_every_turn_of_the_clock(turns, factor):
    slow = cell(seconds=0.84, seconds_by_turn=turns)
    assert times_faster(FIRST, slow) == (factor if factor is None else pytest.approx(factor))
    first = cell(optimizer="sgd", seconds=0.84, seconds_by_turn=turns)
    said = write_answer(found(FIRST, first=first, recommended=1))
    assert said.endswith("2.0x faster than sgd, batch 32, rate 0.04." if factor else "of the 2 that are.")


def test_a_tiny_call_has_no_factor():
    assert times_faster(FIRST, cell(seconds=0.42 * 1.09)) is None


def test_batch_sizes():
    made = found(
        cell(batch_size=128, seconds=0.3),
        cell(batch_size=128, **WORSE, seconds=0.3),
        cell(batch_size=N, **WORSE),
        cell(batch_size=8, verdict="cannot tell", seconds=0.9),
        cell(batch_size=1, verdict="cannot tell", seconds=4.2),
    )
    assert write_batch_sizes(made) == (
        "Batch size: batch 32 and batch 128 are as good as the best; full batch is worse (-3.0 points, -5.0 "
        "to -1.0); of batch 1 and batch 8 these runs cannot tell; a run at batch 1 takes 10.0x as long; a "
        "run at batch 8 takes 2.1x as long."
    )


def test_one_good_batch_size():
    assert write_batch_sizes(found(cell(batch_size=N, **WORSE))).startswith(
        "Batch size: batch 32 is as good as"
    )


def test_a_batch_size_is_worse_by_its_nearest_cell():
    far = cell(batch_size=N, verdict="worse", gap=-0.2, gap_low=-0.3, gap_high=-0.1)
    made = found(far, cell(batch_size=N, **WORSE))
    assert "full batch is worse (-3.0 points, -5.0 to -1.0)" in write_batch_sizes(made)


def test_a_batch_size_at_which_every_cell_diverged_is_not_one_that_cannot_be_told():
    """Its runs ended early, so nothing is said of how long they take."""
    made = found(
        cell(batch_size=1, **LOST, seconds=4.2),
        cell(batch_size=1, **LOST, seconds=4.2),
        cell(batch_size=N, verdict="cannot tell"),
    )
    assert write_batch_sizes(made) == (
        "Batch size: batch 32 is as good as the best; at batch 1 every cell diverged on a fresh seed; "
        "of full batch these runs cannot tell."
    )


def test_a_batch_size_is_judged_by_the_cells_that_did_not_diverge():
    made = found(cell(batch_size=N, **LOST), cell(batch_size=N, **WORSE))
    assert write_batch_sizes(made).endswith("; full batch is worse (-3.0 points, -5.0 to -1.0).")


def test_one_batch_size_needs_no_sentence():
    assert write_batch_sizes(found(cell(optimizer="adam"))) == ""


@pytest.mark.parametrize(
    ("seeds", "num_test", "remedy"),
    [
        (40, 360, "To tell: more test rows than 360, or --max-seeds 80."),
        (40, 1000, "To tell: --max-seeds 80."),
        # There was no time for more.
        (10, 1000, "To tell: more time for seeds (--max-seconds)."),
    ],
)
def test_what_would_tell(seeds, num_test, remedy):
    undecided = cell(verdict="cannot tell", seeds=seeds)
    assert write_remedy(found(cell(undecided), first=undecided, num_test=num_test)) == remedy


def test_what_is_known_needs_no_remedy():
    assert write_remedy(found(cell(optimizer="adam"))) == ""


def test_what_being_chosen_does_to_a_score():
    opening = "Validation accuracy of this choice: 98.5 % on the seeds that chose its rate, "
    assert (
        write_choice(found(cell()))
        == f"{opening}98.0 % on fresh ones: what is chosen looks better than it is."
    )
    assert write_choice(found(first=cell(valid=0.99))) == f"{opening}99.0 % on fresh ones."
    worse = cell(tuning_valid=0.2, valid=0.3)
    assert write_choice(found(first=worse, score="loss")).endswith(
        ": what is chosen looks better than it is."
    )


def test_baselines():
    linear = Baseline("scikit-learn's logistic regression", 0.957, np.zeros(1))
    assert baseline_lines(CONSTANT, linear, "accuracy") == [
        "Predicting the most common class of the training examples every time gives 10.0 %.",
        "scikit-learn's logistic regression, the strength of its penalty chosen on validation rows: 95.7 %.",
    ]
    assert baseline_lines(None, None, "loss") == []
    mean = Baseline("the mean of the training targets", 0.5, np.zeros(1))
    assert constant_text(mean, "loss") == (
        "Predicting the mean of the training targets every time gives a test loss of 0.5000."
    )
