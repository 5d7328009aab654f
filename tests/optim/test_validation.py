"""Bad values are refused when the optimizer is built, in one line that names the argument."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgd import optim
from jaxgd.optim.combining import check_direction

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


class Halving:
    """A schedule that is an object."""

    def __call__(self, step):
        return 0.5**step


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        (lambda: 0.1, r"<lambda> takes \(\)"),
        (
            optim.cosine_decay_schedule,
            r"cosine_decay_schedule takes \(init_value, decay_steps, alpha, exponent\)",
        ),
        (lambda step, epoch: 0.1, r"<lambda> takes \(step, epoch\)"),
    ],
)
def test_a_schedule_is_a_function_of_a_count_alone(schedule, said):
    with pytest.raises(TypeError, match=rf"^learning_rate must be .*, schedule\(step\); {said}: call it"):
        optim.adam(schedule)


@pytest.mark.parametrize(
    "schedule", [Halving(), lambda step, low=0.1: low, optim.constant_schedule(0.1), abs]
)
def test_any_function_of_a_count_is_a_schedule(schedule):
    assert callable(optim.adam(schedule).learning_rate)


def test_a_chain_without_a_rate_goes_uphill():
    clip = optim.clip_by_global_norm(1.0)
    for uphill in [
        optax.scale_by_adam(),
        optax.adadelta(),  # whose rate is None
        optax.chain(optax.clip(1.0), optax.chain(optax.scale_by_rms())),
        optim.chain(clip, optim.from_optax(optax.scale_by_lion)),
    ]:
        with pytest.raises(ValueError, match=r"^optimizer has scale_by_\w+ and no learning rate"):
            check_direction(uphill)


@pytest.mark.parametrize(
    "optimizer",
    [
        optax.adam(0.1),
        optax.adafactor(0.1),
        optax.lbfgs(),
        optax.chain(optax.scale_by_adam(), optax.scale(0.1)),  # uphill, and perhaps meant so
        optax.identity(),
        optax.MultiSteps(optax.adam(0.1), 2),
        optim.chain(optax.scale_by_adam(), optim.scale_by_learning_rate(0.1)),
        optim.chain(optim.adam(0.1), optax.scale_by_trust_ratio()),
        optim.adam(0.1).as_optax(),
    ],
)
def test_what_has_a_rate_or_a_factor_may_go_where_it_will(optimizer):
    check_direction(optimizer)
