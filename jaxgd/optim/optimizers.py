"""The named optimizers: one function each, with signature, docstring and the recursion's coefficients.

Names that Optax has keep Optax's signature, recursion and state, so that one can replace the other,
checkpoint included. Sources of the formulas are in each docstring.
"""

from dataclasses import replace

from jaxgd.optim import layouts
from jaxgd.optim.layouts import optimizer
from jaxgd.optim.moments import Coefficients
from jaxgd.optim.roles import Decay, Dtype, Fraction, Mask, NotNegative, Offset, Rate, Strength, Switch


@optimizer(layouts.heavy_ball)
def sgd(
    learning_rate: Rate,
    momentum: Fraction | None = None,
    nesterov: Switch = False,
    accumulator_dtype: Dtype | None = None,
) -> Coefficients:
    """Gradient descent: `p <- p - learning_rate * g`; with `momentum`, g becomes `m <- momentum * m + g`.

    The gradient's batch decides what it is called: batch gradient descent on all examples, stochastic
    gradient descent on one, mini-batch gradient descent between.

    Args:
        learning_rate: number, 0 or more, or schedule.
        momentum: decay of the sum of gradients, at least 0 and below 1; None for none.
        nesterov: look ahead: the step is `g + momentum * m`.
        accumulator_dtype: dtype of the sum of gradients, the parameters' if None.

    Source: Robbins and Monro 1951; Polyak 1964; Sutskever et al. 2013.
    """
    return _heavy_ball(learning_rate, momentum, nesterov, accumulator_dtype)


@optimizer(layouts.heavy_ball)
def momentum(learning_rate: Rate, momentum: Fraction = 0.9) -> Coefficients:
    """Heavy-ball gradient descent: `m <- momentum * m + g; p <- p - learning_rate * m`.

    The rate is outside the sum, as in Optax and PyTorch: with momentum 0.9 a constant gradient moves the
    parameters 10 times as far as plain SGD does.

    Args:
        learning_rate: number, 0 or more, or schedule.
        momentum: at least 0 and below 1.

    Source: Polyak 1964, "Some methods of speeding up the convergence of iteration methods".
    """
    return _heavy_ball(learning_rate, momentum, False)


@optimizer(layouts.heavy_ball)
def nesterov(learning_rate: Rate, momentum: Fraction = 0.9) -> Coefficients:
    """Nesterov's accelerated gradient: `m <- momentum * m + g; p <- p - learning_rate * (g + momentum * m)`.

    Args:
        learning_rate: number, 0 or more, or schedule.
        momentum: at least 0 and below 1.

    Source: Nesterov 1983, in the form of Sutskever et al. 2013, equations 3 and 4.
    """
    return _heavy_ball(learning_rate, momentum, True)


@optimizer(layouts.adagrad)
def adagrad(
    learning_rate: Rate, initial_accumulator_value: NotNegative = 0.1, eps: NotNegative = 1e-7
) -> Coefficients:
    """Adagrad: `v <- v + g**2; p <- p - learning_rate * g / sqrt(v + eps)`.

    Args:
        learning_rate: number, 0 or more, or schedule.
        initial_accumulator_value: v before the first update.
        eps: added under the root (PyTorch adds its outside).

    Source: Duchi, Hazan and Singer 2011.
    """
    start = {"v_start": initial_accumulator_value, "v_in": 1.0}
    return Coefficients(learning_rate=learning_rate, zero_where_unseen=True, eps_in=eps, **start)


