"""How the package hangs together: rooms import one way, names are there once, `import jaxgd` stays light."""

import ast
import importlib
import subprocess
import sys
from collections import Counter
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from building import reference
from building.blocks import blocks

import jaxgd

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "jaxgd"
PUBLIC = PACKAGE / "__init__.py"
MODULES = sorted(set(PACKAGE.rglob("*.py")) - {PUBLIC})
GROUND_FLOOR = ["aliases", "arguments", "fingerprints", "references", "pytrees", "machine", "numerics"]
GROUND_FLOOR += ["strict_json", "html_text", "tracing", "operations"]
ROOMS = [
    *GROUND_FLOOR,
    *("logs", "tables", "optim", "training", "sweeps", "specs"),
    *("landscape", "studies", "reports", "cli", "__main__"),
]
# What a later part of `sweeps` may import of an earlier one, and never the other way.
SWEEPS = [
    *("axes", "draws", "cohorts", "making", "runs", "groups", "blocks", "lanes", "functions"),
    *("planning", "engine", "store", "results", "folders", "workers", "logged", "sinks", "timing", "probes"),
    *("calibration", "conducting", "sweeping", "function_sweeps"),
]
NAMEDTUPLE = {"_replace", "_asdict", "_fields", "_make"}
# Public functions to come: no module may have their names either.
LATER = {"table", "study"}
CORE = {"jax", "jaxlib", "jaxtyping", "optax", "numpy", "scipy", "xarray", "filelock"}
# What a room may import beyond the core dependencies. Every one of these comes with an extra.
EXTRAS = {
    "logs": {"tensorboardX"},
    "tables": {"pandas", "sklearn"},
    "sweeps": {"pandas"},  # which xarray itself cannot do without
    "training": {"sklearn", "mlxtend", "rich", "flax", "equinox"},
    "specs": {"pandas"},  # for type checkers alone, as in studies
    "studies": {"sklearn", "pandas"},
    "reports": {"plotly", "rich", "jinja2", "markupsafe"},
    "cli": {"rich", "distributed", "shtab"},
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
        return [home_of.get(n, f"jaxgd.{n}") for n in names]
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


def test_rooms_within_sweeps_import_one_way():
    for path in (PACKAGE / "sweeps").rglob("*.py"):
        parts = dotted(path).split(".")
        for name in inside(imports(path)) if len(parts) > 2 else ():
            other = name.split(".")
            if other[1] == "sweeps":
                assert SWEEPS.index(other[2]) <= SWEEPS.index(parts[2]), f"{path} imports {name}, above it"


def test_no_imports_in_circles():
    """Not within functions or for type checkers either."""
    graph = {dotted(path): inside(imports(path)) - {dotted(path)} for path in MODULES}
    assert list(TopologicalSorter(graph).static_order())


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_no_private_name_of_another_module_is_read(path):
    tree = ast.parse(path.read_text())
    read, own = {}, set(NAMEDTUPLE)
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=name):
                own.add(name)
            case ast.Attribute(value=ast.Name(id=module)) if module in sys.stdlib_module_names:
                pass
            case ast.Attribute(attr=name) if name.startswith("_") and not name.startswith("__"):
                read[name] = node.lineno
            case (
                ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.AnnAssign(target=ast.Name(id=name))
            ):
                own.add(name)
            case ast.Assign(targets=targets):
                own |= {target.id for target in targets if isinstance(target, ast.Name)}
            case ast.ImportFrom(module=module, names=names) if (module or "").startswith("jaxgd"):
                private = [n.name for n in names if n.name.startswith("_") and not n.name.startswith("__")]
                assert not private, f"{path} imports {private} from {module}"
    found = {name: line for name, line in read.items() if name not in own}
    assert not found, f"{path} reads {found}"


def test_a_name_is_there_once():
    """No class name twice in the package, no module name twice in a room."""
    classes, modules = Counter(), Counter()
    for path in MODULES:
        tree = ast.parse(path.read_text())
        classes.update(node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
        modules[room_of(dotted(path)), path.stem] += path.stem != "__init__"
    assert [name for name, count in (classes + modules).items() if count > 1] == []


def code_lines(path: Path) -> list[tuple[int, str]]:
    """The lines of a file that say what is done: no imports, signatures, docstrings, comments, blanks."""
    text = path.read_text()
    left_out: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            left_out |= set(range(node.lineno, (node.end_lineno or 0) + 1))
        elif isinstance(node, ast.FunctionDef):
            left_out |= set(range(node.lineno, node.body[0].lineno))
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module) and ast.get_docstring(node):
            left_out |= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    lines = ((place, line.strip()) for place, line in enumerate(text.splitlines(), 1))
    return [(place, line) for place, line in lines if place not in left_out and line and line[0] != "#"]


def test_nothing_is_written_twice():
    """No run of six equal lines outside the tests."""
    seen: dict[tuple[str, ...], str] = {}
    for folder in ("jaxgd", "benchmarks", "docs", "examples"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            lines = code_lines(path)
            for start in range(len(lines) - 5):
                place = f"{path.relative_to(ROOT)}, line {lines[start][0]}"
                other = seen.setdefault(tuple(line for _, line in lines[start : start + 6]), place)
                assert other == place, f"{other} and {place} are the same"


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_third_party_imports_are_declared(path):
    roots = {name.split(".")[0] for name in imports(path)} - {"jaxgd", *sys.stdlib_module_names}
    assert roots <= CORE | EXTRAS.get(room_of(dotted(path)), set())


def test_no_module_is_named_like_a_function():
    modules = {dotted(path) for path in MODULES}
    public = set(jaxgd.__all__) - set(jaxgd._MODULES) | LATER
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


PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
DOCUMENTED = {entry.module for page in reference.pages() for entry in reference.entries(page.read_text())}


def public_names(module: str) -> set[str]:
    loaded = importlib.import_module(module)
    return set(getattr(loaded, "__all__", [name for name in vars(loaded) if not name.startswith("_")]))


def names_used(tree: ast.AST) -> set[tuple[str, str]]:
    """`(module, name)` of all that a page imports from the package, or reaches through `jaxgd.`."""
    found: set[tuple[str, str]] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "jaxgd":
            found |= {(str(node.module), alias.name) for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {(a.name, "__name__") for a in node.names if a.name.startswith("jaxgd.")}
        elif isinstance(node, ast.Attribute):
            owner = ast.unparse(node.value)
            module = owner if owner == "jaxgd" else jaxgd._MODULES.get(owner.removeprefix("jaxgd."))
            if module:
                found.add((module, node.attr))
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_use_public_names_only(page):
    for block in blocks(page):
        for module, name in names_used(ast.parse(block)):
            assert module in DOCUMENTED, f"{module} is not in docs/reference"
            assert name in public_names(module), f"{module} does not export {name}"


def test_views_is_another_name_of_figures():
    assert jaxgd.views is jaxgd.figures


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


def test_a_comparison_loads_what_its_results_need_while_its_programs_compile():
    loaded = loaded_by("import jaxgd.studies.comparison.comparing, jaxgd.specs.sources")
    assert not loaded & {"xarray", "pandas", "sklearn", "plotly", "scipy.stats"}
