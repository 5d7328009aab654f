"""Bad values are refused when the optimizer is built, in one line that names the argument."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgd import optim

NAN, INF = float("nan"), float("inf")
NOT_NEGATIVE = "must be finite and 0 or more"
FRACTION = "must be finite and at least 0 and below 1"
NUMBER = "must be a number, an array or a schedule"
SWITCH = "must be True or False"
NAMED = (
    "sgd",
    "momentum",
    "nesterov",
    "adagrad",
    "rmsprop",
    "adadelta",
    "adam",
    "adamw",
    "nadam",
    "nadamw",
    "amsgrad",
    "adamax",
    "adamaxw",
)
BAD = [
    *((name, "learning_rate", value, NOT_NEGATIVE) for name in NAMED for value in (-1, NAN, INF)),
    *((name, "learning_rate", value, NUMBER) for name in NAMED for value in (None, "0.1", True)),
    *(
        (name, "momentum", value, FRACTION)
        for name in ("sgd", "momentum", "rmsprop")
        for value in (1, -0.1, NAN)
    ),
    *(
        (name, "b1", value, FRACTION)
        for name in ("adam", "adamw", "nadam")
        for value in (1.0, 1.5, -0.1, NAN)
    ),
    *((name, "b2", value, FRACTION) for name in ("adam", "nadamw") for value in (1, 2.0, -1e-9, INF)),
    *(
        (name, "eps", value, NOT_NEGATIVE)
        for name in ("adagrad", "rmsprop", "adadelta", "adam")
        for value in (-1e-8, NAN)
    ),
    ("adam", "b1", optim.constant_schedule(0.9), NUMBER),
    ("adam", "b1", None, NUMBER),
    ("adam", "eps_root", -1.0, NOT_NEGATIVE),
    ("adam", "mu_dtype", "float33", "must be a dtype"),
    ("adam", "nesterov", 1, SWITCH),
    ("adam", "learning_rate", 1 + 2j, NUMBER),
    ("adam", "learning_rate", [0.1, 0.2], NUMBER),
    ("adam", "learning_rate", np.array([0.1, -0.2]), NOT_NEGATIVE),
    ("adam", "learning_rate", jnp.float32(-1), NOT_NEGATIVE),
    ("adam", "learning_rate", np.True_, NUMBER),
    ("adamw", "weight_decay", -1e-4, NOT_NEGATIVE),
    ("adadelta", "weight_decay", NAN, NOT_NEGATIVE),
    ("adadelta", "rho", 1.0, FRACTION),
    ("rmsprop", "decay", 1.0, FRACTION),
    ("rmsprop", "decay", lambda count: 0.9, NUMBER),
    ("rmsprop", "initial_scale", -1, NOT_NEGATIVE),
    ("rmsprop", "centered", "yes", SWITCH),
    ("rmsprop", "eps_in_sqrt", None, SWITCH),
    ("rmsprop", "bias_correction", 0, SWITCH),
    ("adagrad", "initial_accumulator_value", -0.1, NOT_NEGATIVE),
    ("sgd", "nesterov", 0.9, SWITCH),
    ("momentum", "momentum", None, NUMBER),
    ("nadam", "momentum_decay", -0.004, NOT_NEGATIVE),
    ("amsgrad", "bias_correction_nu", 1, SWITCH),
    ("adamax", "b2", 1.0, FRACTION),
]


@pytest.mark.parametrize(("name", "argument", "value", "allowed"), BAD, ids=lambda value: str(value)[:20])
@pytest.mark.parametrize("how", ["build", "replace"])
def test_refused(name, argument, value, allowed, how):
    build = getattr(optim, name)
    with pytest.raises((ValueError, TypeError), match=allowed) as error:
        build(**{"learning_rate": 0.1, argument: value}) if how == "build" else build(0.1).replace(
            **{argument: value}
        )
    assert "\n" not in str(error.value)
    assert str(error.value).startswith(argument)


def test_many_bad_values_are_tried():
    assert len(BAD) >= 60


def test_tracers_are_not_looked_at():
    assert jax.jit(lambda rate: optim.adam(rate).learning_rate)(-1.0) == -1.0


@pytest.mark.parametrize("name", NAMED)
def test_a_negative_rate_names_the_way_to_ascend(name):
    with pytest.raises(ValueError, match=r"got -0\.1; for ascent use chain\(adam\(r\), scale\(-1\.0\)\)"):
        getattr(optim, name)(-0.1)


def test_a_schedules_values_are_not_looked_at():
    assert optim.sgd(optim.constant_schedule(-0.1)).learning_rate(0) < 0


def test_momentum_decay_belongs_to_the_look_ahead():
    with pytest.raises(ValueError, match="momentum_decay needs nesterov=True"):
        optim.nadam(0.1, nesterov=False, momentum_decay=0.004)


@pytest.mark.parametrize("arguments", [{"lr": 0.1}, {}])
def test_wrong_arguments(arguments):
    with pytest.raises(TypeError):
        optim.adam(**arguments)