@optimizer(layouts.rmsprop)
def rmsprop(
    learning_rate: Rate,
    decay: Decay = 0.9,
    eps: NotNegative = 1e-8,
    initial_scale: Offset = 0.0,
    eps_in_sqrt: Switch = True,
    centered: Switch = False,
    momentum: Fraction | None = None,
    nesterov: Switch = False,
    bias_correction: Switch = False,
) -> Coefficients:
    """RMSprop: `v <- decay * v + (1 - decay) * g**2; p <- p - learning_rate * g / sqrt(v + eps)`.

    Args:
        learning_rate: number, 0 or more, or schedule.
        decay: at least 0 and below 1.
        eps: added under the root, or to it if `eps_in_sqrt` is False (PyTorch's form).
        initial_scale: v before the first update.
        eps_in_sqrt: where eps goes.
        centered: subtract the squared running mean of the gradient from v.
        momentum: decay of a velocity of the scaled steps; None for none.
        nesterov: look ahead along that velocity.
        bias_correction: divide v (and the mean) by `1 - decay**t`.

    Source: Hinton 2012, lecture 6e; centered: Graves 2013.
    """
    mean = _first_moment(decay, bias_correction) if centered else {}
    return Coefficients(
        **mean,
        **_second_moment(decay, bias_correction),
        v_start=initial_scale,
        centered=centered,
        eps_in=eps if eps_in_sqrt else None,
        eps_out=None if eps_in_sqrt else eps,
        learning_rate=learning_rate,
        velocity_decay=momentum,
        velocity_nesterov=nesterov,
    )


@optimizer(layouts.adadelta)
def adadelta(
    learning_rate: Rate = 1.0,
    rho: Decay = 0.9,
    eps: NotNegative = 1e-6,
    weight_decay: Strength | None = None,
    weight_decay_mask: Mask | None = None,
) -> Coefficients:
    """Adadelta: `p <- p - learning_rate * u` with `u = g * sqrt(d + eps) / sqrt(v + eps)`.

    v and d are the running means of g**2 and of u**2: `v <- rho * v + (1 - rho) * g**2`.

    Args:
        learning_rate: number, 0 or more, or schedule; 1.0 is the paper's. (Optax's default is None, with
            which its updates are not negated and ascend.)
        rho: decay of both means, at least 0 and below 1.
        eps: added under both roots.
        weight_decay: added to the gradient as `weight_decay * p`; number or schedule. None for none, which
            gives the numbers of Optax's 0.0 and needs no temporary of the parameters' size.
        weight_decay_mask: tree of booleans, or a function of the parameters that gives one: where to decay.

    Source: Zeiler 2012, algorithm 1.
    """
    return Coefficients(
        **_second_moment(rho, debias=False),
        l2=weight_decay,
        mask=weight_decay_mask,
        d_decay=rho.rate,
        d_in=rho.complement,
        eps_in=eps,
        learning_rate=learning_rate,
    )


@optimizer(layouts.adam)
def adam(
    learning_rate: Rate,
    b1: Decay = 0.9,
    b2: Decay = 0.999,
    eps: NotNegative = 1e-8,
    eps_root: Offset = 0.0,
    mu_dtype: Dtype | None = None,
    *,
    nesterov: Switch = False,
) -> Coefficients:
    """Adam: `p <- p - learning_rate * m^ / (sqrt(v^ + eps_root) + eps)`.

    m^ and v^ are the moments `m <- b1 m + (1 - b1) g` and `v <- b2 v + (1 - b2) g**2`, divided by
    `1 - b1**t` and `1 - b2**t`.

    Args:
        learning_rate: number, 0 or more, or schedule.
        b1: decay of the first moment, at least 0 and below 1.
        b2: decay of the second moment, at least 0 and below 1.
        eps: added to the root.
        eps_root: added under the root.
        mu_dtype: dtype of the first moment, the parameters' if None.
        nesterov: Nadam's numerator.

    Source: Kingma and Ba 2015, algorithm 1.
    """
    return _adam(learning_rate, b1, b2, eps, eps_root, mu_dtype, nesterov)


