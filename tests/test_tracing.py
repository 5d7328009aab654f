"""What a function raises while it is traced, in one line that names the place."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxgd
from jaxgd.tracing import explained

HERE = Path(__file__)


def line_of(text):
    return HERE.read_text().splitlines().index(f"    {text}") + 1


def branch(x):
    return x if x.sum() > 0 and True else -x


def as_numpy(x):
    return np.exp(x)


def as_index(x):
    return list(range(5))[x[0].astype(int)]


def masked(x):
    return x[x > 0]


def as_float(x):
    return x * float(x[0])


@pytest.mark.parametrize(
    ("function", "body", "done"),
    [
        (branch, "return x if x.sum() > 0 and True else -x", "branches in Python on a traced number"),
        (as_numpy, "return np.exp(x)", "gives a traced array to NumPy"),
        (
            as_index,
            "return list(range(5))[x[0].astype(int)]",
            "takes a traced number for an index or a length",
        ),
        (masked, "return x[x > 0]", "picks places by a traced mask"),
        (as_float, "return x * float(x[0])", "makes a Python number of a traced one"),
    ],
    ids=lambda given: getattr(given, "__name__", ""),
)
def test_what_needs_a_number_that_is_traced(function, body, done):
    def traced(x):
        with explained("loss"):
            return function(x)

    with pytest.raises(TypeError) as caught:
        jax.eval_shape(traced, jnp.ones(3))
    text = str(caught.value)
    assert text.startswith(f"loss {done} ({HERE}, line {line_of(body)}): ")
    assert "\n" not in text
    # The error is a plain one: JAX's own would print its explanation again.
    assert caught.type is TypeError
    assert caught.value.__suppress_context__


def test_what_goes_well_or_is_none_of_these_passes():
    with explained("loss", np.ones(3)):
        pass
    with pytest.raises(KeyError, match=r"^'a'$"), explained("loss", np.ones(3)):
        {}["a"]
    with pytest.raises(ValueError, match=r"^no$"), explained("loss"):
        raise ValueError("no")


def test_shapes_are_those_of_the_batch():
    batch = {"x": np.ones((8, 4), np.float32), "y": [np.ones(8, np.int32)]}
    with pytest.raises(ValueError, match=r"^no \(from loss of a batch") as caught, explained("loss", batch):
        raise ValueError("no")
    assert str(caught.value) == "no (from loss of a batch {'x': float32[8, 4], 'y': [int32[8]]})"


def test_what_jaxgd_raises_says_enough():
    with pytest.raises(TypeError) as caught, explained("loss", np.ones(3)):
        jaxgd.adam("0.1")
    assert "from loss" not in str(caught.value)


def test_a_stream_of_flax_by_its_name_and_any_other_error_of_it():
    import flax.linen as nn

    class Noisy(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.Dense(3)(x) + jax.random.normal(self.make_rng("noise"), (3,))

    variables = nn.Dense(3).init(jax.random.key(0), jnp.ones((1, 4)))
    with (
        pytest.raises(ValueError, match=r'^apply calls .*inputs, rngs=\("noise",\)\) gives'),
        explained("apply"),
    ):
        Noisy().apply({"params": {"Dense_0": variables["params"]}}, jnp.ones((1, 4)))
    said = r"^apply calls a Flax module that says: .* shape \(4, 3\)$"
    with pytest.raises(ValueError, match=said), explained("apply"):
        nn.Dense(3).apply(variables, jnp.ones((1, 5)))
