import numpy as np
import pytest

from jaxgd.landscape.networks.directions import Directions
from jaxgd.landscape.networks.planes import Line, Plane
from jaxgd.reports.figures.planes import loss_lines, plane_contours

X, Y = np.linspace(-1, 1, 5), np.linspace(-2, 2, 3)
LOSSES = 0.1 + X**2 + Y[:, None] ** 2
NAMES = ("one", "two")


def named(figure, name):
    return next(trace for trace in figure.data if (trace.name or "").startswith(name))


def test_a_plane_has_its_losses_as_contours_and_its_centre_marked():
    figure = plane_contours(Plane(X, Y, LOSSES, Directions(None, None, NAMES)))
    contour = figure.data[0]
    np.testing.assert_allclose(contour.customdata, LOSSES, rtol=1e-3)
    np.testing.assert_allclose(10 ** np.array(contour.z), LOSSES, rtol=1e-3)
    assert (figure.layout.xaxis.title.text, figure.layout.yaxis.title.text) == NAMES
    assert (named(figure, "the model").x, named(figure, "the model").y) == ((0,), (0,))
    ticks = [float(text) for text in contour.colorbar.ticktext]
    np.testing.assert_allclose(10 ** np.array(contour.colorbar.tickvals), ticks, rtol=1e-3)


@pytest.mark.parametrize(("share", "text"), [(0.9369, "93.6 %"), (0.99999, "99.9 %"), (1.0, "99.9 %")])
def test_the_path_is_drawn_and_the_title_says_what_the_plane_holds(share, text):
    places = np.array([[[1.0, 0.5, 0.0], [2.0, 1.0, 0.0]], [[3.0, 2.0, 0.0], [4.0, 1.0, 0.0]]])
    directions = Directions(None, None, NAMES, places, np.array([0.5, share]))
    figure = plane_contours(Plane(X, Y, np.stack([LOSSES, 2 * LOSSES]), directions), lane=(1,))
    path = named(figure, "training path")
    assert (list(path.x), list(path.y)) == ([3, 2, 0], [4, 1, 0])
    assert list(path.text) == ["epoch 0", "epoch 1", "epoch 2"]
    assert figure.layout.title.text == f"loss on a plane that holds {text} of the path’s variance"
    np.testing.assert_allclose(figure.data[0].customdata, 2 * LOSSES, rtol=1e-3)


def test_what_is_not_finite_is_blank():
    losses = LOSSES.copy()
    losses[0, 0], losses[1, 1] = np.inf, np.nan
    contour = plane_contours(Plane(X, Y, losses, Directions(None, None, NAMES))).data[0]
    assert contour.z[0][0] is contour.z[1][1] is None
    with pytest.raises(ValueError, match="no finite loss to draw"):
        plane_contours(Plane(X, Y, np.full_like(LOSSES, np.nan), Directions(None, None, NAMES)))


@pytest.mark.parametrize("losses", [LOSSES - 1, np.ones_like(LOSSES), np.zeros_like(LOSSES)])
def test_losses_that_have_no_logarithm_stand_at_their_value(losses):
    contour = plane_contours(Plane(X, Y, losses, Directions(None, None, NAMES))).data[0]
    np.testing.assert_allclose(contour.z, losses, rtol=1e-3)


def test_a_lane_is_named_where_there_are_several():
    plane = Plane(X, Y, np.stack([LOSSES]), Directions(None, None, NAMES))
    with pytest.raises(ValueError, match=r"lane must have 1 places, one for each axis of lanes, got \(\)"):
        plane_contours(plane)


def test_lines_have_a_band_where_they_have_lanes():
    lanes = np.stack([X**2, X**2 + 1, X**2 + 5])
    figure = loss_lines({"training": Line(X, X**2), "validation": Line(X, lanes)})
    np.testing.assert_allclose(named(figure, "training").y, X**2)
    np.testing.assert_allclose(named(figure, "validation").y, X**2 + 1, rtol=1e-3)
    band = next(trace for trace in figure.data if trace.fill)
    np.testing.assert_allclose(band.y, [*(X**2 + 5), *X[::-1] ** 2], rtol=1e-3)
