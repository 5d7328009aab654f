"""The dataset of a sweep as a pandas table and as a netCDF file."""

import csv

import numpy as np
import pandas
import pytest
import xarray

import jaxgd
from jaxgd.sweeps.results import exports


def dataset():
    rng = np.random.default_rng(0)
    loss = rng.random((2, 3, 2, 4))
    loss[1, 2] = np.nan
    axes = ("optimizer", "point", "seed")
    status = np.full((2, 3, 2), "completed")
    status[1, 2] = "diverged"
    return xarray.Dataset(
        {
            "valid_loss": ((*axes, "epoch"), loss),
            "updates": ((*axes, "epoch"), np.broadcast_to(np.arange(1, 5, dtype=np.int32), loss.shape)),
            "status": (axes, status),
        },
        {
            "optimizer": ["sgd", "adam"],
            "point": [0, 1, 2],
            "learning_rate": ("point", [0.1, 0.2, 0.3]),
            "activation": ("point", ["relu", "tanh", "größer"]),
            "seed": [0, 7],
            "epoch": [1, 2, 3, 4],
        },
        {"version": "1.0", "devices": ["cpu:0"], "exact": True, "nothing": None, "lanes": 12},
    )


def test_a_tidy_table():
    data = dataset()
    table = exports.to_pandas(data)
    axes = ["optimizer", "point", "seed", "learning_rate", "activation", "epoch"]
    assert list(table.columns) == [*axes, "valid_loss", "updates", "status"]
    assert len(table) == 2 * 3 * 2 * 4
    one = table[(table.optimizer == "adam") & (table.learning_rate == 0.2) & (table.seed == 7)]
    np.testing.assert_array_equal(one.valid_loss, data.valid_loss.sel(optimizer="adam", point=1, seed=7))
    assert one.epoch.tolist() == [1, 2, 3, 4]
    assert set(table[table.valid_loss.isna()].status) == {"diverged"}


def test_netcdf(tmp_path):
    data = dataset()
    exports.to_netcdf(data, tmp_path / "sweep.nc")
    with xarray.open_dataset(tmp_path / "sweep.nc") as again:
        xarray.testing.assert_equal(again.load(), data)
        assert again.attrs == {
            "version": "1.0",
            "devices": '["cpu:0"]',
            "exact": "true",
            "nothing": "null",
            "lanes": 12,
        }
    assert [path.name for path in tmp_path.iterdir()] == ["sweep.nc"]


def test_labels_of_several_kinds_become_texts(tmp_path):
    data = dataset().assign_coords(dropout=("point", np.array(["None", 0.5, 1], object)))
    data["is_good"] = ("point", np.array([True, False, True]))
    exports.to_netcdf(data, tmp_path / "sweep.nc")
    with xarray.open_dataset(tmp_path / "sweep.nc") as again:
        assert again.dropout.values.tolist() == ["None", "0.5", "1"]
        assert again.is_good.values.tolist() == [1, 0, 1]


def test_numbers_that_netcdf_3_cannot_hold(tmp_path, monkeypatch):
    monkeypatch.setattr(exports, "find_spec", lambda name: object() if name == "scipy" else None)
    with pytest.raises(ValueError, match=r"SciPy's netCDF 3 cannot hold .* install netCDF4 or h5netcdf"):
        exports.to_netcdf(dataset().assign_coords(seed=[0, 2**32 - 1]), tmp_path / "sweep.nc")
    assert not list(tmp_path.iterdir())


def test_a_result_has_all(tmp_path):
    inputs = np.random.default_rng(0).normal(size=(12, 2)).astype(np.float32)
    problem = jaxgd.regression(jaxgd.linear(2, 1), (inputs, inputs[:, 0]), (inputs, inputs[:, 0]))
    result = jaxgd.sweep(
        lambda hp: jaxgd.trainer(problem, jaxgd.sgd(hp.learning_rate), "full"),
        {"learning_rate": [0.1, 1e30]},
        epochs=3,
        progress=False,
    )
    assert result.to_pandas().status.tolist() == ["completed"] * 3 + ["diverged"] * 3
    result.to_csv(tmp_path / "sweep.csv")
    assert pandas.read_csv(tmp_path / "sweep.csv").status.tolist() == result.to_pandas().status.tolist()
    result.to_netcdf(tmp_path / "sweep.nc")
    with xarray.open_dataset(tmp_path / "sweep.nc") as again:
        xarray.testing.assert_equal(again.load(), result.dataset)


FORMULAS = [
    "=1+1",
    "+1+1",
    "-1+1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    '=HYPERLINK("http://x")',
    "＝1",
    "-",
    "=",
    "+",
]
PLAIN = ["-0.5", "+3", "-1e-05", "-.5", "a=1", "", " =1", "'=1", "größer", 'a"b,c\nd']


def test_no_text_of_a_csv_is_a_formula(tmp_path):
    texts = [*FORMULAS, *PLAIN]
    mixed = np.array([-0.5, None, True, "=1"] + [k - 9 for k in range(len(texts) - 4)], object)
    data = xarray.Dataset(
        {
            "valid_loss": (("=axis", "epoch"), -np.ones((len(texts), 1))),
            "status": (("=axis",), np.full(len(texts), "completed")),
        },
        {"=axis": texts, "@mixed": ("=axis", mixed), "epoch": [1]},
    )
    exports.to_csv(data, tmp_path / "sweep.csv")
    with (tmp_path / "sweep.csv").open(encoding="utf-8", newline="") as file:
        head, *rows = csv.reader(file)
    assert head == ["'=axis", "'@mixed", "epoch", "valid_loss", "status"]
    assert [row[0] for row in rows] == [*(f"'{text}" for text in FORMULAS), *PLAIN]
    assert [row[1] for row in rows][:6] == ["-0.5", "", "True", "'=1", "-9", "-8"]
    assert {row[3] for row in rows} == {"-1.0"}


def test_a_csv_is_the_table(tmp_path):
    exports.to_csv(dataset(), tmp_path / "sweep.csv")
    again = pandas.read_csv(tmp_path / "sweep.csv")
    pandas.testing.assert_frame_equal(again, exports.to_pandas(dataset()), check_dtype=False)
    assert [path.name for path in tmp_path.iterdir()] == ["sweep.csv"]


def test_an_attribute_is_json_for_every_reader(tmp_path):
    data = dataset().assign_attrs(spread=[1.0, float("nan"), -float("inf")], low=float("nan"))
    exports.to_netcdf(data, tmp_path / "sweep.nc")
    with xarray.open_dataset(tmp_path / "sweep.nc") as again:
        assert again.attrs["spread"] == "[1.0, null, null]"
        assert np.isnan(again.attrs["low"])
