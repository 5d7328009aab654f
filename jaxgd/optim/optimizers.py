"""The named optimizers: docstrings and signatures; `family` holds what each of them computes.

Names that Optax has keep Optax's signature, recursion and state, so that one can replace the other,
checkpoint included. Sources of the formulas are in each docstring.
"""

from typing import Any

import optax

from jaxgd.optim.family import build
from jaxgd.optim.transform import Transform


def sgd(
    learning_rate: optax.ScalarOrSchedule,
    momentum: Any = None,
    nesterov: bool = False,
    accumulator_dtype: Any = None,
) -> Transform:
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
    return build("sgd", locals())


def momentum(learning_rate: optax.ScalarOrSchedule, momentum: Any = 0.9) -> Transform:
    """Heavy-ball gradient descent: `m <- momentum * m + g; p <- p - learning_rate * m`.

    The rate is outside the sum, as in Optax and PyTorch: with momentum 0.9 a constant gradient moves the
    parameters 10 times as far as plain SGD does.

    Args:
        learning_rate: number, 0 or more, or schedule.
        momentum: at least 0 and below 1.

    Source: Polyak 1964, "Some methods of speeding up the convergence of iteration methods".
    """
    return build("momentum", locals())


def nesterov(learning_rate: optax.ScalarOrSchedule, momentum: Any = 0.9) -> Transform:
    """Nesterov's accelerated gradient: `m <- momentum * m + g; p <- p - learning_rate * (g + momentum * m)`.

    Args:
        learning_rate: number, 0 or more, or schedule.
        momentum: at least 0 and below 1.

    Source: Nesterov 1983, in the form of Sutskever et al. 2013, equations 3 and 4.
    """
    return build("nesterov", locals())


def adagrad(
    learning_rate: optax.ScalarOrSchedule, initial_accumulator_value: Any = 0.1, eps: Any = 1e-7
) -> Transform:
    """Adagrad: `v <- v + g**2; p <- p - learning_rate * g / sqrt(v + eps)`.

    Args:
        learning_rate: number, 0 or more, or schedule.
        initial_accumulator_value: v before the first update.
        eps: added under the root (PyTorch adds its outside).

    Source: Duchi, Hazan and Singer 2011.
    """
    return build("adagrad", locals())


def rmsprop(
    learning_rate: optax.ScalarOrSchedule,
    decay: Any = 0.9,
    eps: Any = 1e-8,
    initial_scale: Any = 0.0,
    eps_in_sqrt: bool = True,
    centered: bool = False,
    momentum: Any = None,
    nesterov: bool = False,
    bias_correction: bool = False,
) -> Transform:
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
    return build("rmsprop", locals())


def adadelta(
    learning_rate: optax.ScalarOrSchedule = 1.0,
    rho: Any = 0.9,
    eps: Any = 1e-6,
    weight_decay: Any = None,
    weight_decay_mask: Any = None,
) -> Transform:
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
    return build("adadelta", locals())


def adam(
    learning_rate: optax.ScalarOrSchedule,
    b1: Any = 0.9,
    b2: Any = 0.999,
    eps: Any = 1e-8,
    eps_root: Any = 0.0,
    mu_dtype: Any = None,
    *,
    nesterov: bool = False,
) -> Transform:
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
    return build("adam", locals())


def adamw(
    learning_rate: optax.ScalarOrSchedule,
    b1: Any = 0.9,
    b2: Any = 0.999,
    eps: Any = 1e-8,
    eps_root: Any = 0.0,
    mu_dtype: Any = None,
    weight_decay: Any = 1e-4,
    mask: Any = None,
    *,
    nesterov: bool = False,
) -> Transform:
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
    return build("adamw", locals())


def nadam(
    learning_rate: optax.ScalarOrSchedule,
    b1: Any = 0.9,
    b2: Any = 0.999,
    eps: Any = 1e-8,
    eps_root: Any = 0.0,
    mu_dtype: Any = None,
    *,
    nesterov: bool = True,
    momentum_decay: Any = None,
) -> Transform:
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
    arguments = locals()
    if momentum_decay is not None and not nesterov:
        raise ValueError("momentum_decay needs nesterov=True: it is the schedule of the look-ahead")
    return build("nadam", arguments)


def nadamw(
    learning_rate: optax.ScalarOrSchedule,
    b1: Any = 0.9,
    b2: Any = 0.999,
    eps: Any = 1e-8,
    eps_root: Any = 0.0,
    mu_dtype: Any = None,
    weight_decay: Any = 1e-4,
    mask: Any = None,
    *,
    nesterov: bool = True,
) -> Transform:
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
    return build("nadamw", locals())


def amsgrad(
    learning_rate: optax.ScalarOrSchedule,
    b1: Any = 0.9,
    b2: Any = 0.999,
    eps: Any = 1e-8,
    eps_root: Any = 0.0,
    mu_dtype: Any = None,
    bias_correction_mu: bool = True,
    bias_correction_nu: bool = True,
) -> Transform:
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
    return build("amsgrad", locals())


def adamax(
    learning_rate: optax.ScalarOrSchedule, b1: Any = 0.9, b2: Any = 0.999, eps: Any = 1e-8
) -> Transform:
    """Adam with the infinity norm: `v <- max(b2 * v, |g| + eps); p <- p - learning_rate * m^ / v`.

    Args:
        learning_rate: number, 0 or more, or schedule.
        b1: decay of the first moment, at least 0 and below 1.
        b2: decay of the norm, at least 0 and below 1.
        eps: added to the gradient's absolute value.

    Source: Kingma and Ba 2015, algorithm 2.
    """
    return build("adamax", locals())


def adamaxw(
    learning_rate: optax.ScalarOrSchedule,
    b1: Any = 0.9,
    b2: Any = 0.999,
    eps: Any = 1e-8,
    weight_decay: Any = 1e-4,
    mask: Any = None,
) -> Transform:
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
    return build("adamaxw", locals())
