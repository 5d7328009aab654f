import dataclasses
import json
import math
import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from plotly.offline import get_plotlyjs

from jaxgd.reports import page
from jaxgd.reports.pages import of_comparison
from jaxgd.studies.comparison.answer import baseline_lines, cell_text

TEMPLATES = Path(page.__file__).parent / "templates"

HOSTILE = "<script>alert(1)</script><!-- \"'&${data}\u2028.csv"
VOID = {"meta", "input", "br", "link", "img", "hr"}


class Document(HTMLParser):
    """The tags, attributes and texts of a page; raises if an element is closed that is not open."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts, self.open = [], {}, []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts[self.open[-1] if self.open else ""] = (
            self.texts.get(self.open[-1] if self.open else "", "") + data
        )


def payload(text):
    """The JSON that the page carries."""
    found = re.search(r'<script type="application/json" id="page-data">(.*?)</script>', text, re.DOTALL)
    assert found
    assert "<" not in found[1]
    return json.loads(found[1], parse_constant=lambda name: pytest.fail(f"{name} in the page's JSON"))


@pytest.fixture(scope="module")
def text(comparison):
    return of_comparison.page(comparison)


def test_the_page_opens_with_the_sentence_and_the_warnings(text, comparison):
    headline, lead = opening(text)
    cell = comparison.recommended
    assert headline == f"On digits, 20 epochs: use {cell_text(cell, comparison.about.num_train)}"
    assert f"{headline}: {lead[0].lower()}{lead[1:]}" == comparison.sentence
    listed = re.search(r'<aside class="warnings".*?</aside>', text, re.DOTALL)
    assert listed
    assert [unescape(line) for line in re.findall(r"<li>(.*?)</li>", listed[0])] == comparison.warnings


def test_the_headline_where_nothing_is_recommended(comparison):
    """The first clause, though the data are called as it begins."""
    for rest in (". Predicting 3 every time gives 10.0 %.", ": every cell diverged. Try smaller rates."):
        sentence = f"On nothing to recommend.csv, 3 epochs: nothing to recommend{rest}"
        text = of_comparison.page(dataclasses.replace(comparison, sentence=sentence, recommended=None))
        headline, lead = opening(text)
        assert headline == "On nothing to recommend.csv, 3 epochs: nothing to recommend"
        assert lead.lower() == rest[2:].lower()


def opening(text):
    """The headline of a page, and how it goes on below."""
    found = re.search(r'<h1>(.*?)</h1>\n<p class="lead">(.*?)</p>', text)
    assert found
    return unescape(found[1]), unescape(found[2])


def test_elements_are_closed(text):
    assert Document(text).tags


def test_nothing_is_fetched(text):
    for tag, attributes in Document(text).tags:
        assert tag not in ("link", "img", "iframe", "object", "embed", "base")
        assert not {"src", "href", "srcset", "action", "data"} & attributes.keys()
    own = text.replace(get_plotlyjs(), "")
    assert "http:" not in own
    assert "https:" not in own
    assert "url(" not in own
    assert "@import" not in own
    assert "default-src 'none'" in text


def test_plotly_is_there_once(text):
    assert text.count("* plotly.js v") == 1
    assert text.count(get_plotlyjs()) == 1


def test_the_file_is_little_more_than_plotly(text):
    assert len(text) - len(get_plotlyjs()) < 500_000


def test_the_json_is_valid_and_has_every_figure(text, comparison):
    figures = payload(text)["figures"]
    optimizers = {cell.optimizer for cell in comparison.cells}
    measures = {comparison.score, "loss"}
    assert [len(place["figures"]) for place in figures.values()] == [
        len(optimizers) * len(measures),
        *[1] * len(optimizers),
        *[len(optimizers)] * 2,
    ]
    assert figures["figure-1-0"]["counts"] == [len(optimizers), len(measures)]
    assert figures["figure-1-0"]["titles"][0].startswith(comparison.cells[0].optimizer)
    for figure in figures["figure-1-0"]["figures"]:
        clocks = figure["layout"]["meta"]["clocks"]
        assert list(clocks) == ["epochs", "updates", "examples", "seconds"]
        assert {len(clock["of"]) for clock in clocks.values()} == {len(figure["data"])}


def test_every_place_the_script_fills_exists(text):
    ids = [attributes["id"] for _, attributes in Document(text).tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    data = payload(text)
    assert {*data["figures"], *(f"{place}-title" for place in data["figures"])} <= set(ids)
    script = (TEMPLATES / "page.js").read_text()
    assert set(re.findall(r'byId\("([^"]+)"\)', script)) <= set(ids)


def test_what_a_user_names_is_escaped(synthetic_comparison):
    made = synthetic_comparison("loss", data=HOSTILE, optimizers=("sgd", "adam"))
    hostile = dataclasses.replace(
        made,
        warnings=[HOSTILE],
        snippet=f"load({HOSTILE!r})",
        about=made.about._replace(
            **{n: HOSTILE for n, v in made.about._asdict().items() if isinstance(v, str)}
        ),
    )
    text = of_comparison.page(hostile)
    document = Document(text)
    assert [tag for tag, _ in document.tags].count("script") == 3
    assert "alert(1)" not in document.texts["script"]
    assert hostile.sentence.startswith(document.texts["h1"])
    assert HOSTILE in document.texts["h1"]
    assert HOSTILE in document.texts["title"]
    assert "<!--" not in text.replace(get_plotlyjs(), "")
    payload(text)


def test_numbers_say_which_split_they_come_from(text, comparison):
    document = Document(text)
    scored = (
        f"Test scores are {comparison.score} on 360 examples; intervals (95\u00a0%) cover fresh seeds and "
        "these test rows. Rates were chosen on the validation split, with other seeds."
    )
    assert scored in document.texts["p"]
    assert comparison.about.intervals in document.texts["dd"]
    assert "Validation split (359 examples), 5 fresh seeds" in document.texts["p"]
    assert f"Final validation {comparison.score} after 20 epochs, mean over 3 seeds" in document.texts["p"]
    groups = {f"Validation {comparison.score}", f"Test {comparison.score}, fresh seeds"}
    assert groups <= set(re.findall(r'colspan="\d">([^<]*)<', text))
    assert "0 to 2 chose the rates, fresh ones follow" in document.texts["dd"]


def test_the_table_has_every_cell_in_order(text, comparison):
    rows = table_rows(text)[: len(comparison.cells)]
    for row, cell in zip(rows, comparison.cells, strict=True):
        keys = re.findall(r'data-sort="([^"]*)"', row)
        assert keys[1:4] == [cell.optimizer, str(cell.batch_size), str(cell.learning_rate)]
        recommended = ", recommended" if cell is comparison.recommended else ""
        assert keys[6] == f"{cell.verdict}{recommended}"
        assert keys[7] == "5"
    last = re.findall(r'data-sort="([^"]*)"', rows[-1])
    assert last[1:3] == ["momentum", "32"]
    assert last[4:9] == ["", "", "no verdict", "5", "1"]


def table_rows(text):
    """The rows of all tables of the page, that of the cells first."""
    return re.findall(r"<tr(?: class=\"\w+\")?>(<td.*?)</tr>", text, re.DOTALL)


def test_the_table_has_what_fits_a_window(text):
    """Verdicts take a line a word at most, intervals may stand below their pictures."""
    heads = re.findall(r'<th scope="col" class="\w+"><button type="button">(.*?)</button>', text)
    spans = [int(span) for span in re.findall(r'<th scope="colgroup" colspan="(\d+)">', text)]
    heads = heads[: sum(spans)]
    assert heads[0] == "#"
    assert heads[-3:] == ["Updates", "Seconds", "Memory of an update"]
    assert re.search(r">(cannot\u00a0tell|as\u00a0good), recommended</td>", table_rows(text)[0])
    assert text.count(" pictured") == sum(" pictured" in row for row in table_rows(text)) > 0


# Of pictures 80 pixels wide that end at ±0.2; an arrowhead is 5 long.
LEFT, RIGHT = "M1 7L6 3V11Z", "M79 7L74 3V11Z"


@pytest.mark.parametrize(
    ("gap", "low", "high", "whisker", "heads", "dots"),
    [
        (0.0, -0.2, 0.2, "M10 7H70", [], ["40"]),
        (-0.1, -0.3, 0.1, "M6 7H55", [LEFT], ["25"]),
        (0.1, -0.1, 0.21, "M25 7H74", [RIGHT], ["55"]),
        (0.1, -0.3, 0.3, "M6 7H74", [LEFT, RIGHT], ["55"]),
        (-0.4, -0.5, -0.1, "M6 7H25", [LEFT], []),
        (-0.4, -math.inf, math.inf, "M6 7H74", [LEFT, RIGHT], []),
    ],
)
def test_an_interval_that_goes_on_beyond_its_picture_has_an_arrowhead(
    synthetic_comparison, gap, low, high, whisker, heads, dots
):
    made = synthetic_comparison(optimizers=("adam",), batch_sizes=(32, 8, 1), epochs=1)
    ends = [(gap, low, high), (0.0, -0.2, 0.2), (0.0, -0.2, 0.2)]
    cells = [
        dataclasses.replace(cell, gap=end[0], gap_low=end[1], gap_high=end[2])
        for cell, end in zip(made.cells, ends, strict=True)
    ]
    text = of_comparison.page(dataclasses.replace(made, cells=cells))
    picture = re.findall(r"<svg.*?</svg>", table_rows(text)[0])[0]
    assert f'class="whisker" d="{whisker}"' in picture
    assert re.findall(r'<path d="(.*?)"', picture) == heads
    assert re.findall(r'<circle cx="(.*?)"', picture) == dots


def test_bold_is_what_the_legend_says(comparison):
    """What is recommended without being shown to be as good as the best is not bold."""
    first, second, *_ = comparison.cells
    cells = [
        dataclasses.replace(first, verdict="cannot tell"),
        *(dataclasses.replace(second, verdict=verdict) for verdict in ("better", "as good", "worse")),
    ]
    text = of_comparison.page(dataclasses.replace(comparison, cells=cells, recommended=cells[0]))
    assert "Bold: shown to be as good as the best, or better." in text
    rows = re.findall(r"<tr( class=\"same\")?><td.*?</tr>", text, re.DOTALL)
    assert [bool(marked) for marked in rows[:4]] == [False, True, True, False]


def test_the_table_comes_first(text):
    headings = re.findall(r"<h2[^>]*>(.*?)</h2>", text)
    places = [
        headings.index(name)
        for name in ("Every optimizer and batch size, at its best rate", "What an update costs")
    ]
    assert places[0] == min(k for k, name in enumerate(headings) if name != "Before you rely on it")
    assert places[0] < places[1]


def test_details_and_baselines_are_there(text, comparison):
    document = Document(text)
    assert all(line in document.texts["p"] for line in comparison.details)
    notes = re.findall(r'<p class="note">(.*?)</p>', text)
    lines = baseline_lines(comparison.constant, comparison.linear, comparison.score)
    assert unescape(notes[0]) == " ".join(lines)


def test_the_confusion_of_a_classification(text, comparison):
    """A row for each class, its name first; none for a regression."""
    rows = table_rows(text)[len(comparison.cells) :]
    shown = [re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL) for row in rows]
    if comparison.score == "loss":
        assert shown == []
        return
    assert "Which classes are taken for which" in text
    assert [row[0] for row in shown] == [str(k) for k in range(10)]
    assert shown[3] == ["3", "0", "0", "0", "33", "0", "0", "0", "0", "1.4", "0"]
    assert shown[8][4] == "12.2"


@pytest.mark.parametrize(("classes", "shown"), [(12, True), (13, False)])
def test_the_confusion_of_many_classes_is_left_out(synthetic_comparison, classes, shown):
    made = synthetic_comparison(optimizers=("adam",), batch_sizes=(32,), epochs=1)
    quality = made.quality._replace(confusion=np.eye(classes))
    text = of_comparison.page(dataclasses.replace(made, quality=quality))
    assert ("Which classes are taken for which" in text) == shown


def test_classes_have_their_names(synthetic_comparison):
    made = synthetic_comparison(optimizers=("adam",), batch_sizes=(32,), epochs=1)
    quality = made.quality._replace(confusion=np.array([[5.0, 1.0], [0.5, 4.0]]))
    text = of_comparison.page(dataclasses.replace(made, quality=quality, classes=("<no>", "yes")))
    assert re.findall(r"<td[^>]*>(&lt;no&gt;|yes)</td>", text) == ["&lt;no&gt;", "yes"]


def test_curves_say_how_many_seeds_they_are_drawn_of(synthetic_comparison):
    """All that every cell has: after further rounds for all cells more than the first round had."""
    made = synthetic_comparison(optimizers=("adam",), batch_sizes=(32,), epochs=1)
    about = made.about._replace(seeds=made.about.seeds._replace(num_fresh=2), fresh_counts=(2, 5))
    figures = payload(of_comparison.page(dataclasses.replace(made, about=about)))["figures"]
    assert figures["figure-1-0"]["titles"][0] == "adam: validation accuracy, 5 fresh seeds"


def test_a_run_without_chance_is_called_one_run(synthetic_comparison):
    made = synthetic_comparison(optimizers=("adam",), batch_sizes=(32, 1), epochs=1)
    once = [dataclasses.replace(made.cells[0], chance=False), made.cells[1]]
    rows = table_rows(of_comparison.page(dataclasses.replace(made, cells=once)))
    assert ">one run</td>" in rows[0]
    assert ">5</td>" in rows[1]


def test_settings_command_and_snippet_are_there(text, comparison):
    document = Document(text)
    assert comparison.about.command in document.texts["code"]
    assert comparison.snippet in document.texts["code"]
    grid = "8 optimizers × 4 batch sizes × 6 learning rates × 3 seeds = 576 runs of 20 epochs"
    time = "21 s in all, compilation included: grid 15 s, fresh seeds 4 s, clock 2.4 s"
    for value in (grid, time, "2 x cpu"):
        assert value in document.texts["dd"]


@pytest.mark.parametrize("score", ["accuracy", "loss"])
def test_the_smallest_comparison_has_a_page(synthetic_comparison, score):
    made = synthetic_comparison(
        score, optimizers=("adam",), batch_sizes=(32,), epochs=1, seeds=1, fresh_seeds=2
    )
    made = dataclasses.replace(made, grid=made.grid.isel(rate=[1]))
    text = of_comparison.page(made)
    assert payload(text)["figures"]["figure-1-0"]["counts"] == [1, len({score, "loss"})]


def test_a_comparison_in_which_all_diverged_has_a_page(synthetic_comparison):
    cells = [(name, size) for name in ("sgd", "adam") for size in (32, 1)]
    made = synthetic_comparison(optimizers=("sgd", "adam"), batch_sizes=(32, 1), epochs=3, unlucky=cells)
    nothing = made.fresh.where(made.fresh.epoch > 99)
    fresh = made.fresh.assign(valid_loss=nothing.valid_loss, valid_accuracy=nothing.valid_accuracy)
    grid = made.grid.assign(
        status=made.grid.status.copy(data=[[["diverged"] * 3] * 6] * 2 and made.grid.status)
    )
    assert payload(of_comparison.page(dataclasses.replace(made, fresh=fresh, grid=grid)))


def test_write_makes_a_file(comparison, text, tmp_path):
    path = tmp_path / "report.html"
    of_comparison.write(comparison, path)
    assert path.read_text(encoding="utf-8") == text
