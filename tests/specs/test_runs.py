"""The runs that a spec describes, and the trainer of a run of a saved result."""

import dataclasses
import shutil
import sys
import tomllib
from pathlib import Path

import jax
import numpy as np
import pytest

import jaxgd
from jaxgd.reports.pages import of_sweep
from jaxgd.specs.runs import SpecRuns, runs_of
from jaxgd.specs.spec import parse_spec, read_spec

DATA = Path(__file__).parents[1] / "data"
TEXT = """
data = "breast_cancer"
epochs = 2
[fixed]
optimizer = "sgd"
batch_size = "full"
width = 4
[axes]
learning_rate = [0.1, 0.2]
momentum = ["none", 0.9]
"""


def runs(text, *changes):
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return SpecRuns(parse_spec(tomllib.loads(text), "mine.toml"))


def trainer(text, *changes):
    made = runs(text, *changes)
    return made.make_trainer({name: values[0] for name, values in made.spec.axes.items()})


def shapes(trainer):
    params = jax.eval_shape(lambda key: trainer.problem.init(key), jax.random.key(0))
    return [leaf.shape for leaf in jax.tree.leaves(params)]


def test_a_trainer_has_the_settings():
    made = trainer(TEXT, ("width = 4", 'width = 4\ndepth = 2\nsampling = "replacement"\ndropout = 0.5'))
    assert repr(made.optimizer) == "sgd(learning_rate=0.1)"
    assert made.batch_size.value == "full"
    assert made.sampling.value == "replacement"
    assert shapes(made) == [(4,), (30, 4), (4,), (4, 4), (2,), (4, 2)]
    assert 0.5 in [float(leaf) for leaf in jax.tree.leaves(made.problem.loss) if np.ndim(leaf) == 0]


def test_a_point_may_be_nested():
    made = runs(TEXT).make_trainer({"point": {"learning_rate": 0.3, "momentum": 0.5}, "seed": 1})
    assert repr(made.optimizer) == "sgd(learning_rate=0.3, momentum=0.5)"


def test_other_models():
    assert shapes(trainer(TEXT, ("width = 4", 'model = "linear"'))) == [(2,), (30, 2)]
    assert shapes(trainer(TEXT, ("width = 4", "depth = 0"))) == [(2,), (30, 2)]
    assert shapes(trainer(TEXT, ("breast_cancer", "diabetes"))) == [(4,), (10, 4), (1,), (4, 1)]


def test_rules():
    text = TEXT + "patience = [3, 4]\n[early_stopping]\nmin_delta = 0.1\n[budget]\nupdates = 7\n"
    assert [repr(rule) for rule in trainer(text).rules] == [
        "early_stopping(patience=3, monitor='valid_loss')",
        "budget(updates=7)",
    ]


def test_problems_are_made_once_for_each_model():
    made = runs(TEXT)
    first, second = (made.make_trainer({"learning_rate": rate}) for rate in (0.1, 0.2))
    assert first.problem is second.problem
    assert made.make_trainer({"learning_rate": 0.1, "width": 5}).problem is not first.problem


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[0.1, 0.2]", "[0.1, -1]", "mine.toml: learning_rate must be finite and 0 or more, got -1"),
        ("width = 4", "dropout = 1.5", "mine.toml: dropout"),
        (
            "epochs = 2",
            'epochs = 2\nmetric = "valid_acuracy"',
            "unknown metric 'valid_acuracy'; did you mean",
        ),
        ('batch_size = "full"', "batch_size = 1000", "mine.toml: batch_size must be .* got 1000"),
        ("[0.1, 0.2]", "[1e-3, 0.001]", "mine.toml: axis 'learning_rate' has values twice: 0.001"),
        ("[axes]", "[axes]\nseed = [0, 0]", "mine.toml: axis 'seed' has values twice: 0"),
        (
            "[axes]",
            "[axes]\nseed = [5000000000]",
            r"mine.toml: axes.seed\[0\] is 5000000000; a whole number from 0 to 4294967295 is expected",
        ),
        (
            'batch_size = "full"\nwidth = 4\n[axes]',
            'width = 4\n[axes]\nbatch_size = [341, "full"]',
            "mine.toml: axis 'batch_size' has values twice: 'full' is 341 examples",
        ),
        (
            '[axes]\nlearning_rate = [0.1, 0.2]\nmomentum = ["none", 0.9]\n',
            "[[points]]\nlearning_rate = 0.1\n[[points]]\nlearning_rate = 0.1\n",
            "mine.toml: axis 'point' has points twice: {'learning_rate': 0.1}",
        ),
        ("epochs = 2", "epochs = 10000000", "mine.toml: epochs must be below"),
    ],
)
def test_bad_values_are_found_before_anything_compiles(old, new, message):
    with pytest.raises(ValueError, match=message):
        runs(TEXT, (old, new)).check()


