import sys

import pytest

from jaxgd.specs.user_files import UserFileError, call_user, describe_error, load_object


@pytest.fixture
def user_file(tmp_path, monkeypatch):
    """Writes a file in a folder of its own, which becomes the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)

    def write(text, name="mine.py"):
        (tmp_path / name).write_text(text)
        return name

    yield write
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_an_object_in_a_file(user_file):
    user_file("class inner:\n    answer = 42\n")
    assert load_object("mine.py:inner.answer") == (42, "mine.py")


def test_an_object_in_a_module(user_file):
    user_file("answer = 42\n", "module_beside.py")
    value, file = load_object("module_beside:answer")
    assert value == 42
    assert file.endswith("module_beside.py")


def test_files_beside_it_can_be_imported(user_file):
    user_file("answer = 42\n", "sibling_file.py")
    user_file("from sibling_file import answer\n")
    assert load_object("mine.py:answer")[0] == 42


def test_missing(user_file):
    user_file("answer = 42\n")
    with pytest.raises(ValueError, match=r"there is no file other.py"):
        load_object("other.py:answer")
    with pytest.raises(ValueError, match=r"mine.py has no 'anser'; did you mean 'answer'\?"):
        load_object("mine.py:anser")
    with pytest.raises(ValueError, match=r"there is no module 'no_such_module'"):
        load_object("no_such_module:answer")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\ny = x / 0\n", "mine.py:2: ZeroDivisionError: division by zero"),
        ("x = 1\ny = = 2\n", "mine.py:2: SyntaxError: invalid syntax"),
        ("import no_such_module\n", "mine.py:1: ModuleNotFoundError: No module named 'no_such_module'"),
        ("import sys\n\nsys.exit(3)\n", "mine.py:3: SystemExit: 3"),
        ("raise ValueError('one\\ntwo')\n", "mine.py:1: ValueError: one"),
        ("raise ValueError\n", "mine.py:1: ValueError"),
    ],
)
def test_errors_name_file_and_line(user_file, text, message):
    user_file(text)
    with pytest.raises(UserFileError) as raised:
        load_object("mine.py:answer")
    assert str(raised.value) == message


def test_errors_in_a_module(user_file):
    user_file("x = 1\ny = x / 0\n", "broken_module.py")
    with pytest.raises(UserFileError, match=r"broken_module.py:2: ZeroDivisionError"):
        load_object("broken_module:answer")
    user_file("import no_such_module\n", "needy_module.py")
    with pytest.raises(UserFileError, match=r"No module named 'no_such_module'"):
        load_object("needy_module:answer")


def test_errors_in_a_call(user_file):
    user_file("def build():\n    return 1 / 0\n\ndef needs(x):\n    return x\n")
    with pytest.raises(UserFileError, match=r"^mine.py:2: ZeroDivisionError: division by zero$"):
        call_user(load_object("mine.py:build")[0], "mine.py")
    with pytest.raises(UserFileError, match=r"^mine.py: TypeError: needs.. missing 1 required"):
        call_user(load_object("mine.py:needs")[0], "mine.py")


def test_an_error_from_elsewhere_is_not_the_users(user_file):
    user_file("answer = 42\n")
    assert describe_error(ValueError("ours"), "mine.py") is None
