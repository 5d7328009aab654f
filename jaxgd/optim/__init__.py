"""Optimizers: gradient transformations that are pytrees of their hyperparameters."""

import inspect

from jaxgd.optim.clipping import (
    clip_by_global_norm as clip_by_global_norm,
    soft_threshold as soft_threshold,
    track_gradient_norms as track_gradient_norms,
)
from jaxgd.optim.combining import (
    chain as chain,
    current_learning_rate as current_learning_rate,
    freeze as freeze,
    masked as masked,
    named_chain as named_chain,
    partition as partition,
    selective_transform as selective_transform,
)
from jaxgd.optim.foreign import (
    adabelief as adabelief,
    adafactor as adafactor,
    adan as adan,
    adaptive_grad_clip as adaptive_grad_clip,
    add_decayed_weights as add_decayed_weights,
    add_noise as add_noise,
    centralize as centralize,
    clip as clip,
    clip_by_block_rms as clip_by_block_rms,
    ema as ema,
    from_optax as from_optax,
    fromage as fromage,
    identity as identity,
    keep_params_nonnegative as keep_params_nonnegative,
    lamb as lamb,
    lars as lars,
    lbfgs as lbfgs,
    lion as lion,
    noisy_sgd as noisy_sgd,
    normalize_by_update_norm as normalize_by_update_norm,
    novograd as novograd,
    optimistic_adam_v2 as optimistic_adam_v2,
    optimistic_gradient_descent as optimistic_gradient_descent,
    polyak_sgd as polyak_sgd,
    radam as radam,
    rprop as rprop,
    scale as scale,
    scale_by_adam as scale_by_adam,
    scale_by_learning_rate as scale_by_learning_rate,
    scale_by_rms as scale_by_rms,
    scale_by_schedule as scale_by_schedule,
    scale_by_sign as scale_by_sign,
    scale_by_trust_ratio as scale_by_trust_ratio,
    set_to_zero as set_to_zero,
    sign_sgd as sign_sgd,
    signum as signum,
    sm3 as sm3,
    trace as trace,
    yogi as yogi,
    zero_nans as zero_nans,
)
from jaxgd.optim.generalized import (
    generalize as generalize,
)
from jaxgd.optim.in_place import (
    make_update as make_update,
)
from jaxgd.optim.moments import (
    scale_by_moments as scale_by_moments,
)
from jaxgd.optim.optimizers import (
    adadelta as adadelta,
    adagrad as adagrad,
    adam as adam,
    adamax as adamax,
    adamaxw as adamaxw,
    adamw as adamw,
    amsgrad as amsgrad,
    momentum as momentum,
    nadam as nadam,
    nadamw as nadamw,
    nesterov as nesterov,
    rmsprop as rmsprop,
    sgd as sgd,
)
from jaxgd.optim.piecewise import (
    cosine_onecycle_schedule as cosine_onecycle_schedule,
    join_schedules as join_schedules,
    linear_onecycle_schedule as linear_onecycle_schedule,
    piecewise_constant_schedule as piecewise_constant_schedule,
    piecewise_interpolate_schedule as piecewise_interpolate_schedule,
    sgdr_schedule as sgdr_schedule,
)
from jaxgd.optim.roles import (
    Decay as Decay,
    Dtype as Dtype,
    Finite as Finite,
    Fraction as Fraction,
    Mask as Mask,
    NotNegative as NotNegative,
    Positive as Positive,
    Rate as Rate,
    Strength as Strength,
    Switch as Switch,
)
from jaxgd.optim.schedules import (
    Schedule as Schedule,
    constant_schedule as constant_schedule,
    cosine_decay_schedule as cosine_decay_schedule,
    exponential_decay as exponential_decay,
    inverse_time_decay as inverse_time_decay,
    linear_schedule as linear_schedule,
    polynomial_schedule as polynomial_schedule,
    step_decay as step_decay,
    warmup_constant_schedule as warmup_constant_schedule,
    warmup_cosine_decay_schedule as warmup_cosine_decay_schedule,
    warmup_exponential_decay_schedule as warmup_exponential_decay_schedule,
)
from jaxgd.optim.transform import (
    Kind as Kind,
    Transform as Transform,
    apply_updates as apply_updates,
)
from jaxgd.pytrees import (
    stack as stack,
)

__all__ = [name for name in dir() if name[0] != "_" and not inspect.ismodule(globals()[name])]  # pyright: ignore[reportUnsupportedDunderAll]
