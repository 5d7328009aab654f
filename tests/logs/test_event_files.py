"""TensorBoard's files, read back with TensorBoard's own reader."""

import importlib.util
import math
import subprocess
import sys

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import jaxgd
from jaxgd.logs.delivery import Delivery


def read(folder):
    """All that a folder holds, as TensorBoard reads it."""
    found = EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0})
    found.Reload()
    return found


def scalars(folder, name):
    return [(event.step, event.value) for event in read(folder).Scalars(name)]


def put(folder, *rows):
    with Delivery(jaxgd.tensorboard(folder)) as logs:
        logs.write(rows)


def test_rows_of_a_run_are_scalars_over_epochs(tmp_path):
    put(tmp_path, *({"epoch": epoch, "train_loss": 1.5 / epoch, "updates": 4 * epoch} for epoch in (1, 2, 3)))
    assert read(tmp_path).Tags()["scalars"] == ["epoch", "train_loss", "updates"]
    assert scalars(tmp_path, "train_loss") == [(1, 1.5), (2, 0.75), (3, 0.5)]
    assert scalars(tmp_path, "updates") == [(1, 4), (2, 8), (3, 12)]
    assert read(tmp_path).Tags()["tensors"] == []


ROWS = [
    {"run": 2, "rate": 0.5, "init": "a|b", "status": "completed", "valid_loss": 0.1234567},
    {"run": 0, "rate": 0.25, "init": None, "status": "diverged", "valid_loss": math.nan},
    {"run": 1, "rate": 1, "init": "c\nd", "status": "completed", "valid_loss": math.inf},
]


def test_rows_of_a_sweep_are_scalars_in_the_order_of_ending_and_a_table(tmp_path):
    put(tmp_path / "new" / "folder", *ROWS)
    folder = tmp_path / "new" / "folder"
    assert scalars(folder, "run") == [(1, 2), (2, 0), (3, 1)]
    assert scalars(folder, "rate") == [(1, 0.5), (2, 0.25), (3, 1)]
    losses = [value for _, value in scalars(folder, "valid_loss")]
    assert losses[0] == pytest.approx(0.1234567)
    assert math.isnan(losses[1])
    assert losses[2] == math.inf
    assert set(read(folder).Tags()["scalars"]) == {"run", "rate", "valid_loss"}
    (event,) = read(folder).Tensors("runs/text_summary")
    assert event.tensor_proto.string_val[0].decode().splitlines() == [
        "| run | rate | init | status | valid_loss |",
        "| --- | --- | --- | --- | --- |",
        "| 2 | 0.5 | a\\|b | completed | 0.123457 |",
        "| 0 | 0.25 | None | diverged | nan |",
        "| 1 | 1 | c d | completed | inf |",
    ]


def test_what_was_written_is_there_before_the_end(tmp_path):
    with Delivery(jaxgd.tensorboard(tmp_path)) as logs:
        for epoch in (1, 2):
            logs.write([{"epoch": epoch, "train_loss": 0.5}])
            assert len(scalars(tmp_path, "train_loss")) == epoch


def test_a_log_serves_again_and_files_of_one_second_do_not_meet(tmp_path):
    log = jaxgd.tensorboard(tmp_path)
    for epoch in range(1, 6):
        with Delivery(log) as logs:
            logs.write([{"epoch": epoch, "train_loss": 0.5}])
    assert len(list(tmp_path.iterdir())) == 5
    assert [step for step, _ in scalars(tmp_path, "epoch")] == [1, 2, 3, 4, 5]


def test_ten_thousand_runs_are_one_file(tmp_path):
    rows = [{"run": run, "rate": run / 7, "status": "completed", "valid_loss": 0.5} for run in range(10_000)]
    with Delivery(jaxgd.tensorboard(tmp_path)) as logs:
        for begin in range(0, len(rows), 500):
            logs.write(rows[begin : begin + 500])
    (file,) = tmp_path.iterdir()
    assert file.stat().st_size < 3_000_000
    assert [value for _, value in scalars(tmp_path, "run")] == list(range(10_000))


def test_without_tensorboardx_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r'tensorboardX is missing: pip install "jaxgd\[tensorboard\]"'):
        jaxgd.tensorboard("runs")


def test_places_where_no_folder_can_be(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "runs"):
        with pytest.raises(OSError, match=r"log is tensorboard\('.*file.*'\), which cannot be written: "):
            put(folder)
    for name in ("", "a\0b"):
        with pytest.raises(ValueError, match=r"folder is '.*'; the name of a folder is needed"):
            jaxgd.tensorboard(name)


def test_tensorboard_is_loaded_when_rows_are_written():
    code = (
        "import sys, jaxgd; from jaxgd.logs.delivery import Delivery; log = jaxgd.tensorboard(sys.argv[1]); "
        "Delivery([log]); print({'jax', 'numpy', 'tensorboardX', 'google.protobuf'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code, "runs"], capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"
