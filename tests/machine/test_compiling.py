"""Programs that run once: how many are compiled for one, and what they give within another."""

import contextlib

import jax
import jax.numpy as jnp
import numpy as np

from jaxgd.machine.compiling import quick_jit


def drawn(key, shape):
    return jax.random.normal(key, shape) * jnp.sqrt(2.0 / shape[0]) + jnp.zeros(shape)


@contextlib.contextmanager
def compiled():
    """Names of the functions whose programs are compiled."""
    names = []

    def note(event, duration_secs, fun_name="", **details):
        names.extend([fun_name] if event.endswith("backend_compile_duration") else [])

    jax.monitoring.register_event_duration_secs_listener(note)
    try:
        yield names
    finally:
        jax.monitoring.unregister_event_duration_listener(note)


def test_it_is_one_program_whatever_constants_it_makes():
    draw, key = quick_jit(drawn, 1, static_argnames="shape"), jax.random.key(0)
    with compiled() as names:
        draw(key, (17, 13))
    assert len(names) == 1
    assert "drawn" in names[0]


def test_within_another_program_it_is_computed_at_once():
    draw, key = quick_jit(drawn, 1, static_argnames="shape"), jax.random.key(0)
    found = []

    def outer(x):
        found.append(draw(key, (5, 3)))
        return x + found[0].sum()

    jax.jit(outer)(0.0)
    np.testing.assert_array_equal(found[0], draw(key, (5, 3)))
