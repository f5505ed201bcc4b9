"""Shared fixtures: one Hearth for all tests of a module, and unique names."""

import itertools
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import hearth_up  # noqa: E402

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def hearth(request):
    """A Hearth of its own for each test file, with the file's HEARTH_OPTIONS where it has them."""
    failed_before = request.session.testsfailed
    with hearth_up.Hearth(options=getattr(request.module, "HEARTH_OPTIONS", ())) as running:
        yield running
        if request.session.testsfailed > failed_before:
            sys.stderr.write(f"--- log of hearth up ---\n{running.log()[-8000:]}\n")


@pytest.fixture
def unique():
    """unique("fn") is a name no other test of this run uses."""
    return lambda prefix: f"{prefix}-{os.getpid()}-{next(_numbers)}"
