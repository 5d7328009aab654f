"""One of each thing that CONTRIBUTING tells how to add, added from outside by one function each."""

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import plotly.graph_objects as go
import pytest

import jaxgd
from jaxgd.optim import Decay, Kind, Rate, Transform
from jaxgd.reports.page import Section, sections_page

INPUTS = np.random.default_rng(0).normal(size=(32, 3)).astype(np.float32)
TARGETS = (INPUTS @ np.array([1.0, -2.0, 0.5], np.float32))[:, None]


def scaled_sign(learning_rate, b1=0.9):
    """An optimizer."""
    return Transform.build(SCALED_SIGN, learning_rate=learning_rate, b1=b1)


def _sign_init(h, params):
    return jax.tree.map(jnp.zeros_like, params)


def _sign_update(h, gradients, mean, params=None, **extra):
    mean = jax.tree.map(lambda m, g: h.b1 * m + h.one_minus_b1 * g, mean, gradients)
    return jax.tree.map(lambda m: -h.learning_rate * jnp.sign(m), mean), mean


SCALED_SIGN = Kind("scaled_sign", _sign_init, _sign_update, arguments={"learning_rate": Rate, "b1": Decay})


class GradientSum(jaxgd.Rule):
    """A rule: the running sum of the gradients' squared norms, in the history, and a stop beyond `most`."""

    most: float
    acts_on_updates: ClassVar[bool] = True
    reads: ClassVar[tuple[str, ...]] = ("squared_norm",)

    def init(self, seen):
        return jnp.zeros(())

    def after_update(self, own, seen):
        return own + seen.squared_norm

    def history_names(self, problem):
        return ("gradient_sum",)

    def measure(self, own, seen, state):
        return {"gradient_sum": own}

    def after_epoch(self, own, seen, state, row):
        return own, jnp.where(own > self.most, 3, 0)


def quadratic_features(power):
    """A model: linear in powers of its inputs."""
    init = lambda key: jnp.zeros((3, 1))  # noqa: E731
    return jaxgd.Model(init, lambda params, inputs: jnp.sign(inputs) * jnp.abs(inputs) ** power @ params)


def make_trainer(hp):
    """Axes are whatever this reads: `power` is one of the model's, `most` one of the rule's."""
    problem = jaxgd.regression(quadratic_features(hp.power), (INPUTS, TARGETS), (INPUTS, TARGETS))
    trainer = jaxgd.trainer(problem, scaled_sign(hp.learning_rate), 8)
    return trainer.replace(rules=(GradientSum(hp.most),))


def gradient_figure(result):
    """A figure: a function of a result."""
    sums = result.dataset.gradient_sum.isel(learning_rate=0, most=0)
    return go.Figure([go.Scatter(x=sums.epoch.values, y=row.values) for row in sums])


def gradient_page(result):
    """A page: sections of words and figures."""
    words = "The sum of squared norms by power <of the inputs>."
    return sections_page("test", "Gradients", "", [Section("Sums", words, [gradient_figure(result)])], {})


@pytest.fixture(scope="module")
def result():
    axes = {"power": [1.0, 2.0], "learning_rate": [0.01, 0.03], "most": [1e9, 1.0]}
    return jaxgd.sweep(make_trainer, axes, epochs=3, progress=False)


def test_an_optimizer_a_rule_a_model_and_axes(result):
    """Numbers of all three are lanes: two programs, one for each power that a function holds."""
    dataset = result.dataset
    losses = dataset.valid_loss.sel(power=1.0, most=1e9).values
    assert (losses[:, -1] < losses[:, 0]).all()
    sums = dataset.gradient_sum.sel(most=1e9).values
    assert (np.diff(sums, axis=-1) > 0).all()
    assert set(dataset.status.sel(most=1.0).values.ravel()) == {"budget spent"}
    hp = type("hp", (), {"power": 2.0, "learning_rate": 0.03, "most": 1e9})
    fit = jaxgd.fit(make_trainer(hp), jax.random.key(0), 3)
    found = dataset.sel(power=2.0, learning_rate=0.03, most=1e9)
    np.testing.assert_allclose(found.gradient_sum, fit.history["gradient_sum"], rtol=1e-5)
    np.testing.assert_allclose(found.valid_loss, fit.history["valid_loss"], rtol=1e-5)


def test_a_figure_and_a_page(result):
    page = gradient_page(result)
    assert "The sum of squared norms by power &lt;of the inputs&gt;." in page
    assert len(gradient_figure(result).data) == 2
