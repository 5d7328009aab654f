import pytest

from jaxgd.specs.choices import Seeds
from jaxgd.studies.verdicts.spending import shares_of_error


@pytest.mark.parametrize(
    ("most", "rounds"),
    [(5, (5,)), (9, (5, 9)), (10, (5, 10)), (40, (5, 10, 20, 40)), (50, (5, 10, 20, 40, 50))],
)
def test_rounds_double(most, rounds):
    assert Seeds(0, 1, 5, most, 60.0).rounds == list(rounds)


def test_the_error_grows_with_the_seeds():
    assert shares_of_error((5, 10, 20, 40), 40) == pytest.approx([1 / 8, 1 / 8, 1 / 4, 1 / 2])
    assert shares_of_error((5, 10), 40) == pytest.approx([1 / 8, 1 / 8])
    assert shares_of_error((5,), 5) == pytest.approx([1])


def test_the_last_look_gets_what_is_left():
    assert shares_of_error((5, 10), 40, last=True) == pytest.approx([1 / 8, 7 / 8])


@pytest.mark.parametrize("looks", [(), (10, 5), (5, 5), (5, 80)])
def test_looks_that_are_none(looks):
    with pytest.raises(ValueError, match="looks must rise and end at 40 seeds at most"):
        shares_of_error(looks, 40)
