"""What commands write: whole or not at all, over nothing that is not theirs, and named as it is."""

import os
import resource
import runpy
import shutil
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest

import jaxgd
from jaxgd import cli
from jaxgd.cli import inputs, jax_start
from jaxgd.cli.commands import compare_command
from jaxgd.reports.page import sections_page
from jaxgd.reports.pages import of_comparison
from jaxgd.specs.runs import SpecRuns
from jaxgd.sweeps.folders.keeper import Keeper
from jaxgd.sweeps.store import manifest
from jaxgd.training import progress

TESTS = Path(__file__).parents[1]
RESULT = jaxgd.load(TESTS / "data" / "format_1")
SPEC = TESTS / "data" / "format_1.toml"
make_comparison = runpy.run_path(str(TESTS / "reports" / "synthetic.py"))["synthetic_comparison"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with a saved sweep; `jaxgd sweep` gives that result, untrained."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(jax_start, "start_jax", lambda cache: None)
    monkeypatch.setattr(SpecRuns, "run", lambda runs, **options: RESULT)
    RESULT.save(tmp_path / "saved")
    return tmp_path


@pytest.fixture
def comparison():
    return make_comparison(optimizers=("sgd", "adam"), batch_sizes=(128, 32))


@contextmanager
def largest_file(size):
    """No file can grow beyond the size: what a full disk looks like."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def run(capsys, *arguments):
    """Exit code, output and the only line of errors."""
    try:
        code = cli.main(arguments)
    except SystemExit as error:
        code = error.code
    out, err = capsys.readouterr()
    assert err.count("\n") == (code != 0), err
    return code, out, err


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_full_disk_leaves_the_earlier_page(folder, capsys):
    assert run(capsys, "report", "saved")[0] == 0
    before, there = Path("saved/report.html").read_bytes(), names(folder / "saved")
    with largest_file(100_000):
        code, out, err = run(capsys, "report", "saved", "--metric", "train_loss")
    assert (code, out) == (1, "")
    assert err == "jaxgd report: error: saved/report.html cannot be written: File too large\n"
    assert Path("saved/report.html").read_bytes() == before
    assert names(folder / "saved") == there


def test_a_full_disk_leaves_the_table_of_a_comparison(folder, comparison, capsys):
    Path("page.html").write_text("earlier")
    with (
        largest_file(100_000),
        pytest.raises(cli.OutputError, match=r"page\.html cannot be written: File too"),
    ):
        compare_command._report(comparison, Path("page.html"))
    assert comparison.sentence in capsys.readouterr().out
    assert Path("page.html").read_text() == "earlier"
    assert names(folder) == ["page.html", "saved"]


def test_a_closed_output_leaves_the_page(folder, comparison, monkeypatch):
    def closed(*arguments):
        raise BrokenPipeError

    monkeypatch.setattr("builtins.print", closed)
    with pytest.raises(BrokenPipeError):
        compare_command._report(comparison, Path("page.html"))
    assert comparison.data in Path("page.html").read_text()


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A working directory with a spec of two runs, which are trained."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(jax_start, "start_jax", lambda cache: None)
    monkeypatch.setattr(progress, "_QUIET_SECONDS", 1e9)  # no bar, however slow the machine
    fixed = '[fixed]\noptimizer = "sgd"\nbatch_size = 64\nmodel = "linear"\n'
    axes = "[axes]\nlearning_rate = [0.01, 0.1]\n"
    Path("small.toml").write_text(f'data = "breast_cancer"\nepochs = 2\n{fixed}{axes}')
    return tmp_path


def test_a_full_disk_before_a_sweep(small, capsys):
    with largest_file(100):
        code, out, err = run(capsys, "sweep", "small.toml", "--out", "kept")
    assert (code, out) == (1, "")
    assert err == "jaxgd sweep: error: kept cannot be written: File too large\n"


def test_a_full_disk_at_the_end_of_a_sweep(small, capsys, monkeypatch):
    keep = Keeper._keep_ended

    def on_a_full_disk(keeper, ended):
        keep(keeper, ended)
        limits.enter_context(largest_file(100))

    monkeypatch.setattr(Keeper, "_keep_ended", on_a_full_disk)
    with ExitStack() as limits, pytest.warns(UserWarning, match="kept cannot be written .File too large."):
        assert cli.main(["sweep", "small.toml", "--out", "kept"]) == 1
    out, err = capsys.readouterr()
    assert out.startswith("SweepResult(learning_rate 2;")
    assert "Saved" not in out
    assert "error: kept cannot be written: File too large; there is no other place" in err.splitlines()[-1]
    assert jaxgd.load("kept").num_ended == 0
    monkeypatch.setattr(Keeper, "_keep_ended", keep)
    assert run(capsys, "sweep", "small.toml", "--out", "kept")[0] == 0
    assert jaxgd.load("kept").num_ended == 2


def test_a_page_in_place_of_a_link(folder, capsys):
    Path("precious.txt").write_text("precious")
    Path("saved/report.html").symlink_to("../precious.txt")
    Path("link").symlink_to("saved")
    assert run(capsys, "report", "link")[0] == 0
    assert Path("precious.txt").read_text() == "precious"
    assert not Path("saved/report.html").is_symlink()
    assert "Best validation accuracy" in Path("saved/report.html").read_text()


def test_a_page_that_is_not_ours(folder, capsys):
    Path("saved/report.html").write_text("<title>pytest</title>")
    code, out, err = run(capsys, "report", "saved")
    assert (code, out) == (2, "")
    assert "out is 'saved/report.html', which is no page of jaxgd and is not replaced" in err
    assert Path("saved/report.html").read_text() == "<title>pytest</title>"
    for command in (["compare"], ["landscape", "saved"], ["landscape", "sphere"], ["report", "saved"]):
        assert "is no page of jaxgd" in run(capsys, *command, "--out", str(SPEC))[2]
    Path("empty").touch()  # by mktemp
    for _ in range(2):
        assert run(capsys, "report", "saved", "--out", "empty")[0] == 0


def test_every_page_is_known_again(folder, comparison):
    pages = [of_comparison.page(comparison), sections_page("jaxgd landscape", "Found.", "", [], {})]
    for page in pages:
        Path("page.html").write_text(page)
        inputs.check_writable(Path("page.html"))


def test_a_device_is_no_page(folder, capsys):
    assert "out is '/dev/null', which is no file" in run(capsys, "report", "saved", "--out", "/dev/null")[2]


@pytest.mark.parametrize("name", ["", " ", "a\0b", "n" * 300, "new/" + "n" * 300, "n" * 5000])
@pytest.mark.parametrize(
    "command",
    [["compare"], ["report", "saved"], ["landscape", "saved"], ["landscape", "sphere"], ["sweep", str(SPEC)]],
    ids=lambda command: " ".join(command[:2]) if command[0] == "landscape" else command[0],
)
def test_names_that_nothing_can_have(folder, capsys, command, name):
    code, out, err = run(capsys, *command, "--out", name)
    assert (code, out) == (2, "")
    what = "folder" if command[0] == "sweep" else "file"
    reasons = ["cannot be written: File name too long"] if len(name) > 5 else [f"; the name of a {what} is"]
    assert any(reason in err for reason in reasons), err
    assert names(folder) == ["saved"]


@pytest.mark.parametrize("name", ["a\0b", "n" * 300])
@pytest.mark.parametrize("command", ["report", "landscape"])
def test_folders_that_cannot_be(folder, capsys, command, name):
    assert run(capsys, command, name)[0] == 2


def test_a_long_name_that_is_just_allowed(folder, capsys):
    assert run(capsys, "report", "saved", "--out", "n" * 250)[0] == 0


def test_names_that_are_no_utf_8(folder, comparison, capsys, monkeypatch):
    name = os.fsdecode(b"caf\xe9.csv")
    made = make_comparison(data=name, optimizers=("sgd", "adam"), batch_sizes=(128, 32))
    monkeypatch.setattr("rich.console.Console.print", lambda *arguments: None)
    compare_command._report(made, Path("page.html"))
    assert "caf\\udce9.csv" in Path("page.html").read_text(encoding="utf-8")
    result = RESULT.__class__(
        RESULT.dataset, RESULT.plan, RESULT.axes, RESULT.states, {**RESULT.spec, "data": name}
    )
    result.save("odd")
    assert jaxgd.load("odd").spec["data"] == name
    assert run(capsys, "report", "odd")[0] == 0
    assert "caf\\udce9.csv" in Path("odd/report.html").read_text(encoding="utf-8")


def test_paths_are_printed_as_they_are(folder, comparison, capsys):
    for name in ("a[", "runs[old]", "[bold]"):
        Path(name).mkdir()
        out = Path(name) / "b].html" if name == "a[" else Path(name) / "r.html"
        compare_command._report(comparison, out)
        assert capsys.readouterr().out.splitlines()[-1] == f"Report: {folder / out}"


@pytest.mark.parametrize("content", ['{"manifest_version": 3}', "", None])
def test_a_manifest_that_is_not_ours_is_refused_before_training(folder, capsys, monkeypatch, content):
    monkeypatch.setattr(SpecRuns, "__init__", None)
    path = folder / "manifest.json"
    path.mkdir() if content is None else path.write_text(content)
    code, out, err = run(capsys, "sweep", str(SPEC), "--out", ".")
    assert (code, out) == (2, "")
    assert "manifest.json is not of a saved sweep, and is not replaced; choose another folder" in err
    assert content is None or path.read_text() == content


def test_the_users_files_stay(small, capsys):
    for name in ("dataset.npz", "params.npz"):
        np.savez(small / name, inputs=np.ones((2, 3)), labels=np.ones(2))
    Path("plan.json").write_text('{"plan": "of a house"}')
    shutil.copy("small.toml", "spec.json")
    before = {name: (small / name).read_bytes() for name in names(small)}
    assert run(capsys, "sweep", "small.toml", "--out", ".")[0] == 0
    assert cli.main(["sweep", "small.toml", "--out", "."]) == 0
    assert ". has 2 of 2 runs: nothing is left to train" in capsys.readouterr().err
    assert jaxgd.load(".").num_ended == 2
    assert {name: (small / name).read_bytes() for name in before} == before


def test_a_folder_of_format_1_is_replaced_if_that_is_asked_for(small, capsys):
    shutil.copytree(TESTS / "data" / "format_1_python", "old")
    code, out, err = run(capsys, "sweep", "small.toml", "--out", "old")
    assert (code, out) == (2, "")
    assert "old holds a result that was saved when it was finished" in err
    assert run(capsys, "sweep", "small.toml", "--out", "old", "--replace")[0] == 0
    assert jaxgd.load("old").num_ended == 2
    kept = len(manifest.read_manifest(small / "old")["files"])
    assert len(names(small / "old")) == kept + 2  # the manifest, and the lock
