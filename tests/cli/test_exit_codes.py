"""Every error of the core has one exit code. Pure."""

import pytest

from factotum.cli import problems
from factotum.core import errors


def descend(kind):
    yield kind
    for each in kind.__subclasses__():
        yield from descend(each)


KINDS = [
    kind
    for kind in descend(errors.FactotumError)
    if kind.__module__ == errors.__name__ and kind is not errors.FactotumError
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_each_error_of_the_core_has_an_exit_code(kind):
    error = kind.__new__(kind)

    assert problems.exit_code_of(error) == (1 if issubclass(kind, errors.FactfileError) else 3)


def test_a_bug_has_none():
    with pytest.raises(ZeroDivisionError):
        problems.exit_code_of(ZeroDivisionError())