@optimizer(layouts.adam)
def adamw(
    learning_rate: Rate,
    b1: Decay = 0.9,
    b2: Decay = 0.999,
    eps: NotNegative = 1e-8,
    eps_root: Offset = 0.0,
    mu_dtype: Dtype | None = None,
    weight_decay: Strength = 1e-4,
    mask: Mask | None = None,
    *,
    nesterov: Switch = False,
) -> Coefficients:
    """Adam with decoupled weight decay: `p <- p - learning_rate * (adam's direction + weight_decay * p)`.

    Args:
        learning_rate: number, 0 or more, or schedule.
        b1: decay of the first moment, at least 0 and below 1.
        b2: decay of the second moment, at least 0 and below 1.
        eps: added to the root.
        eps_root: added under the root.
        mu_dtype: dtype of the first moment, the parameters' if None.
        weight_decay: number, 0 or more, or schedule; the learning rate multiplies it.
        mask: tree of booleans, or a function of the parameters that gives one: where to decay.
        nesterov: Nadam's numerator.

    Source: Loshchilov and Hutter 2019, algorithm 2.
    """
    c = _adam(learning_rate, b1, b2, eps, eps_root, mu_dtype, nesterov)
    return replace(c, weight_decay=weight_decay, mask=mask)


def _check_look_ahead(h):
    if h.momentum_decay is not None and not h.nesterov:
        raise ValueError("momentum_decay needs nesterov=True: it is the schedule of the look-ahead")


@optimizer(layouts.adam, check=_check_look_ahead)
def nadam(
    learning_rate: Rate,
    b1: Decay = 0.9,
    b2: Decay = 0.999,
    eps: NotNegative = 1e-8,
    eps_root: Offset = 0.0,
    mu_dtype: Dtype | None = None,
    *,
    nesterov: Switch = True,
    momentum_decay: NotNegative | None = None,
) -> Coefficients:
    """Adam with Nesterov's look-ahead: its m^ is `b1 * m / (1 - b1**(t + 1)) + (1 - b1) * g / (1 - b1**t)`.

    Args:
        learning_rate: number, 0 or more, or schedule.
        b1: decay of the first moment, at least 0 and below 1.
        b2: decay of the second moment, at least 0 and below 1.
        eps: added to the root.
        eps_root: added under the root.
        mu_dtype: dtype of the first moment, the parameters' if None.
        nesterov: False gives Adam.
        momentum_decay: None keeps b1 constant in m^, as Optax does. A number gives Dozat's schedule there
            (PyTorch's is 0.004, Keras' 1): update t uses `b1 * (1 - 0.96**(t * momentum_decay) / 2)`.

    Source: Dozat 2016.
    """
    c = _adam(learning_rate, b1, b2, eps, eps_root, mu_dtype, nesterov and momentum_decay is None)
    return c if momentum_decay is None else replace(c, momentum_decay=momentum_decay, from_g=1.0)


@optimizer(layouts.adam)
def nadamw(
    learning_rate: Rate,
    b1: Decay = 0.9,
    b2: Decay = 0.999,
    eps: NotNegative = 1e-8,
    eps_root: Offset = 0.0,
    mu_dtype: Dtype | None = None,
    weight_decay: Strength = 1e-4,
    mask: Mask | None = None,
    *,
    nesterov: Switch = True,
) -> Coefficients:
    """Nadam with decoupled weight decay: `p <- p - learning_rate * (nadam's direction + weight_decay * p)`.

    Args:
        learning_rate: number, 0 or more, or schedule.
        b1: decay of the first moment, at least 0 and below 1.
        b2: decay of the second moment, at least 0 and below 1.
        eps: added to the root.
        eps_root: added under the root.
        mu_dtype: dtype of the first moment, the parameters' if None.
        weight_decay: number, 0 or more, or schedule; the learning rate multiplies it.
        mask: tree of booleans, or a function of the parameters that gives one: where to decay.
        nesterov: False gives AdamW.

    Source: Dozat 2016; Loshchilov and Hutter 2019.
    """
    c = _adam(learning_rate, b1, b2, eps, eps_root, mu_dtype, nesterov)
    return replace(c, weight_decay=weight_decay, mask=mask)


