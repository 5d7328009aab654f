"""An optimizer is one function: the decorator, and what it makes of coefficients."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgd import optim
from jaxgd.optim import layouts
from jaxgd.optim.layouts import Recursion, optimizer
from jaxgd.optim.moments import Coefficients
from jaxgd.optim.roles import Decay, Fraction, Rate, Switch


@optimizer(layouts.adam)
def halved(learning_rate: Rate, b1: Decay = 0.5, *, is_slow: Switch = False, share: Fraction | None = None):
    """The mean of the gradient, and half of it where it is slow."""
    rate = learning_rate if share is None else share * learning_rate
    mean = {"m_decay": b1.rate, "m_in": b1.complement}
    return Coefficients(learning_rate=0.5 * rate if is_slow else rate, v_in=0.0, eps_out=1.0, **mean)


def test_an_optimizer_of_ones_own():
    params = jnp.array([1.0, -2.0])
    slow = halved(0.2, is_slow=True)
    assert repr(slow) == "halved(learning_rate=0.2, b1=0.5, is_slow=True)"
    assert (slow.b1, slow.one_minus_b1) == (0.5, 0.5)
    updates, state = jax.jit(lambda o, p: o.update(p, o.init(p), p))(slow, params)
    np.testing.assert_allclose(updates, -0.1 * 0.5 * params)
    assert isinstance(state[0], optax.ScaleByAdamState)
    with pytest.raises(ValueError, match="b1 must be finite and at least 0 and below 1, got 1"):
        halved(0.1, 1.0)
    with pytest.raises(ValueError, match="share must be finite and at least 0 and below 1"):
        halved(0.1, share=2.0)
    with pytest.raises(TypeError, match=r"halved\(\) got an unexpected keyword argument 'slow'"):
        halved(0.1, slow=True)
    with pytest.raises(TypeError, match=r"halved\(\) missing a required argument: 'learning_rate'"):
        halved()
    with pytest.raises(
        TypeError,
        match=r"^halved\(\) got an unexpected keyword argument 'lr'; did you mean 'learning_rate'\?",
    ):
        halved(lr=0.1)


def test_coefficients_are_plain_data():
    numbers = optim.nesterov(0.1, 0.5).coefficients
    assert (numbers.learning_rate, numbers.m_decay, numbers.from_m, numbers.v_in) == (0.1, 0.5, 0.5, None)
    assert isinstance(optim.adamw(0.1), Recursion)
    assert not isinstance(optim.lion(0.1), Recursion)


def test_a_check_holds_after_a_change_too():
    optimizer = optim.nadam(0.1, momentum_decay=0.004)
    with pytest.raises(ValueError, match="momentum_decay needs nesterov=True"):
        optimizer.replace(nesterov=False)
