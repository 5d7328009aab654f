"""Measure what a new user waits for: from an empty environment to the first page.

    python benchmarks/first_hour.py [--python python3.11] [--keep-downloads]

An environment is made, the wheel of this checkout is installed into it with its extras, and README's first
command runs there in an empty folder, with nothing compiled before, until its page is written. pip downloads
everything anew, unless it may keep its downloads. Prints a Markdown table.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
COMMAND, EXTRAS, PAGE = ["compare"], "all", "report.html"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--python", default=sys.executable, help="which Python the environment is made with")
    parser.add_argument("--keep-downloads", action="store_true", help="let pip use earlier downloads")
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} cores, load over the last minutes {os.getloadavg()[1]:.1f}\n")
    with tempfile.TemporaryDirectory() as folder:
        wheel = built_wheel(Path(folder, "wheel"))
        times = time_first_page(arguments.python, wheel, Path(folder), arguments.keep_downloads)
    times["in all"] = Times(*map(sum, zip(*times.values(), strict=True)))
    print("| step | seconds | of CPU |\n|---|---|---|")
    for step, took in times.items():
        print(f"| {step} | {took.wall:.1f} | {took.cpu:.1f} |")


class Times(NamedTuple):
    """Seconds that passed, and seconds of all cores."""

    wall: float
    cpu: float


def built_wheel(folder: Path) -> Path:
    """The wheel of this checkout; building it is not timed."""
    options = ["--quiet", "--no-deps", "--wheel-dir", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(ROOT)], check=True)
    return next(folder.glob("*.whl"))


def time_first_page(python: str, wheel: Path, folder: Path, keep_downloads: bool) -> dict[str, Times]:
    """What each step took, by what is typed."""
    environment, empty = folder / "environment", folder / "empty"
    empty.mkdir()
    found = environment / ("Scripts" if os.name == "nt" else "bin")
    downloads = [] if keep_downloads else ["--no-cache-dir"]
    steps = {
        "python -m venv": [python, "-m", "venv", str(environment)],
        f'pip install "jaxgd[{EXTRAS}]"': [str(found / "pip"), "install", *downloads, f"{wheel}[{EXTRAS}]"],
        f"jaxgd {' '.join(COMMAND)}": [str(found / "jaxgd"), *COMMAND],
    }
    own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    own["XDG_CACHE_HOME"] = str(folder / "cache")  # of compiled programs
    quiet = {"check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    times = {}
    for step, command in steps.items():
        begun, spent = time.perf_counter(), cpu_of_children()
        subprocess.run(command, cwd=empty, env=own, **quiet)
        times[step] = Times(time.perf_counter() - begun, cpu_of_children() - spent)
    assert (empty / PAGE).stat().st_size > 0, f"{PAGE} was not written"
    return times


def cpu_of_children() -> float:
    """Seconds of CPU of all processes that were started here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