@optimizer(layouts.amsgrad)
def amsgrad(
    learning_rate: Rate,
    b1: Decay = 0.9,
    b2: Decay = 0.999,
    eps: NotNegative = 1e-8,
    eps_root: Offset = 0.0,
    mu_dtype: Dtype | None = None,
    bias_correction_mu: Switch = True,
    bias_correction_nu: Switch = True,
) -> Coefficients:
    """Adam with the largest v^ so far in the place of v^: the steps never grow again.

    Args:
        learning_rate: number, 0 or more, or schedule.
        b1: decay of the first moment, at least 0 and below 1.
        b2: decay of the second moment, at least 0 and below 1.
        eps: added to the root.
        eps_root: added under the root.
        mu_dtype: dtype of the first moment, the parameters' if None.
        bias_correction_mu: divide m by `1 - b1**t`.
        bias_correction_nu: divide v by `1 - b2**t`, before the largest is taken.

    Source: Reddi, Kale and Kumar 2018, algorithm 2, which corrects neither moment.
    """
    return replace(
        _adam(learning_rate, b1, b2, eps, eps_root, mu_dtype),
        keeps_maximum=True,
        m_debias=b1.complement if bias_correction_mu else None,
        v_debias=b2.complement if bias_correction_nu else None,
    )


@optimizer(layouts.adam)
def adamax(learning_rate: Rate, b1: Decay = 0.9, b2: Decay = 0.999, eps: NotNegative = 1e-8) -> Coefficients:
    """Adam with the infinity norm: `v <- max(b2 * v, |g| + eps); p <- p - learning_rate * m^ / v`.

    Args:
        learning_rate: number, 0 or more, or schedule.
        b1: decay of the first moment, at least 0 and below 1.
        b2: decay of the norm, at least 0 and below 1.
        eps: added to the gradient's absolute value.

    Source: Kingma and Ba 2015, algorithm 2.
    """
    return _adamax(learning_rate, b1, b2, eps)


@optimizer(layouts.adam)
def adamaxw(
    learning_rate: Rate,
    b1: Decay = 0.9,
    b2: Decay = 0.999,
    eps: NotNegative = 1e-8,
    weight_decay: Strength = 1e-4,
    mask: Mask | None = None,
) -> Coefficients:
    """Adamax with decoupled weight decay: `p <- p - learning_rate * (adamax's direction + weight_decay * p)`.

    Args:
        learning_rate: number, 0 or more, or schedule.
        b1: decay of the first moment, at least 0 and below 1.
        b2: decay of the norm, at least 0 and below 1.
        eps: added to the gradient's absolute value.
        weight_decay: number, 0 or more, or schedule; the learning rate multiplies it.
        mask: tree of booleans, or a function of the parameters that gives one: where to decay.

    Source: Kingma and Ba 2015, algorithm 2; Loshchilov and Hutter 2019.
    """
    return replace(_adamax(learning_rate, b1, b2, eps), weight_decay=weight_decay, mask=mask)


def _heavy_ball(rate, momentum, look_ahead, mu_dtype=None):
    if momentum is None:
        return Coefficients(learning_rate=rate, mu_dtype=mu_dtype)
    ahead = {"from_m": momentum, "from_g": 1.0} if look_ahead else {}
    return Coefficients(m_decay=momentum, m_in=1.0, learning_rate=rate, mu_dtype=mu_dtype, **ahead)


def _first_moment(b1, debias=True):
    return {"m_decay": b1.rate, "m_in": b1.complement, "m_debias": b1.complement if debias else None}


def _second_moment(b2, debias=True):
    return {"v_decay": b2.rate, "v_in": b2.complement, "v_debias": b2.complement if debias else None}


def _adam(rate, b1, b2, eps, eps_root, mu_dtype, look_ahead=False):
    moments = _first_moment(b1) | _second_moment(b2)
    ahead = {"from_m": b1.rate, "from_g": b1.complement, "lookahead": True} if look_ahead else {}
    return Coefficients(
        learning_rate=rate, eps_in=eps_root, eps_out=eps, mu_dtype=mu_dtype, **moments, **ahead
    )


def _adamax(rate, b1, b2, eps):
    numbers = _first_moment(b1) | {"v_decay": b2.rate, "v_in": 1.0}
    return Coefficients(learning_rate=rate, infinity_norm=True, eps_in=eps, **numbers)