def test_metric():
    assert runs(TEXT).metric == "valid_accuracy"
    assert runs(TEXT, ("epochs = 2", 'epochs = 2\nmetric = "grad_norm"')).metric == "grad_norm"


def test_a_run_of_a_saved_sweep_is_found_again(tmp_path):
    axes = '[axes]\nbatch_size = ["full"]'
    made = runs(TEXT, ('batch_size = "full"\n', ""), ("[axes]", axes), ('"none"', "0.5"))
    made.check()
    result = made.run(progress=False)
    result.save(tmp_path)
    again = jaxgd.load(tmp_path)
    assert again.spec == made.spec.document
    coords = {"learning_rate": 0.2, "momentum": 0.9, "batch_size": 341}
    with_trainer = runs_of(again).trainer_of(again, **coords)
    assert with_trainer.batch_size.value == "full"
    fit = jaxgd.fit(with_trainer, jax.random.key(0), 2)
    jax.tree.map(np.testing.assert_array_equal, again.params(**coords), jax.device_get(fit.state.params))


def test_a_sweep_from_python_has_no_spec():
    problem = jaxgd.regression(jaxgd.linear(2, 1), (np.ones((4, 2)), np.ones(4)))
    result = jaxgd.sweep(
        lambda hp: jaxgd.trainer(problem, jaxgd.sgd(hp.rate), "full"), {"rate": [0.1]}, 1, progress=False
    )
    with pytest.raises(ValueError, match="the sweep has no spec: it was called from Python"):
        runs_of(result)


def test_a_problem_of_the_users(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "mine_of_a_spec.py").write_text(
        "import jaxgd, numpy as np\n"
        "x = np.arange(20.0).reshape(10, 2)\n"
        "problem = jaxgd.regression(jaxgd.linear(2, 1), (x, x[:, 0]))\n"
    )
    text = TEXT.replace("width = 4", "").replace("breast_cancer", f"{tmp_path}/mine_of_a_spec.py:problem")
    made = runs(text)
    assert made.file == f"{tmp_path}/mine_of_a_spec.py"
    assert "no validation and no test split" in made.warning
    assert made.metric == "valid_loss"
    made.check()
    del sys.modules["mine_of_a_spec"]
    result = dataclasses.replace(jaxgd.load(DATA / "format_1"), spec=made.spec.document)
    with pytest.raises(
        ValueError, match=r"names code, '.*mine_of_a_spec\.py:problem', and a saved folder does not"
    ):
        runs_of(result)
    assert "mine_of_a_spec" not in sys.modules
    shutil.move(tmp_path / "mine_of_a_spec.py", tmp_path / "moved.py")
    with pytest.raises(ValueError, match=r"problem is 'digits'; code such as my\.py:problem is needed"):
        runs_of(result, "digits")
    again = runs_of(result, f"{tmp_path}/moved.py:problem")
    assert again.file == f"{tmp_path}/moved.py"
    assert shapes(again.make_trainer({"learning_rate": 0.2, "momentum": 0.9})) == [(1,), (2, 1)]
    del sys.modules["moved"]


