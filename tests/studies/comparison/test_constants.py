"""What a constant prediction scores, and that nothing worse is called a winner."""

import numpy as np
import pytest

import jaxgd
from jaxgd.reports.pages import of_comparison, terminal
from jaxgd.specs.sources import load_source
from jaxgd.studies.comparison.constants import constant_predictor

INPUTS = np.zeros((5, 2), np.float32)


def test_the_most_common_class():
    train, test = (INPUTS, np.array([2, 1, 2, 0, 1])), (INPUTS[:4], np.array([1, 2, 2, 1]))
    problem = jaxgd.classification(jaxgd.linear(2, 3), train, train, test)
    constant = constant_predictor(problem, "accuracy")
    assert constant is not None
    assert constant.score == 0.5
    same = constant_predictor(jaxgd.regularized(problem, l2=0.1), "accuracy")
    assert same == constant


@pytest.mark.parametrize("outputs", [1, 2])
def test_the_mean_of_the_targets(outputs):
    rng = np.random.default_rng(0)
    targets = rng.normal(size=(2, 5, outputs)).astype(np.float32)
    splits = [(INPUTS, part[:, 0] if outputs == 1 else part) for part in targets]
    problem = jaxgd.regression(jaxgd.linear(2, outputs), splits[0], None, splits[1])
    bias = targets[0].mean(axis=0)
    expected = jaxgd.evaluate(problem, {"w": np.zeros((2, outputs)), "b": bias}, "test")["loss"]
    for made in (problem, jaxgd.regularized(problem, l2=0.1)):
        constant = constant_predictor(made, "loss")
        assert constant is not None
        assert constant.score == pytest.approx(float(expected), rel=1e-6)


def test_a_loss_of_ones_own_has_none():
    problem = jaxgd.Problem(lambda key: np.zeros(2, np.float32), lambda p, b: b[0] @ p, (INPUTS, INPUTS))
    assert constant_predictor(problem, "loss") is None
    assert (
        constant_predictor(problem.replace(metrics={"accuracy": lambda p, b: b[0] @ p}), "accuracy") is None
    )


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
def test_noise_has_no_winner(tmp_path, make, reference):
    inputs, targets, fmt = make(np.random.default_rng(0))
    path = str(tmp_path / "noise.csv")
    table = np.c_[inputs, targets]
    np.savetxt(path, table, delimiter=",", header="a,b,c,d,e,f,y", comments="", fmt=fmt)
    source = load_source(path, "y")._replace(data="noise")
    found = jaxgd.compare(source, ["adam"], ["full"], [0.1], epochs=10, seeds=1, progress=False)
    opening = f"On noise, 10 epochs: no winner. {reference} adam, full batch, rate 0.1, does not clearly"
    assert found.sentence.startswith(opening)
    assert reference in str(terminal.render(found).renderables[-1])
    assert f'<p class="note">{reference}</p>' in of_comparison.page(found)
