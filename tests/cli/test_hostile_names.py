"""Names that try to be something else: paths, options, commands of a shell, devices, markup, signs that hide.

Whatever they name, nothing is written outside of the folder that a person chose, and what cannot be a name is
one line that says which argument, before anything is trained.
"""

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest

import jaxgd
from jaxgd import cli
from jaxgd.cli import jax_start
from jaxgd.reports.pages import of_sweep
from jaxgd.specs.runs import SpecRuns
from jaxgd.sweeps.store.manifest import read_manifest

DATA = Path(__file__).parents[1] / "data"
RESULT = jaxgd.load(DATA / "format_1")
SPEC = DATA / "format_1.toml"
# What no file system takes, and what one may.
REFUSED = ("a\0b", "\0", "", " ", "n" * 300, "n" * 5000, "d/" * 3000 + "x")
NAMES = (
    *("../x", "../../x", "..", "../../../../../../tmp/jaxgd_hostile", "/tmp/jaxgd_hostile/x", "~", "~root/x"),
    *("a/../../x", "./.", "a\\..\\..\\x", "a\\b", "C:\\x", "x:stream", "file:///tmp/x", "http://x.invalid/x"),
    *("CON", "NUL", "com1.csv", "aux.html", "a\nb", "a\rb", "\x1b[31mred", "\x07", " lead", "trail. "),
    *("[/b]", "[bold red]x", "[link=https://x.invalid]y[/link]", "$(touch pwned)", "`touch pwned`"),
    *("; touch pwned", "| touch pwned", "&& touch pwned", "> pwned", "*", "?", "-rf", "--out", "--help"),
    *("%s%n", "{0}", "manifest.json", "\u202etxt.exe", "e\u0301", "\ufeffx", "\udce9x", "ａｄａｍ"),
)


def tree(folder):
    """Everything in a folder and below: names, links, contents."""
    return {
        str(path.relative_to(folder)): (path.is_symlink(), path.read_bytes() if path.is_file() else None)
        for path in sorted(folder.rglob("*"))
    }


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder within others, to be left; a sweep saved in it, and a table. Training would be an error."""
    folder = tmp_path / "outer" / "inner" / "here"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(jax_start, "start_jax", lambda cache: None)
    monkeypatch.setattr(SpecRuns, "run", None)
    monkeypatch.setattr("jaxgd.studies.comparison.comparing.run_comparison", None)
    RESULT.save("saved")
    rows = "".join(f"{i},{i * i % 7},{'yes' if i % 2 else 'no'}\n" for i in range(60))
    Path("t.csv").write_text(f"a,b,y\n{rows}")
    return tmp_path


def run(capsys, *arguments):
    try:
        code = cli.main(arguments)
    except SystemExit as error:
        code = error.code
    return code, *capsys.readouterr()


# Each with the name of what it gives, as the complaint calls it.
INPUTS = {
    "data": lambda name: ["compare", f"--data={name}"],
    "target": lambda name: ["compare", "--data=t.csv", f"--target={name}"],
    "drop": lambda name: ["compare", "--data=t.csv", "--target=y", f"--drop=z{name}"],
    "group": lambda name: ["compare", "--data=t.csv", "--target=y", f"--group={name}"],
    "split": lambda name: ["compare", "--data=t.csv", "--target=y", f"--split={name}"],
    "optimizers": lambda name: ["compare", f"--optimizers=x{name}"],
    "spec": lambda name: ["sweep", "--out=out", "--", name],
    "folder": lambda name: ["report", "--", name],
    "metric": lambda name: ["report", "saved", f"--metric=x{name}"],
    "surface": lambda name: ["landscape", "--", name],
    "surface's optimizers": lambda name: ["landscape", "sphere", f"--optimizers=x{name}"],
    "problem": lambda name: ["landscape", "saved", f"--problem={name}"],
    "data of a sweep": lambda name: ["landscape", "saved", f"--data={name}"],
}


@pytest.mark.parametrize("given", INPUTS)
def test_a_name_that_is_not_there_is_one_line_and_writes_nothing(place, capsys, given):
    before = tree(place)
    for name in (*REFUSED, *NAMES):
        code, out, err = run(capsys, *INPUTS[given](name))
        if given == "folder" and name in ("./.", ".."):
            assert "no sweep was saved there" in err
        assert (code, out, err.count("\n")) == (2, "", 1), (name, err)
        assert "Errno" not in err
        assert "\x1b" not in err
    assert tree(place) == before


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("given", ["data", "spec", "folder", "surface"])
def test_a_name_that_the_system_refuses_names_the_argument(place, capsys, given, name):
    err = run(capsys, *INPUTS[given](name))[2]
    argument = "source" if given == "surface" else given
    assert f"error: {argument} is '" in err
    assert "; the name of a" in err or ", which cannot be read: File name too long" in err


# `..` and `/` in a path are the person's own word. A surrogate cannot be printed by pytest.
@pytest.mark.parametrize("name", [name for name in NAMES if not {"..", "/", "\udce9"} & {*name, name[:2]}])
def test_an_output_is_where_it_was_said_to_be(place, capsys, monkeypatch, name):
    monkeypatch.setattr(of_sweep, "page", lambda *given: "<title>jaxgd sweep")
    before = tree(place)
    out = Path(f"{name}_", f"{name}.html")
    out.parent.mkdir()
    code, printed, err = run(capsys, "report", "saved", f"--out={out}")
    assert (code, printed, err) == (0, f"Report: {out.resolve()}\n", "")
    after = tree(place)
    assert set(after) - set(before) == {str(path.resolve().relative_to(place)) for path in (out, out.parent)}
    assert {path: after[path] for path in before} == before


def named(texts):
    """The result with the texts for its axes' names, and for the values of one of them."""
    first, second, third = texts[:3]
    dataset = RESULT.dataset.rename({"batch_size": first, "learning_rate": second})
    axes = {first: RESULT.axes["batch_size"], second: list(texts[:2]), "seed": RESULT.axes["seed"]}
    dataset = dataset.assign_coords({second: np.array(texts[:2], object)})
    spec = {**RESULT.spec, "data": third, "fixed": {"optimizer": third, third: first}}
    groups = tuple(dataclasses.replace(group, optimizer=second) for group in RESULT.plan.groups)
    plan = dataclasses.replace(RESULT.plan, groups=groups, device=third)
    return dataclasses.replace(RESULT, dataset=dataset, axes=axes, spec=spec, plan=plan)


