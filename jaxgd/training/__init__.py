"""Training: problems, models, batches, rules, and a run as one pure function."""

from jaxgd.training.driving import train
from jaxgd.training.evaluation import evaluate
from jaxgd.training.finder import RateFinder, find_learning_rate
from jaxgd.training.fitting import Fit, fit, iterate
from jaxgd.training.models.adapters import from_equinox, from_linen, from_nnx
from jaxgd.training.models.dropping import drop_connect, dropout
from jaxgd.training.models.model import Model
from jaxgd.training.models.networks import conv_net, linear, mlp
from jaxgd.training.models.precision import mixed_precision
from jaxgd.training.models.transformer import char_transformer
from jaxgd.training.pacing import seconds
from jaxgd.training.problems.losses import classification, regression
from jaxgd.training.problems.penalties import regularized
from jaxgd.training.problems.problem import Problem
from jaxgd.training.rules.averaging import average_weights
from jaxgd.training.rules.budgets import budget
from jaxgd.training.rules.noise import noise_scale
from jaxgd.training.rules.rule import Observation, Rule
from jaxgd.training.rules.stopping import early_stopping, early_stopping_trace, reduce_on_plateau
from jaxgd.training.states import TrainState
from jaxgd.training.streamed import BatchError
from jaxgd.training.trainers import Trainer, trainer

__all__ = [
    "BatchError",
    "Fit",
    "Model",
    "Observation",
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
    "iterate",
    "linear",
    "mixed_precision",
    "mlp",
    "noise_scale",
    "reduce_on_plateau",
    "regression",
    "regularized",
    "seconds",
    "train",
    "trainer",
]
