"""`jaxgd calibrate`: what it prints, and where the constants cannot be kept."""

import pytest

from jaxgd.cli import jax_start, main
from jaxgd.sweeps import calibration
from jaxgd.sweeps.planning import constants
from jaxgd.sweeps.planning.constants import CORE, MEASURED


@pytest.fixture(autouse=True)
def measured(tmp_path, monkeypatch):
    """A machine on which a flop takes four times as long, without measuring it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(jax_start, "start_jax", lambda cache: None)
    monkeypatch.setattr(calibration, "drivers_of", lambda probes: ([None] * len(probes), 1.0))
    monkeypatch.setattr(calibration, "timed", lambda probe, driver: None)
    slow = CORE._replace(flop=4 * CORE.flop)
    monkeypatch.setattr(calibration, "measured_core", lambda found, compiling: slow)
    constants._read.cache_clear()
    yield
    constants._read.cache_clear()


def test_what_was_found_stands_beside_the_defaults(tmp_path, capsys):
    assert main(["calibrate"]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0].split() == ["measured", "default"]
    assert [line.split()[0] for line in lines[1:-1]] == list(MEASURED)
    assert any(line.startswith("flop") and line.split()[1:3] == ["4.8e-11", "1.2e-11"] for line in lines)
    file = lines[-1].removeprefix("kept in ")
    assert str(tmp_path / "jaxgd" / "constants") in file
    assert "4 of 4 timed" in err


def test_a_folder_that_others_can_write_to(tmp_path, capsys):
    (tmp_path / "jaxgd").mkdir(mode=0o777)
    (tmp_path / "jaxgd").chmod(0o777)
    assert main(["calibrate"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "jaxgd calibrate: error: the constants cannot be kept: others can write to" in err
