"""What a function returns, sorted by shapes, and how its runs ended, by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgd.sweeps.functions.returns import returns_of


def array(*shape, dtype=np.float32):
    return jax.ShapeDtypeStruct(shape, dtype)


SHAPES = {
    "loss": array(4),
    "score": array(),
    "params": {"w": array(4)},
    "image": array(2, 3),
    "moments": [array(3)],
    "updates": array(4, dtype=np.int32),
}


def test_entries_are_sorted_by_shape():
    found = returns_of("train", SHAPES)
    assert found == (("loss", "updates"), ("score",), ("image", "moments"), True, 4)
    assert found.measured == ["loss", "score"]
    assert returns_of("train", {"score": array()}).epochs == 1


def test_params_are_what_is_called_so_or_all_that_is_no_history():
    values = {name: name for name in SHAPES}
    assert returns_of("train", SHAPES).state_of(values) == (
        "params",
        {"image": "image", "moments": "moments"},
    )
    without = {name: shape for name, shape in SHAPES.items() if name != "params"}
    assert returns_of("train", without).state_of(values) == ({"image": "image", "moments": "moments"}, None)
    assert returns_of("train", {"loss": array(4)}).state_of(values) == ({}, None)


def test_an_end_is_the_same_in_every_epoch():
    values = {"loss": np.ones((2, 3)), "score": np.array([5.0, 6.0])}
    found = returns_of("train", {"loss": array(3), "score": array()}).history(values)
    np.testing.assert_array_equal(found["score"], [[5, 5, 5], [6, 6, 6]])
    np.testing.assert_array_equal(found["updates"], [[1, 2, 3], [1, 2, 3]])


@pytest.mark.parametrize(
    ("losses", "score", "stopped_at"),
    [
        ([3, 2, 1, 0], 1, -1),
        ([3, np.nan, 1, 0], 1, -1),  # it came back
        ([3, 2, np.inf, np.nan], 1, 20),
        ([np.nan] * 4, 1, 0),
        ([3, 2, 1, 0], np.nan, 40),  # the score of the end alone
    ],
)
def test_a_run_that_ends_as_no_number_has_diverged(losses, score, stopped_at):
    returns = returns_of("train", SHAPES)
    values = {"loss": np.array([losses, [1, 1, 1, 1]], np.float32), "score": np.array([score, 1.0])}
    values |= {"updates": np.array([[10, 20, 30, 40]] * 2, np.int32)}
    status, stopped = returns.how_ended(returns.history(values))
    np.testing.assert_array_equal(status, [2 if stopped_at >= 0 else 0, 0])
    np.testing.assert_array_equal(stopped, [stopped_at, -1])


KEY = jax.eval_shape(lambda: jax.random.key(0))


@pytest.mark.parametrize(
    ("changed", "error", "text"),
    [
        ({"other": array(5)}, ValueError, "histories of one length, got 'loss' 4, 'updates' 4, 'other' 5"),
        ({"status": array(4)}, ValueError, "returns 'status', which the result has of its own"),
        ({"updates": array(4)}, ValueError, "'updates' as whole numbers along the histories"),
        ({"examples": array(dtype=np.int32)}, ValueError, "'examples' as whole numbers .* got int32"),
        ({3: array(4)}, TypeError, "names that are strings, got 3"),
        ({"key": KEY}, TypeError, r"arrays of numbers, got key<fry> in 'key': give jax.random.key_data"),
    ],
)
def test_what_cannot_be_a_result_is_refused(changed, error, text):
    with pytest.raises(error, match=text):
        returns_of("train", SHAPES | changed)


def test_histories_have_an_entry():
    with pytest.raises(ValueError, match="entry or more, got loss of 0"):
        returns_of("train", {"loss": array(0)})


def test_dtypes_without_infinity_never_diverge():
    returns = returns_of("train", {"hits": array(3, dtype=np.int32), "half": array(3, dtype=jnp.bfloat16)})
    half = np.array([[1, 2, np.nan]]).astype(jnp.bfloat16)
    status, _ = returns.how_ended(returns.history({"hits": np.ones((1, 3), np.int32), "half": half}))
    assert status.tolist() == [2]
