"""`jaxgd landscape SURFACE`: the page, and what is said of bad input."""

import json
import re

import pytest

from jaxgd.cli import main


def run(*arguments):
    return main(["landscape", *arguments, "--no-cache"])


def figures_of(html):
    payload = re.search(r'<script type="application/json" id="page-data">(.*?)</script>', html, re.DOTALL)
    return json.loads(payload[1])


def test_page_of_a_surface_without_a_minimum(tmp_path, capsys):
    out = tmp_path / "page.html"
    assert run("saddle", "--optimizers", "sgd,momentum", "--updates", "20", "--out", str(out)) == 0
    html = out.read_text(encoding="utf-8")
    printed = capsys.readouterr().out
    assert "On saddle, 20 updates from 16 starts" in printed
    assert f"Page: {out}" in printed
    assert "1 saddle: found by" in html
    assert "(x**2 - curvature y**2) / 2" in html
    assert "Which minimum" not in html
    assert len(figures_of(html)["figures"]) == 6
    assert "http" not in re.sub(r"<script>.*?</script>", "", html, flags=re.DOTALL).replace("http-equiv", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["himmelblou"], "there is no folder and no surface 'himmelblou'; did you mean 'himmelblau'?"),
        (["zzz"], "there is no folder 'zzz'"),
        (["sphere", "--optimizers", "adm"], "unknown optimizer 'adm'; did you mean 'adam'?"),
        (["sphere", "--updates", "0"], "updates must be a whole number, 1 or more, got 0"),
        (["sphere", "--updates", "1.5"], "updates must be a whole number, 1 or more, got 1.5"),
        (["sphere", "--batch-sizes", "half"], "batch_sizes has 'half'"),
        (["sphere", "--noise", "much"], "noise is 'much'; a number above 0 is needed"),
        (["sphere", "--noise", "0"], "noise is 0; a number above 0 is needed"),
        (["sphere", "--out", "none/page.html"], "there is no folder 'none'"),
        ([".", "--updates", "5"], "updates belongs to a surface, but '.' is a folder"),
    ],
)
def test_bad_input(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_surfaces_are_listed(capsys):
    assert main(["list"]) == 0
    text = capsys.readouterr().out
    assert "himmelblau      (x**2 + y - 11)**2 + (x + y**2 - 7)**2" in text
