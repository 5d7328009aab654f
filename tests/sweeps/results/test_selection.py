"""A run by its coordinates, those along an axis of points among them."""

import numpy as np
import pytest
import xarray

from jaxgd.sweeps.results.selection import run_index

POINTS = [
    {"learning_rate": 0.1, "batch_size": "full"},
    {"learning_rate": 0.2, "batch_size": 5},
    {"learning_rate": 0.1, "batch_size": 5},
]
AXES = {"point": POINTS, "seed": [0, 7]}
DATASET = xarray.Dataset(
    coords={
        "point": [0, 1, 2],
        "learning_rate": ("point", [0.1, 0.2, 0.1]),
        "batch_size": ("point", [12, 5, 5]),
        "seed": [0, 7],
        "epoch": [1, 2],
    }
)


@pytest.mark.parametrize(
    ("coords", "index"),
    [
        ({"point": 1, "seed": 7}, 3),
        ({"learning_rate": 0.2, "seed": 0}, 2),
        ({"learning_rate": np.float64(0.1), "batch_size": 5, "seed": 0}, 4),
        ({"batch_size": "full", "seed": 0}, 0),
        ({"batch_size": 12, "seed": 0}, 0),
        ({"point": 2, "learning_rate": 0.1, "batch_size": 5, "seed": 7}, 5),
    ],
)
def test_a_run(coords, index):
    assert run_index(DATASET, AXES, coords) == index


@pytest.mark.parametrize(
    ("coords", "message"),
    [
        ({"learning_rat": 0.1, "seed": 0}, "unknown axis 'learning_rat'; did you mean 'learning_rate'"),
        ({"learning_rate": 0.1, "seed": 0}, r"params needs a value for axis 'point', one of \[0, 2\]"),
        ({"seed": 0}, r"params needs a value for axis 'point', one of \[0, 1, 2\]"),
        (
            {"learning_rate": 0.3, "seed": 0},
            r"axis 'learning_rate' has no value 0.3; it has \[0.1, 0.2, 0.1\]",
        ),
        (
            {"learning_rate": 0.2, "batch_size": 12, "seed": 0},
            "'point' has no point with learning_rate 0.2 and",
        ),
        (
            {"point": 1, "learning_rate": 0.1, "seed": 0},
            "'point' has no point with point 1 and learning_rate 0.1",
        ),
        ({"point": 1}, r"params needs a value for axis 'seed', one of \[0, 7\]"),
    ],
)
def test_bad_coordinates(coords, message):
    with pytest.raises(ValueError, match=message):
        run_index(DATASET, AXES, coords)
