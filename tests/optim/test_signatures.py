"""The arguments of every public function, which are Optax's where the name is."""

import inspect

import optax
import pytest

from jaxgd import optim

SIGNATURES = {
    "sgd": "learning_rate, momentum=None, nesterov=False, accumulator_dtype=None",
    "momentum": "learning_rate, momentum=0.9",
    "nesterov": "learning_rate, momentum=0.9",
    "adagrad": "learning_rate, initial_accumulator_value=0.1, eps=1e-07",
    "rmsprop": "learning_rate, decay=0.9, eps=1e-08, initial_scale=0.0, eps_in_sqrt=True, centered=False, "
    "momentum=None, nesterov=False, bias_correction=False",
    "adadelta": "learning_rate=1.0, rho=0.9, eps=1e-06, weight_decay=None, weight_decay_mask=None",
    "adam": "learning_rate, b1=0.9, b2=0.999, eps=1e-08, eps_root=0.0, mu_dtype=None, *, nesterov=False",
    "adamw": "learning_rate, b1=0.9, b2=0.999, eps=1e-08, eps_root=0.0, mu_dtype=None, weight_decay=0.0001, "
    "mask=None, *, nesterov=False",
    "nadam": "learning_rate, b1=0.9, b2=0.999, eps=1e-08, eps_root=0.0, mu_dtype=None, *, nesterov=True, "
    "momentum_decay=None",
    "nadamw": "learning_rate, b1=0.9, b2=0.999, eps=1e-08, eps_root=0.0, mu_dtype=None, weight_decay=0.0001, "
    "mask=None, *, nesterov=True",
    "amsgrad": "learning_rate, b1=0.9, b2=0.999, eps=1e-08, eps_root=0.0, mu_dtype=None, "
    "bias_correction_mu=True, bias_correction_nu=True",
    "adamax": "learning_rate, b1=0.9, b2=0.999, eps=1e-08",
    "adamaxw": "learning_rate, b1=0.9, b2=0.999, eps=1e-08, weight_decay=0.0001, mask=None",
    "clip_by_global_norm": "max_norm",
    "soft_threshold": "threshold",
    "track_gradient_norms": "micro_batches",
    "scale_by_moments": "*, m_decay=None, m_in=None, v_decay=None, v_in=None, eps_in=None, eps_out=None, "
    "velocity_decay=None",
    "chain": "*transforms",
    "named_chain": "*transforms",
    "masked": "inner, mask",
    "partition": "transforms, param_labels",
    "freeze": "mask",
    "selective_transform": "optimizer, *, freeze_mask",
    "current_learning_rate": "optimizer, state",
    "from_optax": "factory, /, *args, **kwargs",
    "generalize": "optimizer",
    "make_update": "optimizer, loss",
    "stack": "items",
    "apply_updates": "params, updates",
    "constant_schedule": "value",
    "exponential_decay": "init_value, transition_steps, decay_rate, transition_begin=0, staircase=False, "
    "end_value=None",
    "inverse_time_decay": "init_value, transition_steps, decay_rate, transition_begin=0, staircase=False",
    "step_decay": "init_value, transition_steps, decay_rate=0.1",
    "cosine_decay_schedule": "init_value, decay_steps, alpha=0.0, exponent=1.0",
    "linear_schedule": "init_value, end_value, transition_steps, transition_begin=0",
    "polynomial_schedule": "init_value, end_value, power, transition_steps, transition_begin=0",
    "warmup_constant_schedule": "init_value, peak_value, warmup_steps",
    "warmup_cosine_decay_schedule": "init_value, peak_value, warmup_steps, decay_steps, end_value=0.0, "
    "exponent=1.0",
    "warmup_exponential_decay_schedule": "init_value, peak_value, warmup_steps, transition_steps, "
    "decay_rate, transition_begin=0, staircase=False, end_value=None",
    "join_schedules": "schedules, boundaries",
    "sgdr_schedule": "cosine_kwargs",
    "piecewise_constant_schedule": "init_value, boundaries_and_scales=None",
    "piecewise_interpolate_schedule": "interpolate_type, init_value, boundaries_and_scales=None",
    "linear_onecycle_schedule": "transition_steps, peak_value, pct_start=0.3, pct_final=0.85, "
    "div_factor=25.0, final_div_factor=10000.0",
    "cosine_onecycle_schedule": "transition_steps, peak_value, pct_start=0.3, div_factor=25.0, "
    "final_div_factor=10000.0",
}
FUNCTIONS = [name for name in optim.__all__ if inspect.isfunction(getattr(optim, name))]


def shown(function):
    """The signature without annotations."""
    signature = inspect.signature(function)
    bare = [p.replace(annotation=p.empty) for p in signature.parameters.values()]
    return str(inspect.Signature(bare))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_signatures(name):
    function = getattr(optim, name)
    expected = shown(getattr(optax, name)) if name not in SIGNATURES else f"({SIGNATURES[name]})"
    assert shown(function) == expected
    assert function.__doc__
    assert function.__name__ == name
    types = [p.annotation for p in inspect.signature(function).parameters.values()]
    assert not [one for one in types if "Annotated" in repr(one)]


def test_what_a_decorated_function_returns_is_said():
    assert inspect.signature(optim.adam).return_annotation is optim.Transform
    assert inspect.signature(optim.step_decay).return_annotation is optim.Schedule
    assert optim.adam.__annotations__["nesterov"] is bool