@pytest.mark.parametrize("start", range(0, len(NAMES), 3))
def test_names_of_axes_values_and_optimizers_make_no_files(place, start):
    texts = [name.replace("\udce9", "\\udce9") for name in (*NAMES, *NAMES[:2])[start : start + 3]]
    before = tree(place)
    result = named(texts)
    result.save("named")
    result.to_csv("named/table.csv")
    of_sweep.page(result)
    again = jaxgd.load("named")
    assert again.axes == result.axes
    files = {entry["name"] for entry in read_manifest(Path("named"))["files"].values()}
    assert set(os.listdir("named")) == {"manifest.json", "table.csv", *files}
    after = tree(place)
    assert {path: content for path, content in after.items() if "here/named" not in path} == before


def test_links_in_a_folder_are_replaced_and_not_followed(place, capsys, monkeypatch):
    monkeypatch.setattr(SpecRuns, "run", lambda runs, **options: RESULT)
    precious = place / "precious"
    precious.write_text("precious")
    files = [entry["name"] for entry in read_manifest(Path("saved"))["files"].values()]
    for name in [*files, "report.html", "table.csv", "sweep.nc"]:
        path = Path("saved", name)
        path.unlink(missing_ok=True)
        path.symlink_to(precious)
    RESULT.save("saved")
    assert run(capsys, "report", "saved")[0] == 0
    RESULT.to_csv("saved/table.csv")
    RESULT.to_netcdf("saved/sweep.nc")
    assert precious.read_text() == "precious"
    assert not any(path.is_symlink() for path in Path("saved").iterdir())
    assert jaxgd.load("saved").dataset.identical(RESULT.dataset)


@pytest.mark.parametrize("name", ["a\0b", ""])
def test_a_path_from_python_that_cannot_be(place, name):
    before = tree(place)
    for write in (RESULT.to_csv, RESULT.to_netcdf):
        with pytest.raises(ValueError, match=r"^path is '.*'; the name of a file is needed$"):
            write(name)
    for folder in (RESULT.save, jaxgd.load):
        with pytest.raises(ValueError, match=r"^folder is '.*'; the name of a folder is needed$"):
            folder(name)
    assert tree(place) == before
