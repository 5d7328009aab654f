"""No module of the package makes code or objects of data: what it reads is arrays, JSON, TOML and tables."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "jaxgd"
MODULES = sorted(PACKAGE.rglob("*.py"))
# Modules whose readers build what the data say, and functions that do so.
BANNED_MODULES = {"pickle", "_pickle", "cloudpickle", "dill", "marshal", "shelve", "joblib", "yaml", "code"}
BANNED_NAMES = {"eval", "exec", "__import__"}
BANNED_ATTRIBUTES = {"read_pickle", "to_pickle", "unpickle", "deserialize", "deserialize_and_load"}
# Readers that take pickles unless they are told not to.
READERS = {"load", "read_array"}
# Who imports a module by a name that is no constant: the user's own files, the package's own lazy names.
IMPORTERS = {"__init__.py", "cli/parsers.py", "references.py", "specs/user_files.py", "studies/__init__.py"}


def faults(tree):
    """The lines of a module's tree that could run what was read, each with why."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from ((node, a.name) for a in names if a.name.split(".")[0] in BANNED_MODULES)
            case ast.ImportFrom(module=str(module), level=0) if module.split(".")[0] in BANNED_MODULES:
                yield node, module
            case ast.Name(id=name) if name in BANNED_NAMES:
                yield node, name
            case ast.Call(func=ast.Name(id="compile" as name)):
                yield node, name
            case ast.Attribute(attr=name) if name in BANNED_ATTRIBUTES:
                yield node, name
            case ast.Attribute(value=ast.Name(id="builtins"), attr=name):
                yield node, name
            case ast.Call(func=ast.Attribute(value=owner, attr=name), keywords=keywords) if name in READERS:
                if ast.unparse(owner).split(".")[0] in ("np", "numpy") and not _refuses_pickles(keywords):
                    yield node, f"{name} without allow_pickle=False"
            case ast.keyword(arg="allow_pickle", value=value) if not _is_false(value):
                yield node, "allow_pickle"


def _refuses_pickles(keywords):
    return any(each.arg == "allow_pickle" and _is_false(each.value) for each in keywords)


def _is_false(value):
    return isinstance(value, ast.Constant) and value.value is False


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_runs_nothing_that_it_reads(path):
    found = [(node.lineno, what) for node, what in faults(ast.parse(path.read_text()))]
    assert not found


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "import yaml as y",
        "from joblib import load",
        "def f():\n    import marshal",
        "eval('1')",
        "run = exec",
        "compile('1', '', 'eval')",
        "builtins.eval('1')",
        "pandas.read_pickle(path)",
        "np.load(path)",
        "np.load(path, allow_pickle=True)",
        "numpy.load(path, allow_pickle=given)",
        "np.lib.format.read_array(file)",
        "other(path, allow_pickle=True)",
    ],
)
def test_each_of_these_would_be_found(code):
    assert list(faults(ast.parse(code)))


@pytest.mark.parametrize("code", ["np.load(path, allow_pickle=False)", "module.eval()", "json.loads(text)"])
def test_and_these_are_none(code):
    assert not list(faults(ast.parse(code)))


def test_only_these_import_by_a_name_that_is_no_constant():
    importers = set()
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=[given, *_]):
                    is_import = name in ("import_module", "spec_from_file_location", "exec_module")
                    if is_import and not isinstance(given, ast.Constant):
                        importers.add(str(path.relative_to(PACKAGE)))
    assert importers == IMPORTERS
