"""The tests that Optax ships for its optimizers, pointed at jaxgd's functions of the same names."""

import re
import unittest

import pytest
from optax._src import alias_test

from jaxgd import optim

NAMES = ["adadelta", "adagrad", "adam", "adamw", "nadam", "nadamw", "rmsprop", "sgd"]
OURS = re.compile(rf"opt_name='({'|'.join([*NAMES, 'sgd_mom'])})'")


def cases():
    every = unittest.defaultTestLoader.loadTestsFromTestCase(alias_test.AliasTest)
    return [case for case in every if OURS.search(repr(case) + str(case) + (case.shortDescription() or ""))]


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_alias_tests_of_optax(monkeypatch):
    for name in NAMES:
        monkeypatch.setattr(alias_test.alias, name, getattr(optim, name))
    selected = cases()
    assert len(selected) > 100
    result = unittest.TestResult()
    unittest.TestSuite(selected).run(result)
    failures = [f"{case}\n{trace}" for case, trace in (*result.failures, *result.errors)]
    assert not failures, "\n\n".join(failures)
