import importlib.metadata
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import jax
import pytest

from jaxgd import __version__, cli
from jaxgd.cli import about, inputs, jax_start
from jaxgd.machine.host import num_cores


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty working directory; jax is left as the tests have set it up."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(jax_start, "start_jax", lambda cache: None)
    yield tmp_path
    sys.modules.pop("mine", None)


def shell(*arguments, **environment):
    """The command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "jaxgd", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[2]), **environment},
    )


def refused(capsys, *arguments) -> str:
    """The error line of a command that is refused."""
    try:
        code = cli.main(arguments)
    except SystemExit as exit:
        code = exit.code
    out, err = capsys.readouterr()
    assert (code, out, err.count("\n")) == (2, "", 1), err
    return err.strip()


def test_help_is_quick():
    # The best of three: another process may hold the cores.
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        run = shell("compare", "--help")
        seconds.append(time.perf_counter() - started)
        assert run.returncode == 0
        assert "--batch-sizes" in run.stdout
    assert min(seconds) < 0.3


def test_version():
    first, second, third = shell("--version", JAX_PLATFORMS="cpu").stdout.splitlines()
    assert first == f"jaxgd {__version__}"
    assert f", jax {jax.__version__}, " in second
    assert third == f"devices: {num_cores()} x cpu"


def test_version_where_jax_cannot_start():
    run = shell("--version", JAX_PLATFORMS="abacus")
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.splitlines()[0] == f"jaxgd {__version__}"
    assert "devices: none: JAX_PLATFORMS asks for 'abacus', which cannot be had; there is: " in run.stdout


def test_version_without_jax(capsys, monkeypatch):
    def missing():
        raise importlib.metadata.PackageNotFoundError("jax")

    monkeypatch.setattr(about, "versions", missing)
    monkeypatch.setitem(sys.modules, "jax", None)  # as if it were missing
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])
    assert ended.value.code == 0
    first, second, third = capsys.readouterr().out.splitlines()
    assert (first, second) == (f"jaxgd {__version__}", "jax is not installed")
    assert third.startswith("devices: none: JAX cannot start: ")


def test_list(capsys):
    assert cli.main(["list"]) == 0
    text = capsys.readouterr().out
    for word in ("nesterov", "adamw", "0.0003", "digits", "mnist5k", "mlp", "linear"):
        assert word in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--epochs 0", "epochs must be a whole number, 1 or more, got 0"),
        ("--epochs 2.5", "epochs must be a whole number, 1 or more, got 2.5"),
        ("--epochs many", "epochs must be a whole number, 1 or more, got 'many'"),
        ("--seeds 0", "seeds must be a whole number, 1 or more, got 0"),
        ("--fresh-seeds 0", "fresh_seeds must be a whole number, 1 or more, got 0"),
        ("--first-seed -1", "first_seed must be a whole number, from 0 to 4294967295, got -1"),
        ("--max-seeds 3", "max_seeds must be fresh_seeds or more, 5, got 3"),
        ("--max-seconds long", "max_seconds must be a number, 0 or more, got 'long'"),
        ("--max-seconds inf", "max_seconds must be a finite number, 0 or more, got inf"),
        ("--margin -0.1", "margin must be a finite number, 0 or more, got -0.1"),
        ("--margin 5", "margin must be from 0 to 1 for an accuracy, got 5; 0.05 is five points"),
        ("--optimizers adm", "unknown optimizer 'adm'; did you mean 'adam'?"),
        ("--optimizers adam,adam", "optimizers has 'adam' twice; each name is given once"),
        ("--optimizers ,", "optimizers is empty"),
        ("--batch-sizes 0", 'batch_sizes has 0; allowed: "full", or whole numbers from 1'),
        ("--batch-sizes -3", "batch_sizes has -3; allowed"),
        ("--batch-sizes full,some", "batch_sizes has 'some'; allowed"),
        ("--batch-sizes 2000", 'batch_sizes has 2000; allowed: "full", or whole numbers from 1 to 1078'),
        ("--learning-rates -1", "learning_rates has -1; a finite number above 0 is needed"),
        ("--learning-rates 0.1,nan", "learning_rates has nan; a finite number above 0 is needed"),
        ("--learning-rates inf", "learning_rates has inf; a finite number above 0 is needed"),
        ("--learning-rates low", "learning_rates has 'low'; numbers above 0 are needed"),
        ("--data digts", "unknown data set 'digts'; did you mean 'digits'?"),
        ("--data no.csv --target y", "data is 'no.csv'; there is no such file"),
        ("--data text.csv", "target is missing: name the column of text.csv to predict"),
        (
            "--data text.csv --target y",
            "text.csv: 2 rows with a target are too few to split in three; 5 or more",
        ),
        ("--data hole.csv --target y", "hole.csv: row 2 (line 3) has 1 cells; the header has 2 columns"),
        ("--data text.csv --target z", "text.csv: no column 'z'"),
        (
            "--data text.csv --target y --drop x,y",
            "target is 'y', which drop names too; a column has one role",
        ),
        ("--data text.csv --target y --drop z", "text.csv: no column 'z' for drop; its columns: x, y"),
        ("text.csv --target y --group x --split x", "group is 'x' and split is 'x'; one of them decides"),
        ("ids.csv --target y", "leave out with --drop 'a b,name'"),
        ("--drop x", "drop is ('x',), but data is 'digits'; only a .csv has columns"),
        ("--group x", "group is 'x', but data is 'digits'; only a .csv has a group column"),
        ("--data no.py:problem", "there is no file no.py"),
        ("--data mine.py:problm", "mine.py has no 'problm'; did you mean 'problem'?"),
        ("--data mine.py:broken", "mine.py:9: ZeroDivisionError: division by zero"),
        ("--data mine.py:unequal", "inputs and labels differ in length"),
        ("--data mine.py:infinite", "row 1"),
        ("--data mine.py:negative", "mine.py:18: ValueError: train labels must be whole numbers from 0 to 1"),
        ("--out nowhere/report.html", "out is 'nowhere/report.html', but there is no folder 'nowhere'"),
        ("--out .", "out is '.', a folder"),
        ("--task classify", "invalid choice: 'classify'"),
        ("--epoch 3 --bogus", "unrecognized arguments: --bogus"),
        ("text.cvs --target y", "data is 'text.cvs'; there is no such file, and a file must be a .csv, .tsv"),
        ("no.csv", "data is 'no.csv'; there is no such file"),
    ],
)
def test_bad_input(folder, capsys, arguments, message):
    (folder / "text.csv").write_text("x,y\n1,2\nhigh,3\n")
    (folder / "hole.csv").write_text("x,y\n,2\n1\n")
    rows = "".join(f"2020-01-{i + 1:02},n{i},{i % 2}\n" for i in range(20))
    (folder / "ids.csv").write_text(f"a b,name,y\n{rows}")
    (folder / "mine.py").write_text(MINE)
    line = refused(capsys, "compare", *arguments.split())
    assert line.startswith("jaxgd")
    assert message in line


MINE = """
import numpy as np
import jaxgd

