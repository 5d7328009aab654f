"""Tables as they lie about: what a spreadsheet, R or a survey writes. Each is made up here."""

import numpy as np
import pytest

import jaxgd

GENERATOR = np.random.default_rng(0)


def lines(header, row, count=80, separator=","):
    """A table whose row is a function of its place."""
    return "\n".join([header, *(separator.join(map(str, row(place))) for place in range(count))]) + "\n"


def number():
    return f"{GENERATOR.normal():.3f}"


def pick(words, place):
    return words[place % len(words)]


RESULTS = {
    "words and gaps": (
        "birds.csv",
        "species",
        lines(
            "species,island,bill_mm,mass_g,sex,year",
            lambda i: (
                pick(("auk", "gull", "tern"), i),
                pick(("Ro", "Ula"), i // 3),
                "NA" if i % 13 == 3 else number(),
                3000 + i,
                "NA" if i % 11 == 2 else pick(("male", "female"), i),
                2007 + i % 3,
            ),
        ),
        {"bill_mm missing", "island=Ro", "sex=female", "sex missing", "year"},
    ),
    "written by R": (
        "women.csv",
        "working",
        lines(
            '"","working","children","college","wage"',
            lambda i: (
                f'"{i + 1}"',
                pick(('"yes"', '"no"'), i // 2),
                i % 4,
                pick(('"no"', '"yes"'), i),
                number(),
            ),
        ),
        {"children", "college", "wage"},
    ),
    "names of rows, by R": (
        "cars.csv",
        "mpg",
        lines('"","mpg","cyl","hp"', lambda i: (f'"Make {i}"', 20 + i / 7, 4 + i % 3, number())),
        {"cyl", "hp"},
    ),
    "gaps in numbers, and in the target": (
        "air.csv",
        "ozone",
        lines(
            '"","ozone","sun","wind"',
            lambda i: (f'"{i}"', "NA" if i % 4 == 1 else i / 3, "NA" if i % 9 == 0 else i, number()),
        ),
        {"sun", "sun missing", "wind"},
    ),
    "empty cells": (
        "clinic.csv",
        "status",
        lines(
            "inst,time,status,ph.ecog,meal.cal",
            lambda i: (
                f"{i % 5}.0",
                300 + i,
                1 + i % 2,
                "" if i % 50 == 7 else i % 3,
                "" if i % 5 == 0 else i,
            ),
        ),
        {"ph.ecog", "meal.cal missing", "time"},
    ),
    "semicolons, four rows a person": (
        "travel.csv",
        "choice",
        lines(
            "individual;mode;choice;cost",
            lambda i: (i // 4 + 1, i % 4 + 1, int(i % 4 == 2), 10 + i % 9),
            separator=";",
        ),
        {"individual", "mode", "cost"},
    ),
    "tabs, names in single quotes": (
        "vote.csv",
        "vote",
        lines("'popul'\t'news'\t'age'\t'vote'", lambda i: (i * 3, i % 8, 20 + i % 50, i % 2), separator="\t"),
        {"popul", "news", "age"},
    ),
    "blanks, names in single quotes": (
        "grades.csv",
        "GRADE",
        lines("'OBS' 'GPA' 'GRADE'", lambda i: (i + 1, 2 + i % 17 / 8, int(i % 3 == 0)), separator=" "),
        {"OBS", "GPA"},
    ),
    "packed": (
        "bills.csv.gz",
        "tip",
        lines(
            "bill,tip,smoker,day",
            lambda i: (10 + i, 1 + i / 9, pick(("No", "Yes"), i), pick(("Sun", "Mon", "Tue"), i)),
        ),
        {"bill", "smoker", "day=Mon"},
    ),
    "panel of countries": (
        "world.csv",
        "life",
        lines(
            "country,continent,year,life",
            lambda i: (f"C{i // 8:02}", pick("ABC", i // 8), 1950 + 5 * (i % 8), 40 + i / 3),
            400,
        ),
        {"continent=A", "year", "country: rare words"},
    ),
}


@pytest.mark.parametrize(("name", "target", "text", "features"), RESULTS.values(), ids=RESULTS)
def test_tables_that_give_a_result(write, name, target, text, features):
    table = jaxgd.table(write(text, name), target)
    assert features <= set(table.features)
    assert np.isfinite(np.concatenate([part[0] for part in (table.train, table.valid, table.test)])).all()


REFUSED = {
    "a date": (
        "weather",
        lines(
            "date,rain,weather",
            lambda i: (f"2012/{1 + i // 28:02}/{1 + i % 28:02}", number(), pick(("sun", "fog"), i)),
        ),
        r"a column cannot be used: 'date' \(dates, such as '2012/01/01'\); leave out with --drop date, "
        r"in Python drop=\['date'\]$",
    ),
    "a field book": (
        "Species",
        lines(
            "studyName,Individual ID,Date Egg,Species,Mass (g)",
            lambda i: ("P1", f"N{i}A1", f"2007-11-{1 + i % 28:02}", pick(("auk", "gull"), i), 3000 + i),
        ),
        r"2 columns cannot be used: 'Individual ID' \(names or ids, 80 different in 80 rows, such as 'N0A1'\)"
        r"; 'Date Egg' \(dates, such as '2007-11-01'\); leave out with --drop 'Individual ID,Date Egg', "
        r"in Python drop=\['Individual ID', 'Date Egg'\]$",
    ),
    "models of cars": (
        "Type",
        lines(
            "Make,Model,Type,Price",
            lambda i: (f"Maker {i % 9}", f"Model {i}", pick(("Small", "Large"), i), 10 + i),
        ),
        r"'Model' \(names or ids, 80 different in 80 rows, such as 'Model 0'\); leave out with --drop Model, "
        r"in Python drop=\['Model'\]$",
    ),
    "a header of counts": (
        "class_0",
        lines("178,13,class_0", lambda i: (number(), number(), number(), number(), i % 3)),
        r"row 1 \(line 2\) has 5 cells; the header has 3 columns, and every row needs a cell for each$",
    ),
    "no header": (
        "price",
        lines("0.00632,18,2.31", lambda i: (number(), i, number())),
        "the first line holds numbers; it must name the columns$",
    ),
}


@pytest.mark.parametrize(("target", "text", "message"), REFUSED.values(), ids=REFUSED)
def test_tables_that_are_refused_in_one_line(write, target, text, message):
    with pytest.raises(ValueError, match=message) as error:
        jaxgd.table(write(text), target)
    assert "\n" not in str(error.value)
