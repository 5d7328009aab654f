"""Optimizers: gradient transformations that are pytrees of their hyperparameters."""

from jaxgd.optim.foreign import from_optax
from jaxgd.optim.moments import scale_by_moments
from jaxgd.optim.optimizers import (
    adadelta,
    adagrad,
    adam,
    adamw,
    momentum,
    nadam,
    nadamw,
    nesterov,
    rmsprop,
    sgd,
)
from jaxgd.optim.schedules import (
    Schedule,
    constant_schedule,
    cosine_decay_schedule,
    exponential_decay,
    inverse_time_decay,
    linear_schedule,
    warmup_constant_schedule,
    warmup_cosine_decay_schedule,
)
from jaxgd.optim.transform import Kind, Transform, apply_updates, chain, stack

__all__ = [
    "Kind",
    "Schedule",
    "Transform",
    "adadelta",
    "adagrad",
    "adam",
    "adamw",
    "apply_updates",
    "chain",
    "constant_schedule",
    "cosine_decay_schedule",
    "exponential_decay",
    "from_optax",
    "inverse_time_decay",
    "linear_schedule",
    "momentum",
    "nadam",
    "nadamw",
    "nesterov",
    "rmsprop",
    "scale_by_moments",
    "sgd",
    "stack",
    "warmup_constant_schedule",
    "warmup_cosine_decay_schedule",
]
