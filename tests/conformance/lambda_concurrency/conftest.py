"""Functions that wait until they are told to go on, so that a test holds calls as long as it likes."""

import contextlib
import os
import sys

import pytest

import deployed

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from held_calls import HOLD, Held  # noqa: E402


@pytest.fixture(scope="module")
def client(hearth):
    return hearth.client("lambda", pool=64)


@pytest.fixture
def deploy(client, unique):
    """deploy(files, ...) -> Function; deleted afterwards."""
    made = []

    def make(files=HOLD, **configuration):
        made.append(deployed.function(client, unique("fn"), files, **configuration))
        return made[-1]

    yield make
    for function in made:
        with contextlib.suppress(client.exceptions.ResourceNotFoundException):
            client.delete_function(FunctionName=function.name)


@pytest.fixture
def hold(hearth, client):
    """hold(function) -> Held"""
    made = []

    def make(function):
        made.append(Held(hearth, client, function))
        return made[-1]

    yield make
    for held in made:
        with contextlib.suppress(Exception):
            held.let_go()
        held.pool.shutdown()
