import jax
import numpy as np
import pytest

import jaxgd
from jaxgd.landscape.curvature import curvature_of

RNG = np.random.default_rng(0)
INPUTS = RNG.normal(size=(40, 4)).astype(np.float32)
TARGETS = RNG.normal(size=40).astype(np.float32)
KEY = jax.random.key(0)
WIDTHS = {width: jaxgd.regression(jaxgd.mlp([4, width, 1], "tanh"), (INPUTS, TARGETS)) for width in (2, 3)}


@pytest.fixture(scope="module")
def result():
    def make(hp):
        return jaxgd.trainer(WIDTHS[hp.width], jaxgd.sgd(hp.learning_rate), 10)

    axes = {"width": [2, 3], "learning_rate": [0.1, 1e6], "seed": [0, 1]}
    return jaxgd.sweep(make, axes, 2, progress=False)


@pytest.mark.slow
def test_every_run_has_the_curvature_of_its_own_parameters(result):
    found = curvature_of(result, lambda coords: WIDTHS[coords["width"]], KEY, probes=4)
    assert found.sharpness.dims == ("width", "learning_rate", "seed")
    assert found.width.values.tolist() == [2, 3]
    place = {"width": 3, "learning_rate": 0.1, "seed": 1}
    params = result.params(**place)
    ends = jaxgd.curvature.extreme_eigenvalues(WIDTHS[3], params, KEY)
    trace = jaxgd.curvature.trace(WIDTHS[3], params, KEY, 4)
    loss = jaxgd.evaluate(WIDTHS[3], params, "train")["loss"]
    expected = [ends.largest[0], ends.smallest[0], *trace, loss]
    np.testing.assert_allclose(list(found.sel(place).data_vars.values()), expected, rtol=1e-3, atol=1e-5)


def test_a_run_that_diverged_has_none(result):
    found = curvature_of(result, lambda coords: WIDTHS[coords["width"]], KEY, probes=4)
    assert (result.dataset.status.sel(learning_rate=1e6) == "diverged").all()
    for values in found.data_vars.values():
        assert np.isnan(values.sel(learning_rate=1e6)).all()
        assert np.isfinite(values.sel(learning_rate=0.1)).all()


def test_one_problem_serves_all_runs(result):
    with pytest.raises(ValueError, match=r"params: .* must have shape"):
        curvature_of(result, WIDTHS[2], KEY)
