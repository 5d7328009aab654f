"""Training: problems, models, batches, and a run as one pure function."""

from jaxgd.training.fitting import Fit, fit
from jaxgd.training.gradients import evaluate
from jaxgd.training.loop import TrainState
from jaxgd.training.models import Model, linear, mlp
from jaxgd.training.problem import Problem, classification, regression
from jaxgd.training.trainers import Trainer, trainer

__all__ = [
    "Fit",
    "Model",
    "Problem",
    "TrainState",
    "Trainer",
    "classification",
    "evaluate",
    "fit",
    "linear",
    "mlp",
    "regression",
    "trainer",
]
