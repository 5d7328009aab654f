"""The rooms of the package import one way, and `import jaxgd` stays light."""

import ast
import importlib
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import jaxgd

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "jaxgd"
PUBLIC = PACKAGE / "__init__.py"
MODULES = sorted(set(PACKAGE.rglob("*.py")) - {PUBLIC})
SOURCES = sorted(
    path for folder in ("jaxgd", "tests", "examples", "benchmarks") for path in (ROOT / folder).rglob("*.py")
)
GROUND_FLOOR = ["arguments", "fingerprints", "pytrees", "machine", "numerics"]
ROOMS = [
    *GROUND_FLOOR,
    *("optim", "training", "sweeps", "specs", "landscape", "studies", "reports", "cli", "__main__"),
]
CORE = {"jax", "jaxlib", "optax", "numpy", "scipy", "xarray"}
# What a room may import beyond the core dependencies. Every one of these comes with an extra.
EXTRAS = {
    "sweeps": {"pandas"},  # which xarray itself cannot do without
    "training": {"sklearn", "mlxtend", "rich", "flax", "equinox"},
    "reports": {"plotly", "rich"},
    "cli": {"rich"},
}


def dotted(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> str:
    return module.split(".")[1]


def is_module(name: str) -> bool:
    path = ROOT / name.replace(".", "/")
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def imported_from(node: ast.ImportFrom, module: str, is_package: bool) -> list[str]:
    """What `from base import names` loads: the modules among the names, and base for the others."""
    base = node.module or ""
    if node.level:
        package = module.split(".") if is_package else module.split(".")[:-1]
        base = ".".join([*package[: len(package) - node.level + 1], *filter(None, [node.module])])
    names = [alias.name for alias in node.names]
    if base == "jaxgd":
        home_of = {**jaxgd._HOME_OF, **jaxgd._MODULES}
        return [home_of.get(n, f"jaxgd.{n}") for n in names if n != "__version__"]
    return [f"{base}.{n}" if is_module(f"{base}.{n}") else base for n in names]


def imports(path: Path, nodes=None) -> set[str]:
    """The names of all modules that the file imports, wherever in it; or only by the nodes given."""
    found: set[str] = set()
    for node in nodes if nodes is not None else ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= set(imported_from(node, dotted(path), path.name == "__init__.py"))
    return found


def inside(names: set[str]) -> set[str]:
    return {name for name in names if name.split(".")[0] == "jaxgd"}


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_rooms_import_one_way(path):
    own = ROOMS.index(room_of(dotted(path)))
    for name in inside(imports(path)):
        assert name != "jaxgd", f"{path} imports the public package from inside it"
        assert ROOMS.index(room_of(name)) <= own, f"{path} imports {name}, which is above it"


@pytest.mark.parametrize(
    "path", [p for p in MODULES if p.name != "__init__.py" and p.parent != PACKAGE], ids=dotted
)
def test_no_module_imports_its_own_rooms_init(path):
    assert f"jaxgd.{room_of(dotted(path))}" not in inside(imports(path))


def test_module_level_imports_have_no_cycle():
    graph = {dotted(p): inside(imports(p, ast.parse(p.read_text()).body)) - {dotted(p)} for p in MODULES}
    assert list(TopologicalSorter(graph).static_order())


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_third_party_imports_are_declared(path):
    roots = {name.split(".")[0] for name in imports(path)} - {"jaxgd", *sys.stdlib_module_names}
    assert roots <= CORE | EXTRAS.get(room_of(dotted(path)), set())


def test_no_module_is_named_like_a_function():
    modules = {dotted(path) for path in MODULES}
    public = set(jaxgd.__all__) - set(jaxgd._MODULES)
    assert not {name.split(".")[-1] for name in modules} & public
    for path in MODULES:
        functions = {n.name for n in ast.parse(path.read_text()).body if isinstance(n, ast.FunctionDef)}
        package = dotted(path) if path.name == "__init__.py" else dotted(path).rpartition(".")[0]
        assert not {f"{package}.{name}" for name in functions} & modules, path


def test_type_checkers_see_the_names_that_users_get():
    block = next(n for n in ast.parse(PUBLIC.read_text()).body if isinstance(n, ast.If))
    seen = {}
    for node in block.body:
        assert isinstance(node, ast.ImportFrom)
        for alias in node.names:
            name = f"{node.module}.{alias.name}"
            seen[alias.asname] = name if is_module(name) else node.module
    assert seen == {**jaxgd._HOME_OF, **jaxgd._MODULES}


@pytest.mark.parametrize("name", jaxgd.__all__)
def test_every_public_name_loads(name):
    assert getattr(jaxgd, name) is not None
    assert name in dir(jaxgd)


def test_rooms_export_what_they_say():
    for room in ("optim", "training", "sweeps"):
        module = importlib.import_module(f"jaxgd.{room}")
        missing = [name for name in module.__all__ if not hasattr(module, name)]
        assert not missing, f"jaxgd.{room}.__all__ names {missing}"


def test_unknown_attribute():
    with pytest.raises(AttributeError, match="no attribute 'adm'"):
        _ = jaxgd.adm


def loaded_by(code: str, *arguments: str) -> set[str]:
    """The modules loaded in a fresh interpreter that runs the code."""
    report = "print('\\n' + ' '.join(sys.modules))"
    script = f"import sys\ntry:\n    {code}\nexcept SystemExit:\n    pass\n{report}"
    run = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True
    )
    return set(run.stdout.split("\n")[-2].split())


@pytest.mark.parametrize(
    ("code", "arguments"),
    [("import jaxgd", ()), ("from jaxgd import cli; cli.main()", ("--help",))],
    ids=["import jaxgd", "jaxgd --help"],
)
def test_loads_without_jax(code, arguments):
    assert not loaded_by(code, *arguments) & {*CORE, "plotly", "sklearn"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_are_short(path):
    assert len(path.read_text().splitlines()) <= 400
