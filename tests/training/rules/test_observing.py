"""What rules see: the noise scale as a rule of one's own, against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxgd
from jaxgd.training.batching import epoch_order

KEY = jax.random.key(3)
ROWS = np.random.default_rng(0).normal(size=(23, 3))
TARGETS = np.random.default_rng(1).normal(size=23)


def make_trainer(batch_size, microbatch=None, rate=0.05, rules=()):
    problem = jaxgd.regression(jaxgd.linear(3, 1, bias=False), (ROWS, TARGETS))
    return jaxgd.trainer(problem, jaxgd.sgd(rate), batch_size, microbatch, rules=rules)


class NoiseScale(jaxgd.Rule):
    """The simple noise scale tr(S) / |G|^2 over an epoch, by the unbiased estimates of both."""

    acts_on_updates = True
    reads = ("squared_norm", "micro_squared_norm", "batch_size", "micro_batch_size")

    def init(self, seen):
        return jnp.zeros(2)

    def after_update(self, own, seen):
        big, small = seen.batch_size, seen.micro_batch_size
        norm = (big * seen.squared_norm - small * seen.micro_squared_norm) / (big - small)
        trace = (seen.micro_squared_norm - seen.squared_norm) / (1 / small - 1 / big)
        return own + jnp.stack([trace, norm])

    def history_names(self, problem):
        return ("noise_scale",)

    def measure(self, own, seen, state):
        return {"noise_scale": own[0] / own[1]}

    def after_epoch(self, own, seen, state, row):
        return jnp.zeros(2), 0


def gradients(weights, rows):
    """[rows, 3]: of each example's half squared error."""
    return (ROWS[rows] @ weights - TARGETS[rows])[:, None] * ROWS[rows]


def noise_scales(batch_size, microbatch, epochs, rate=0.05):
    weights, found = np.zeros(3), []
    for epoch in range(epochs):
        order, traces, norms = np.asarray(epoch_order(KEY, epoch, 23, "shuffle")), [], []
        for begin in range(0, 23, batch_size):
            rows = order[begin : begin + batch_size]
            each = gradients(weights, rows)
            parts = [each[i : i + microbatch] for i in range(0, len(rows), microbatch)]
            big, small = len(rows), len(parts) / sum(1 / len(part) for part in parts)
            norm = np.sum(each.mean(axis=0) ** 2)
            micro_norm = np.mean([np.sum(part.mean(axis=0) ** 2) for part in parts])
            norms.append((big * norm - small * micro_norm) / (big - small))
            traces.append((micro_norm - norm) / (1 / small - 1 / big))
            weights = weights - rate * each.mean(axis=0)
        found.append(np.sum(traces) / np.sum(norms))
    return found


@pytest.mark.parametrize(("batch_size", "microbatch"), [(8, 2), (8, 3), (23, 5), (np.array(8), 2)])
def test_the_noise_scale(x64, batch_size, microbatch):
    tr = make_trainer(batch_size, microbatch, rules=[NoiseScale()])
    fit = jaxgd.fit(tr, KEY, 3)
    expected = noise_scales(int(batch_size), microbatch, 3)
    np.testing.assert_allclose(fit.history["noise_scale"], expected, rtol=1e-9)
    cut = list(jaxgd.iterate(tr, KEY, 3, every=2))[-1][1]["noise_scale"]
    np.testing.assert_array_equal(cut, fit.history["noise_scale"])


class Norms(jaxgd.Rule):
    """What whole batches show."""

    acts_on_updates = True
    reads = ("squared_norm", "micro_squared_norm", "micro_batch_size")

    def init(self, seen):
        return jnp.zeros(4)

    def after_update(self, own, seen):
        assert seen.batch_size is None
        size = seen.micro_batch_size
        return own + jnp.stack([jnp.sqrt(seen.squared_norm), seen.micro_squared_norm, size, size * 0 + 1])


def test_a_whole_batch_is_its_only_micro_batch(x64):
    fit = jaxgd.fit(make_trainer("full", rules=[Norms()]), KEY, 1)
    norm, squared, size, count = fit.state.rules[0]
    np.testing.assert_allclose([norm**2, norm], [squared, fit.history["grad_norm"][0]], rtol=1e-12)
    assert (size, count) == (23, 1)


def test_lanes_of_rates(x64):
    def run(rate):
        tr = make_trainer(8, 2, rate, rules=[NoiseScale()])
        return jaxgd.fit(tr, KEY, 2).history["noise_scale"]

    rates = np.array([0.05, 0.01])
    expected = [noise_scales(8, 2, 2, rate) for rate in rates]
    np.testing.assert_allclose(jax.vmap(run)(rates), expected, rtol=1e-9)


class Misspelt(jaxgd.Rule):
    reads = ("square_norm",)


def test_what_can_be_read():
    with pytest.raises(ValueError, match="of a rule's reads 'square_norm'; did you mean 'squared_norm'"):
        make_trainer(4, rules=[Misspelt()])
