"""Two claims of the pages in docs/concepts, as numbers: SGD's noise floor, and steps by feature frequency."""

import re
from collections import Counter
from pydoc_data.topics import topics

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxgd
from jaxgd.optim import inverse_time_decay

CURVATURES = np.array([1.0, 0.1])
BATCH_SIZE, RUNS = 8, 4000


def squares(rate, updates):
    """Mean squares of the coordinates over many runs of SGD on a noisy quadratic, and their errors.

    They start at (1, 1); the gradient is h x plus noise of variance h / B (Zhang et al. 2019). Both are
    float[updates + 1, 2].
    """
    optimizer = jaxgd.sgd(rate)
    noise = jax.random.normal(jax.random.key(0), (updates, RUNS, 2))
    noise = noise * np.sqrt(CURVATURES / BATCH_SIZE)[None, None]

    def step(carry, noise):
        x, state = carry
        change, state = optimizer.update(CURVATURES[None] * x + noise, state, x)
        x = x + change
        return (x, state), (jnp.mean(x**2, axis=0), jnp.std(x**2, axis=0) / np.sqrt(RUNS))

    start = jnp.ones((RUNS, 2))
    means, errors = jax.jit(lambda: jax.lax.scan(step, (start, optimizer.init(start)), noise)[1])()
    return np.vstack([np.ones(2), means]), np.vstack([np.zeros(2), errors])


def expected_squares(rates):
    """The exact recursion: s <- (1 - rate h)^2 s + rate^2 h / B."""
    s = [np.ones(2)]
    for rate in rates:
        s.append((1 - rate * CURVATURES) ** 2 * s[-1] + rate**2 * CURVATURES / BATCH_SIZE)
    return np.array(s)


def loss(s):
    return s @ CURVATURES / 2


def test_a_constant_rate_has_the_noise_floor_of_the_formula(x64):
    floor = 0.5 / (BATCH_SIZE * (2 - 0.5 * CURVATURES))
    assert loss(floor) == pytest.approx(0.0224359, rel=1e-5)
    assert loss(expected_squares([0.5] * 20)[-1]) == pytest.approx(0.0286556, rel=1e-5)
    means, errors = squares(0.5, 300)
    for t in (1, 5, 20, 300):
        at_t = floor + (1 - 0.5 * CURVATURES) ** (2 * t) * (1 - floor)
        assert np.all(np.abs(means[t] - at_t) < 4 * errors[t] + 1e-12), t


def test_a_rate_that_decays_as_one_over_t_goes_below_the_floor(x64):
    schedule = inverse_time_decay(0.5, transition_steps=20, decay_rate=1.0)
    means, errors = squares(schedule, 400)
    expected = expected_squares([0.5 / (1 + t / 20) for t in range(400)])
    for t in (1, 20, 100, 400):
        assert np.all(np.abs(means[t] - expected[t]) < 4 * errors[t] + 1e-12), t
    assert loss(means[400]) < 0.0224359 / 15


@pytest.fixture(scope="module")
def bag_of_words():
    """Paragraphs of Python's help text on three topics: inputs [paragraphs, 400], labels, frequencies."""
    paragraphs = [
        (set(re.findall("[a-z]+", paragraph.lower())), label)
        for label, name in enumerate(("compound", "specialnames", "types"))
        for paragraph in topics[name].split("\n\n")
    ]
    frequency = Counter(word for bag, _ in paragraphs for word in sorted(bag))
    words = [word for word, _ in frequency.most_common(400)]
    inputs = np.array([[word in bag for word in words] for bag, _ in paragraphs], float)
    return inputs, np.array([label for _, label in paragraphs]), inputs.mean(axis=0)


def steps_by_group(optimizer, field, data):
    """1 / sqrt(v) of every word's weights after each of 1,000 updates of batches of 16, [updates, words]."""
    inputs, labels, _ = data
    problem = jaxgd.classification(jaxgd.linear(inputs.shape[1], 3), (inputs, labels))

    def step(carry, chosen):
        params, state = carry
        batch = problem.train[0][chosen], problem.train[1][chosen]
        gradient = jax.grad(lambda p: problem.loss(p, batch).mean())(params)
        updates, state = optimizer.update(gradient, state, params)
        v = optax.tree.get(state, field)["w"].mean(axis=1)
        return (jaxgd.apply_updates(params, updates), state), 1 / jnp.sqrt(v + 1e-8)

    params = problem.init(jax.random.key(0))
    batches = jax.random.randint(jax.random.key(1), (1000, 16), 0, len(inputs))
    return np.asarray(jax.jit(lambda: jax.lax.scan(step, (params, optimizer.init(params)), batches)[1])())


def grouped(steps, share):
    """Median steps of the rare, the medium and the frequent words, [3, updates]."""
    members = share < 0.015, (share > 0.03) & (share < 0.1), share > 0.2
    return np.array([np.median(steps[:, of], axis=1) for of in members])


def test_words_of_the_text_have_zipf_frequencies(bag_of_words):
    share = bag_of_words[2]
    assert share[0] > 10 * share[99]
    assert share[99] > 3 * share[399]


def test_adagrad_keeps_long_steps_for_rare_words_and_all_only_shrink(x64, bag_of_words):
    steps = steps_by_group(jaxgd.adagrad(0.1, initial_accumulator_value=1e-3), "sum_of_squares", bag_of_words)
    assert np.all(steps[1:] <= steps[:-1] * (1 + 1e-12))
    rare, medium, frequent = grouped(steps, bag_of_words[2])
    assert np.all((rare > medium) & (medium > frequent)), "from the first update on"
    assert max(rare[-1] / rare[0], frequent[-1] / frequent[0]) < 0.5
    assert rare[-1] > 3 * frequent[-1]


@pytest.mark.parametrize(
    ("optimizer", "field"),
    [(jaxgd.rmsprop(0.003, decay=0.99), "nu"), (jaxgd.adadelta(rho=0.99), "e_g")],
    ids=["rmsprop", "adadelta"],
)
def test_running_means_let_steps_grow_again(x64, bag_of_words, optimizer, field):
    steps = steps_by_group(optimizer, field, bag_of_words)
    lowest = steps.min(axis=0)
    assert np.mean(steps[-1] > 1.2 * lowest) > 0.9, "of the words' steps have grown since their least"
    rare, medium, frequent = grouped(steps, bag_of_words[2])
    assert np.all((rare > medium)[9:] & (medium > frequent)[9:])
