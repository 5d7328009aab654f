"""Rows reach every log; one that fails costs one warning that names it, and nothing else."""

import json
import os
import warnings

import pytest

from jaxgd.logs.delivery import Delivery
from jaxgd.logs.destination import Destination


class Kept(Destination):
    """A log that notes what happens to it, and fails where it is told to."""

    def __init__(self, fails=""):
        self.fails, self.calls, self.rows = fails, [], []

    def __str__(self):
        return "kept"

    def _note(self, call):
        self.calls.append(call)
        if call == self.fails:
            raise RuntimeError(f"no\n{call}")

    def open(self):
        self._note("open")

    def write(self, rows):
        self._note("write")
        self.rows += rows

    def close(self):
        self._note("close")


def deliver(log, *batches):
    """The delivery, after it gave rows with these places in the grid, a list of them at once."""
    with Delivery(log) as logs:
        for batch in batches:
            logs.write([{"run": run} for run in batch])
    return logs


def test_one_log_or_a_list_of_them(tmp_path):
    rows, path = [], tmp_path / "log.jsonl"
    for log in (rows.append, [rows.append], (rows.append, path), str(path)):
        deliver(log, [0, 1])
    assert rows == [{"run": 0}, {"run": 1}] * 3
    assert [json.loads(line) for line in path.read_text().splitlines()] == [{"run": 0}, {"run": 1}] * 2


def test_none_at_all_is_false():
    assert not deliver((), [0])


@pytest.mark.parametrize("log", [None, 3, [None], [print, 3], {"a": 1}, b"log.jsonl"], ids=repr)
def test_what_is_no_log(log):
    with pytest.raises(TypeError, match="log must be a path, a function of a row, jaxgd"):
        Delivery(log)


def test_nothing_is_told_of_no_rows():
    kept = Kept()
    deliver(kept, [], [])
    assert kept.calls == ["open", "close"]


def test_a_log_that_raises_is_named_once_and_not_called_again():
    called, rows = [], []

    def broken(row):
        called.append(row)
        raise ConnectionError("no route\nto the server")

    with pytest.warns(UserWarning, match="broken") as told:
        assert deliver([broken, rows.append], [0, 10], [1, 11], [2, 12])
    text = f"log {broken.__qualname__} failed and gets no more rows: ConnectionError: no route to the server"
    assert [str(warning.message) for warning in told] == [text]
    assert called == [{"run": 0}]
    assert rows == [{"run": run} for run in (0, 10, 1, 11, 2, 12)]


@pytest.mark.parametrize("fails", ["write", "close"])
def test_a_log_that_fails_is_closed(fails):
    kept = Kept(fails)
    text = f"log kept failed and gets no more rows: RuntimeError: no {fails}"
    with pytest.warns(UserWarning, match=text) as told:
        assert not deliver(kept, [0], [1])
    assert len(told) == 1
    rest = {"write": ["close"], "close": ["write", "close"]}
    assert kept.calls == ["open", "write", *rest[fails]]


def test_a_full_disk_costs_a_warning():
    with pytest.warns(UserWarning, match="log '/dev/full' failed .*No space left on device"):
        assert not deliver("/dev/full", [0], [1])


def test_one_that_cannot_be_opened_closes_those_that_were():
    first, second = Kept(), Kept("open")
    with pytest.raises(RuntimeError, match="no\nopen"):
        deliver([first, second], [0])
    assert first.calls == ["open", "close"]


def test_ctrl_c_goes_through_and_the_logs_are_closed(tmp_path):
    path, kept = tmp_path / "log.jsonl", Kept()

    def interrupt(row):
        if row["run"] == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        deliver([path, kept, interrupt], [0], [1], [2])
    assert kept.calls[-1] == "close"
    assert [json.loads(line)["run"] for line in path.read_text().splitlines()] == [0, 1]
    assert not any(os.path.realpath(f"/dev/fd/{name}") == str(path) for name in os.listdir("/dev/fd"))


def test_what_one_log_does_to_a_row_no_other_sees():
    rows = []
    deliver([dict.clear, rows.append], [0])
    assert rows == [{"run": 0}]


def test_functions_of_every_kind_have_a_name():
    class Caller:
        def __call__(self, row):
            raise ValueError("no")

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for log in (Caller(), lambda row: 1 / 0, [].pop):
            deliver(log, [0])
    names = [str(warning.message).split(" failed")[0] for warning in told]
    assert [name.rpartition(".")[2] for name in names] == ["Caller", "<lambda>", "pop"]
