"""Shared fixtures: one Hearth for all tests of a module, and unique names."""

import itertools
import os

import pytest

import hearth_up

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def hearth():
    """A Hearth of its own for each test file."""
    with hearth_up.Hearth() as running:
        yield running


@pytest.fixture
def unique():
    """unique("fn") is a name no other test of this run uses."""
    return lambda prefix: f"{prefix}-{os.getpid()}-{next(_numbers)}"
