"""The tests that Optax ships in its wheel, with the names that `jaxgd.optim` shares in place of Optax's."""

import builtins
import re
import sys
import types
import unittest
from pathlib import Path

import optax
import pytest

from jaxgd import optim

HERE = Path(optax.__file__).parent
SHARED = {id(getattr(optax, name)): name for name in optim.__all__ if hasattr(optax, name)}
# Of each file: how many tests must run, those that skip themselves not counted, and with how many names.
FILES = {
    "_src/alias_test.py": (200, 11),
    "_src/base_test.py": (10, 1),
    "_src/combine_test.py": (14, 5),
    "_src/float64_test.py": (20, 15),
    "_src/lookahead_test.py": (6, 1),
    "_src/transform_test.py": (20, 9),
    "_src/update_test.py": (6, 1),
    "schedules/_inject_test.py": (20, 6),
    "schedules/_join_test.py": (1, 2),
    "schedules/_schedule_test.py": (70, 40),
    "transforms/_accumulation_test.py": (4, 1),
    "transforms/_adding_test.py": (3, 1),
    "transforms/_clipping_test.py": (5, 3),
    "transforms/_combining_test.py": (14, 5),
    "transforms/_constraining_test.py": (3, 1),
    "transforms/_freezing_test.py": (20, 1),
    "transforms/_masking_test.py": (20, 3),
}
# What of these files takes long and tries Optax's own code rather than the names: `MultiSteps`, L-BFGS, ...
FAMILY = "adadelta|adagrad|adam|adamw|nadam|nadamw|rmsprop|sgd"
LEFT_OUT = {
    "_src/alias_test.py": (
        rf"^(?!.*opt_name='({FAMILY}|sgd_mom|adamaxw?|amsgrad)')|shard_stability.*'(adamaxw?|amsgrad)'"
    ),
    "transforms/_accumulation_test.py": "multi_steps",
    "transforms/_clipping_test.py": "per_example|unitwise",
}
# By file, the tests that meet a deliberate difference: its row in docs/differences.md.
DIFFERENCES: dict[str, dict[str, str]] = {}


class StandIn(types.ModuleType):
    """A module of Optax's in which shared names are jaxgd's; `given` collects those that were asked for."""

    def __init__(self, module: types.ModuleType, given: set[str]):
        super().__init__(module.__name__)
        self._module, self._given = module, given

    def __getattr__(self, name):
        value = getattr(self._module, name)
        if _is_optaxs(value):
            return StandIn(value, self._given)
        if id(value) not in SHARED:
            return value
        self._given.add(SHARED[id(value)])
        return getattr(optim, SHARED[id(value)])


def _is_optaxs(value) -> bool:
    return isinstance(value, types.ModuleType) and value.__name__.split(".")[0] == "optax"


def run(file: str, only=None, given: set[str] | None = None) -> tuple[int, dict[str, str]]:
    """How many tests of the file ran, and the errors by test; with jaxgd's names where `given` is a set."""

    def is_wanted(case):
        return _name(case) in only if only else not re.search(LEFT_OUT.get(file, "$^"), str(case))

    module = types.ModuleType(f"{Path(file).stem}_{'of_optax' if given is None else 'with_jaxgd'}")

    def import_(name, *arguments):
        found = builtins.__import__(name, *arguments)
        return StandIn(found, given) if given is not None and _is_optaxs(found) else found

    vars(module)["__builtins__"] = vars(builtins) | {"__import__": import_}
    sys.modules[module.__name__] = module
    try:
        exec(compile((HERE / file).read_text(), file, "exec"), vars(module))
        result = unittest.TestResult()
        every = _cases(unittest.defaultTestLoader.loadTestsFromModule(module))
        unittest.TestSuite(filter(is_wanted, every)).run(result)
    finally:
        del sys.modules[module.__name__]
    errors = {_name(case): trace for case, trace in (*result.failures, *result.errors)}
    return result.testsRun - len(result.skipped), errors


def _cases(suite):
    for item in suite:
        yield from _cases(item) if isinstance(item, unittest.TestSuite) else [item]


def _name(case) -> str:
    case = getattr(case, "test_case", case)  # a part of a test
    return f"{type(case).__name__}.{case._testMethodName}"


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("file", FILES)
@pytest.mark.usefixtures("promoting")
def test_tests_of_optax(file):
    given: set[str] = set()
    ran, errors = run(file, given=given)
    if errors:  # a test that Optax fails here says nothing of jaxgd
        errors_of_optax = run(file, only=errors)[1]
        errors = {name: trace for name, trace in errors.items() if name not in errors_of_optax}
    least_ran, least_given = FILES[file]
    assert ran >= least_ran, f"{ran} tests"
    assert len(given) >= least_given, sorted(given)
    unexpected = errors.keys() - DIFFERENCES.get(file, {}).keys()
    assert not unexpected, "\n\n".join(f"{name}\n{errors[name]}" for name in unexpected)
    missing = DIFFERENCES.get(file, {}).keys() - errors.keys()
    assert not missing, f"no longer different, so take it from the list and the documentation: {missing}"