x = np.ones((10, 2), np.float32)
problem = jaxgd.regression(jaxgd.linear(2, 1), (x, x[:, 0]))

def broken():
    return 1 / 0

def unequal():
    return jaxgd.regression(jaxgd.linear(2, 1), (x, x[:9, 0]))

def infinite():
    x[1, 0] = np.inf; return jaxgd.regression(jaxgd.linear(2, 1), (x, x[:, 1]))

def negative():
    return jaxgd.classification(jaxgd.linear(2, 2), (x, np.arange(10) - 1))
"""


def test_no_command_is_the_help(capsys):
    assert cli.main([]) == 0
    assert "compare" in capsys.readouterr().out


def test_an_unknown_command(capsys):
    line = refused(capsys, "swep")
    assert line.startswith("jaxgd: error: unknown command 'swep'; did you mean 'sweep'? (known: calibrate, ")


@pytest.mark.parametrize("words", ["epochs 3", "epochs = 3"])
def test_words_that_change_nothing(folder, capsys, words):
    line = refused(capsys, "sweep", "mine.toml", "--out", "out", *words.split())
    assert "'epochs' is no KEY=VALUE, which is one word, such as epochs=5" in line


def test_a_folder_that_cannot_be_written(capsys):
    assert "which cannot be written" in refused(capsys, "compare", "--out", "/proc/report.html")


def test_an_existing_report_that_cannot_be_written(folder, capsys, monkeypatch):
    def refuse(*arguments, **keywords):
        raise OSError(30, "Read-only file system")

    (folder / "old.html").write_text("")
    monkeypatch.setattr(Path, "open", refuse)
    line = refused(capsys, "compare", "--out", "old.html")
    assert "out is 'old.html', which cannot be written: Read-only file system" in line


def test_checking_leaves_nothing_behind(folder):
    inputs.check_writable(folder / "report.html")
    assert list(folder.iterdir()) == []


def test_a_missing_package(folder, capsys, monkeypatch):
    monkeypatch.setattr(inputs, "find_spec", lambda name: None if name == "plotly" else object())
    assert 'the package plotly is missing: pip install "jaxgd[report]"' in refused(capsys, "compare")


def test_a_cache_that_is_not_private_is_told_and_not_used(tmp_path):
    (tmp_path / "jaxgd").mkdir()
    (tmp_path / "jaxgd" / "xla").symlink_to(tmp_path)
    assert started(True, XDG_CACHE_HOME=str(tmp_path))[2] == "None"


STARTED = """
import jax
from jaxgd.cli import jax_start
jax_start.start_jax(cache={cache})
print(jax.device_count(), jax_start.num_cores(), jax.config.values["jax_compilation_cache_dir"])
"""


def started(cache: bool, **environment) -> list[str]:
    run = subprocess.run(
        [sys.executable, "-c", STARTED.format(cache=cache)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "JAX_PLATFORMS": "cpu", **environment},
    )
    return run.stdout.split()


def test_jax_gets_a_device_per_core_and_a_cache(tmp_path):
    devices, cores, folder = started(True, XDG_CACHE_HOME=str(tmp_path))
    assert devices == cores
    assert folder == str(tmp_path / "jaxgd" / "xla")


def test_the_users_environment_stays(tmp_path):
    assert started(False, XDG_CACHE_HOME=str(tmp_path), JAX_NUM_CPU_DEVICES="3")[0::2] == ["3", "None"]
    own = started(
        True, JAX_COMPILATION_CACHE_DIR=str(tmp_path), XLA_FLAGS="--xla_force_host_platform_device_count=3"
    )
    assert own[0::2] == ["3", str(tmp_path)]
    assert list(tmp_path.iterdir()) == []


RUN = """
import jax.numpy as jnp
import numpy as np
import jaxgd

