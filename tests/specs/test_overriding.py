"""Words such as `epochs=5`: what they change, how values are read, and one line for what cannot be used."""

import pytest

from jaxgd.specs.overriding import overridden
from jaxgd.specs.spec import read_spec

FILE = """
data = "digits"
epochs = 20
[fixed]
optimizer = "sgd"
batch_size = 8
[axes]
learning_rate = [0.01, 1]
seed = [0, 1]
[early_stopping]
patience = 5
"""


@pytest.fixture
def read(tmp_path):
    """read(*words): the spec of the file with these words."""
    path = tmp_path / "mine.toml"
    path.write_text(FILE)
    return lambda *words: read_spec(path, words)


def test_values_take_the_place_of_those_of_the_file(read):
    spec = read("epochs=5", "axes.seed=[0, 1, 2]", "early_stopping.patience = 3", "metric=valid_loss")
    assert spec.document == {
        "data": "digits",
        "epochs": 5,
        "fixed": {"optimizer": "sgd", "batch_size": 8},
        "axes": {"learning_rate": [0.01, 1], "seed": [0, 1, 2]},
        "early_stopping": {"patience": 3},
        "metric": "valid_loss",
    }
    assert spec.axes == {"learning_rate": [0.01, 1], "seed": [0, 1, 2]}


def test_an_axis_keeps_its_place(read):
    assert list(read("axes.learning_rate=[0.1]").axes) == ["learning_rate", "seed"]


def test_the_last_of_two_words_counts(read):
    assert read("epochs=5", "epochs=6").document["epochs"] == 6


def test_a_table_that_the_file_has_not(read):
    assert read("budget.updates=10").document["budget"] == {"updates": 10}


def test_a_setting_stands_where_the_word_says(read):
    spec = read("axes.batch_size=[8, full]", "fixed.seed=3")
    assert spec.fixed == {"optimizer": "sgd", "seed": 3}
    assert spec.axes == {"learning_rate": [0.01, 1], "batch_size": [8, "full"]}
    spec = read("draw.num=2", "draw.ranges.learning_rate={log_uniform=[1e-3,1]}")
    assert list(spec.axes) == ["point", "seed"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("1e-4", 1e-4),
        ("true", True),
        ("adam", "adam"),
        ("'a b'", "a b"),
        ("my.py:problem", "my.py:problem"),
        ("a folder/b#c.csv", "a folder/b#c.csv"),
        ("[adam,sgd]", ["adam", "sgd"]),
        ("[8, full, 'a, b', 0x1F]", [8, "full", "a, b", 31]),
        ("[0.1, none, inf, true]", [0.1, "none", float("inf"), True]),
        ("[{optimizer=sgd, b1=1e-1}]", [{"optimizer": "sgd", "b1": 0.1}]),
        ("1\ntarget = 2", "1\ntarget = 2"),
    ],
)
def test_values(text, value):
    assert overridden({}, [f"data={text}"]) == {"data": value}


def test_the_given_document_stays_as_it_is():
    document = {"axes": {"seed": [0]}, "draw": {"ranges": {"b1": [0.9]}}}
    overridden(document, ["fixed.seed=1", "fixed.b1=0.5"])
    assert document == {"axes": {"seed": [0]}, "draw": {"ranges": {"b1": [0.9]}}}


def test_data_that_are_typed_are_looked_for_here(read, tmp_path):
    words = ("task=regression", "target=y")
    assert read("data=b.csv", *words).data == "b.csv"
    assert read(*words).data == "digits"
    (tmp_path / "mine.toml").write_text(FILE.replace("digits", "b.csv"))
    assert read(*words).data == str(tmp_path / "b.csv")
    assert read("data=b.csv", *words).data == "b.csv"  # the file has the same word, of another place


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("epochs", "'epochs' is no KEY=VALUE, such as epochs=5 or axes.seed="),
        ("epochs=", "'epochs=' is no KEY=VALUE"),
        ("=5", "'=5' is no KEY=VALUE"),
        ("axes..seed=[0]", "'axes..seed=.*' is no KEY=VALUE"),
        ("epoch=5", ".*mine.toml with epoch=5: unknown key 'epoch'; did you mean 'epochs'?"),
        ("axes.batch_sizes=[8]", ".*: unknown key in axes 'batch_sizes'; did you mean 'batch_size'?"),
        ("fixed.optimizer=adm", ".*: fixed.optimizer: unknown word 'adm'; did you mean 'adam'?"),
        ("learning_rate=0.1", ".*: learning_rate is a setting; write fixed.learning_rate=... or axes."),
        ("epochs=many", ".*: epochs is 'many'; a whole number of at least 1 is expected"),
        ("axes.seed=3", ".*: axes.seed is 3; a list of values is expected"),
        ("epochs.seed=3", "'epochs.seed=3': epochs is 20, which has no keys"),
        ("axes.seed=[0,1", "'axes.seed=.*: Unclosed array|'axes.seed=.*: Invalid value"),
        ("axes.seed=" + "[" * 2000, "'axes.seed="),
    ],
)
def test_one_line_for_what_cannot_be_used(read, word, message):
    with pytest.raises(ValueError, match=f"^({message})") as error:
        read(word)
    assert "\n" not in str(error.value)
