import numpy as np

from jaxgd.landscape.curvature import SharpnessPath, Spectrum
from jaxgd.reports.figures.spectra import sharpness_curves, spectral_densities

EPOCHS = np.arange(4)


def named(figure, name):
    return next(trace for trace in figure.data if trace.name == name)


def test_a_density_has_its_mass_at_its_eigenvalues():
    spectrum = Spectrum(np.array([[0.0, 10.0]]), np.array([[0.9, 0.1]]))
    figure = spectral_densities({"trained": spectrum})
    x, y = np.array(named(figure, "trained").x), np.array(named(figure, "trained").y, float)
    assert figure.layout.yaxis.type == "log"
    mass = lambda part: np.nansum(y[part]) * (x[1] - x[0])  # noqa: E731
    np.testing.assert_allclose([mass(x < 5), mass(x > 5)], [0.9, 0.1], rtol=0.02)


def test_lanes_are_averaged_and_a_spectrum_of_zeros_is_drawn():
    nodes = np.zeros((2, 3, 4))
    spectrum = Spectrum(nodes, np.full(nodes.shape, 0.25))
    figure = spectral_densities({"untrained": spectrum})
    assert np.isfinite(np.array(named(figure, "untrained").y, float)).any()


def test_sharpness_is_drawn_with_its_limit():
    path = SharpnessPath(EPOCHS, np.array([1.0, 5, 18, 21]), np.ones(4), np.full(4, 20.0))
    figure = sharpness_curves({"rate 0.1": path})
    assert list(named(figure, "rate 0.1").y) == [1, 5, 18, 21]
    limit = named(figure, "limit of stability")
    assert list(limit.y) == [20] * 4
    assert limit.line.dash == "dash"


def test_runs_are_a_band_around_their_median_and_an_unknown_limit_is_left_out():
    runs = np.array([[1.0, 2, 3, 4], [2.0, 3, 4, 5], [9.0, 9, 9, 9]])
    path = SharpnessPath(EPOCHS, runs, 10 * runs, np.full(4, np.nan))
    for what, scale in (("sharpness", 1), ("loss", 10)):
        figure = sharpness_curves({"adam": path}, what)
        assert list(named(figure, "adam").y) == [2 * scale, 3 * scale, 4 * scale, 5 * scale]
        assert sum(trace.fill is not None for trace in figure.data) == 1
        assert not any("limit" in (trace.name or "") for trace in figure.data)
