"""What predicting one and the same thing every time scores: what a trained model has to beat."""

from typing import NamedTuple

import numpy as np

from jaxgd.training.problems.losses import task_of
from jaxgd.training.problems.problem import Problem


class Constant(NamedTuple):
    """A constant prediction, made from the training examples.

    text: what it predicts. score: on the test examples, by the score of the comparison.
    """

    text: str
    score: float


def constant_predictor(problem: Problem, score: str) -> Constant | None:
    """The best constant that the training examples know of; None for a problem with a loss of its own.

    The most common class, of a classification; the mean of the targets, of a regression.

    Args:
        problem: with test examples.
        score: "accuracy" or "loss".
    """
    task = task_of(problem)
    if (task, score) == ("classification", "accuracy"):
        labels, answers = (np.asarray(split[1]) for split in (problem.train, problem.test))
        classes, counts = np.unique(labels, return_counts=True)
        common = classes[np.argmax(counts)]
        return Constant("the most common class of the training examples", float((answers == common).mean()))
    if (task, score) == ("regression", "loss"):
        targets, answers = (
            np.asarray(split[1], np.float64).reshape(len(split[1]), -1)
            for split in (problem.train, problem.test)
        )
        losses = np.square(answers - targets.mean(axis=0)).sum(axis=1) / 2
        return Constant("the mean of the training targets", float(losses.mean()))
    return None
