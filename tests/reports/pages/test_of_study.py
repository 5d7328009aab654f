"""The page of a study: what it says stands in it, and hostile names stay text."""

import numpy as np

from jaxgd.reports.pages import of_study, study_terminal
from jaxgd.studies import study_of
from jaxgd.studies.batch_size.found import NoiseAt
from jaxgd.studies.noise_scales import gradient_noise_scale
from tests.studies.scaling.tables import table_of

HOSTILE = "<script>alert(1)</script>"


def study(goal=1.0, methods=("adam",), noise=False, name="curves"):
    random = np.random.default_rng(0)
    table = {}
    for method in methods:
        best = np.log(20 * (1 + 32 / np.array([4, 8, 16, 32, 64])))[:, None, None]
        logs = best + np.array([0.3, 0.0, 0.3])[:, None] + 0.03 * random.normal(size=(5, 3, 10))
        part = table_of(logs, (4, 8, 16, 32, 64), (0.1, 0.2, 0.4))
        part["optimizer"] = [method] * len(part["loss"])
        table = {column: table.get(column, []) + values for column, values in part.items()}
    scale = gradient_noise_scale([3.0, 3.1, 2.9], [2.0, 2.1, 1.9], 1, 4)
    measured = NoiseAt(methods[0], 16.0, 0.2, np.array([1.0, 2.0]), [scale, scale], scale)
    return study_of(table, {"loss": goal}, noise=measured if noise else None, name=name)


def test_what_was_found_is_on_the_page():
    found = study(noise=True)
    page = of_study.page(found)
    headline, _, lead = found.sentence.partition(". ")
    for text in (
        f"<h1>{headline}</h1>",
        lead,
        "How far can the batch size be raised",
        "Which learning rate belongs",
    ):
        assert text in page
    assert "At equal epochs, updates, examples and seconds" in page
    assert "The gradient noise scale, along training" in page
    assert f"by the fit {found.methods[0].critical.fit.value:.3g}" in page


def test_a_goal_out_of_reach_and_no_noise_scale_still_make_a_page():
    found = study(goal=1e-9)
    page = of_study.page(found)
    assert "nothing to recommend" in page
    assert "along training" not in page


def test_names_stay_text():
    page = of_study.page(study(methods=(HOSTILE, "sgd"), name=HOSTILE))
    assert HOSTILE not in page


def test_a_terminal_shows_the_same_cell():
    from rich.console import Console

    found = study(methods=("adam", "sgd"))
    console = Console(width=200)
    with console.capture() as text:
        console.print(study_terminal.render(found))
    lines = text.get().splitlines()
    assert lines[0] == found.sentence
    marked = [line for line in lines if " * " in line]
    assert any(f"{found.pick.batch_size:g} *" in line for line in marked)


def test_it_is_written_as_a_whole(tmp_path):
    of_study.write(study(), tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")