inputs = np.random.default_rng(0).normal(size=(200, 2)).astype(np.float32)
problem = jaxgd.regression(jaxgd.linear(2, 1), (inputs, inputs[:, 0]))

def loss(params, batch):
    return jnp.square(batch["x"] @ params["w"] + params["typo"])

def init(key):
    return {"w": jnp.zeros(2)}

def misspelt():
    return jaxgd.Problem(init, loss, {"x": inputs})

def averaged():
    return jaxgd.Problem(init, lambda params, batch: jnp.mean(batch["x"] @ params["w"]), {"x": inputs})

def picky(params, batch, keys):
    assert keys is None
    return batch["x"] @ params["w"]

def keys_are_not_none():
    return jaxgd.Problem(init, picky, {"x": inputs})
"""


def test_a_comparison(folder, capsys):
    (folder / "mine.py").write_text(RUN)
    options = (
        "--data mine.py:problem --optimizers sgd --batch-sizes full,8 --learning-rates 0.1,0.3 --epochs 2 "
        "--max-seconds 0"
    )
    assert cli.main(["compare", *options.split(), "--out", "page.html"]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0].startswith("On mine.py:problem, 2 epochs: use sgd, ")
    assert "Intervals cover fresh seeds and test rows" in out
    assert "Predicting the mean of the training targets every time gives a test loss of " in out
    assert "! The problem has no validation and no test split" in out
    assert lines[-1] == f"Report: {folder / 'page.html'}"
    assert "12 runs of 2 epochs" in err
    page = (folder / "page.html").read_text()
    assert re.search(r"On mine\.py:problem, 2 epochs: use sgd", page)
    assert f"jaxgd compare {options} --out page.html" in page


def test_the_same_command_with_other_seeds(folder, capsys):
    """Anybody can repeat a comparison, with the same seeds or with others."""
    (folder / "mine.py").write_text(RUN)
    command = (
        "compare mine.py:problem --optimizers adam --batch-sizes 8 --learning-rates 0.1 --epochs 1 --seeds 2"
    )
    said = []
    for seeds in (
        "--fresh-seeds 6 --max-seeds 6",
        "--fresh-seeds 6 --max-seeds 6",
        "--fresh-seeds 6 --max-seeds 6 --first-seed 50",
    ):
        assert cli.main([*command.split(), *seeds.split(), "--out", "page.html"]) == 0
        said.append(capsys.readouterr().out.splitlines()[0])
        facts = (folder / "page.html").read_text()
        first = 50 if "50" in seeds else 0
        assert f"<dd>{first} to {first + 1} chose the rates, fresh ones follow</dd>" in facts
        assert "6 after each round: 6 runs" in facts
        assert f"range({first + 2}, {first + 8})" in facts
    assert "over 6 fresh seeds" in said[0]
    assert said[0] == said[1] != said[2]


def test_an_error_inside_the_users_loss(folder, capsys):
    (folder / "mine.py").write_text(RUN)
    line = refused(capsys, "compare", "--data", "mine.py:misspelt")
    assert line == "jaxgd compare: error: mine.py:10: KeyError: 'typo'"
    line = refused(capsys, "compare", "--data", "mine.py:averaged")
    assert line.startswith(
        "jaxgd compare: error: mine.py: ValueError: loss must return one number per example"
    )


def test_an_error_that_only_training_meets(folder, capsys, monkeypatch):
    (folder / "mine.py").write_text(RUN)
    arguments = (
        "compare --data mine.py:keys_are_not_none --optimizers sgd --batch-sizes 8 --epochs 1 --seeds 1"
    )
    assert cli.main(arguments.split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[-1] == "jaxgd compare: error: mine.py:22: AssertionError"
    assert "Traceback" not in err


def test_what_became_of_a_table_is_told(folder, capsys):
    rows = "".join(
        f"{i},{'ab'[i % 2]},{i // 5},{'' if i % 9 else i},{'no' if i % 3 else 'yes'}\n" for i in range(60)
    )
    (folder / "t.tsv").write_text(f",kind,who,gap,y\n{rows}".replace(",", "\t"))
    options = "--target y --group who --drop gap --optimizers sgd --batch-sizes full --learning-rates 0.1"
    assert cli.main(["compare", "t.tsv", *options.split(), "--epochs", "1", "--seeds", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "t.tsv: 2 features from 1 column"
    assert lines[1].startswith(
        "  Rows      60: 35 train, 15 valid, 10 test (whole groups of 'who', 60 %, 20 %"
    )
    assert "  Task      classification of 'y', 2 classes: no (40), yes (20)" in lines
    assert "  Words     kind (2 words); one feature for each word" in lines
    page = (folder / "report.html").read_text()
    for text in (
        "column 1 (without a name, it numbers or names the rows)",
        "gap (dropped)",
        "2 classes: no (40)",
    ):
        assert text in page