@pytest.mark.parametrize(
    "data", ["evil.py", "evil.py:problem", "{folder}/evil.py:problem", "os:abort", "evil:problem", "a.b:c.d"]
)
def test_a_saved_spec_does_not_choose_what_runs(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.py").write_text("open('RAN', 'w')\nproblem = None\n")
    result = jaxgd.load(DATA / "format_1")
    spec = {**result.spec, "data": data.format(folder=tmp_path), "fixed": {"optimizer": "momentum"}}
    result = dataclasses.replace(result, spec=spec)
    with pytest.raises(
        ValueError, match=r"the spec names code, '.*', .* name it yourself, as --problem my\.py"
    ):
        runs_of(result)
    assert not (tmp_path / "RAN").exists()
    assert "evil" not in sys.modules


def test_data_take_no_problem():
    with pytest.raises(ValueError, match="but the sweep's data are 'breast_cancer', which is no code"):
        runs_of(jaxgd.load(DATA / "format_1"), "my.py:problem")


TABLE = """
data = "t.csv"
target = "y"
drop = ["id"]
group = "who"
epochs = 1
fixed = { optimizer = "sgd", batch_size = "full", model = "linear" }
axes = { learning_rate = [0.1, 0.2] }
"""


@pytest.fixture
def table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ("train", "train", "valid", "test")
    rows = "".join(f"n{i},{i // 4},{i},{words[i % 4]},{'no' if i % 3 else 'yes'}\n" for i in range(60))
    Path("t.csv").write_text(f"id,who,a,part,y\n{rows}")


def test_the_columns_of_a_table_have_roles(table):
    made = runs(TABLE, ('group = "who"', 'group = "who"\ntask = "classification"'))
    assert made.table is not None
    assert [column.name for column in made.table.columns if column.is_feature] == ["a", "part"]
    assert made.table.splits == {"train": 36, "valid": 12, "test": 12}
    made = runs(TABLE, ('group = "who"', 'split = "part"'))
    assert (made.warning, shapes(made.make_trainer({"learning_rate": 0.1}))) == (None, [(2,), (2, 2)])


def test_a_saved_sweep_of_a_table_is_found_again(table, tmp_path):
    made = runs(TABLE)
    made.run(progress=False).save(tmp_path / "out")
    again = runs_of(jaxgd.load(tmp_path / "out"))
    assert again.table == made.table
    assert again.spec.document["drop"] == ["id"]


def test_a_saved_sweep_holds_the_path_as_typed_and_the_file_may_be_elsewhere(table, tmp_path, monkeypatch):
    Path("spec.toml").write_text(TABLE)
    monkeypatch.chdir("/")
    SpecRuns(read_spec(tmp_path / "spec.toml")).run(progress=False).save(tmp_path / "out")
    result = jaxgd.load(tmp_path / "out")
    assert result.spec["data"] == "t.csv"
    files = [file.read_bytes() for file in (tmp_path / "out").iterdir()]
    assert not any(str(tmp_path).encode() in content for content in files)
    assert str(tmp_path) not in of_sweep.page(result)
    with pytest.raises(ValueError, match=r"there is no file 't\.csv' here: name it, as --data FILE"):
        runs_of(result)
    there = str(tmp_path / "t.csv")
    assert runs_of(result, data=there).table.splits == runs_of_in(tmp_path, result, monkeypatch).table.splits
    with pytest.raises(ValueError, match=r"data is 'digits', but the sweep's data are 't\.csv'; only a file"):
        runs_of(result, data="digits")


@pytest.mark.parametrize("is_kept", [True, False], ids=["kept as it goes", "saved at the end"])
def test_data_that_are_no_longer_those_of_the_sweep_are_refused(is_kept, table, tmp_path):
    result = runs(TABLE).run(progress=False, folder=tmp_path / "out" if is_kept else None)
    if not is_kept:
        result.save(tmp_path / "out")
    result = jaxgd.load(tmp_path / "out")
    assert runs_of(result).data_sha256 in result.data_sha256
    Path("t.csv").write_text(Path("t.csv").read_text().replace("yes", "no", 1))
    with pytest.raises(ValueError, match=r"the data, 't\.csv', are no longer those of the sweep: the SHA"):
        runs_of(result)


def runs_of_in(folder, result, monkeypatch):
    monkeypatch.chdir(folder)
    return runs_of(result)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('drop = ["id"]', 'drop = "id"'), "mine.toml: drop is 'id'; a list of names is expected"),
        (('drop = ["id"]', "drop = [1]"), r"mine.toml: drop is \[1\]; a list of names is expected"),
        (('group = "who"', "group = 1"), "mine.toml: group is 1; a text is expected"),
        (('group = "who"', 'groups = "who"'), "mine.toml: unknown key 'groups'; did you mean 'group'"),
        (('drop = ["id"]', 'drop = ["y"]'), "target is 'y', which drop names too"),
        (('drop = ["id"]', ""), r"t.csv: a column cannot be used: 'id' .*; leave out with --drop id"),
    ],
)
def test_roles_that_cannot_be(table, change, message):
    with pytest.raises(ValueError, match=message):
        runs(TABLE, change)
