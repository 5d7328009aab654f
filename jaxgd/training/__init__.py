"""Training: problems, models, batches, rules, and a run as one pure function."""

from jaxgd.training.adapters import from_equinox, from_linen, from_nnx
from jaxgd.training.averaging import average_weights
from jaxgd.training.budgets import budget
from jaxgd.training.driving import train
from jaxgd.training.finder import RateFinder, find_learning_rate
from jaxgd.training.fitting import Fit, fit
from jaxgd.training.gradients import evaluate
from jaxgd.training.models import Model
from jaxgd.training.networks import conv_net, linear, mlp
from jaxgd.training.precision import mixed_precision
from jaxgd.training.problem import Problem, classification, regression
from jaxgd.training.regularizers import drop_connect, dropout, regularized
from jaxgd.training.rules import Rule
from jaxgd.training.states import TrainState
from jaxgd.training.stopping import early_stopping, early_stopping_trace, reduce_on_plateau
from jaxgd.training.trainers import Trainer, trainer
from jaxgd.training.transformer import char_transformer

__all__ = [
    "Fit",
    "Model",
    "Problem",
    "RateFinder",
    "Rule",
    "TrainState",
    "Trainer",
    "average_weights",
    "budget",
    "char_transformer",
    "classification",
    "conv_net",
    "drop_connect",
    "dropout",
    "early_stopping",
    "early_stopping_trace",
    "evaluate",
    "find_learning_rate",
    "fit",
    "from_equinox",
    "from_linen",
    "from_nnx",
    "linear",
    "mixed_precision",
    "mlp",
    "reduce_on_plateau",
    "regression",
    "regularized",
    "train",
    "trainer",
]
