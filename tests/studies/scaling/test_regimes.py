"""The three regimes, batch size by batch size."""

import numpy as np

from jaxgd.studies import data_parallel_regimes, measured_steps
from tests.studies.scaling.tables import table_of


def test_each_regime_where_it_is():
    sizes = (1, 4, 16, 64, 256)
    logs = np.log([400.0, 100, 35, 11, 10])[:, None, None] + np.zeros((5, 1, 4))
    found = measured_steps(table_of(logs, sizes, (0.1,)), {"loss": 1.0})
    assert data_parallel_regimes(found) == [
        "perfect scaling",
        "perfect scaling",
        "diminishing returns",
        "maximal data parallelism",
        "maximal data parallelism",
    ]


def test_nothing_is_said_where_the_goal_is_not_reached():
    logs = np.log([400.0, 100])[:, None, None] + np.zeros((2, 1, 4))
    found = measured_steps(table_of(logs, (1, 4), (0.1,), most=200), {"loss": 1.0})
    assert data_parallel_regimes(found) == ["", "perfect scaling"]
