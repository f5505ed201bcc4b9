"""Clients, layers and functions that clean up after themselves."""

import contextlib
import os
import sys

import pytest

import deployed

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from layers import zip_of  # noqa: E402


@pytest.fixture(scope="module")
def client(hearth):
    return hearth.client("lambda")


@pytest.fixture(scope="module")
def stranger(hearth):
    """A client of another account of the same Hearth."""
    return hearth.client("lambda", key="222233334444", secret="x")


@pytest.fixture
def publish(client, unique):
    """publish(files, name=..., **members) -> the answer of PublishLayerVersion."""
    made = []

    def make(files, name=None, by=client, **members):
        content = files if isinstance(files, bytes) else zip_of(files)
        answer = by.publish_layer_version(
            LayerName=name or unique("layer"), Content={"ZipFile": content}, **members
        )
        made.append((by, answer["LayerArn"], answer["Version"]))
        return answer

    yield make
    for by, arn, version in made:
        by.delete_layer_version(LayerName=arn, VersionNumber=version)


@pytest.fixture
def deploy(client, unique):
    """deploy(files, runtime=..., by=..., **configuration) -> Function; deleted afterwards."""
    made = []

    def make(files, by=client, **configuration):
        made.append(deployed.function(by, unique("fn"), files, **configuration))
        return made[-1]

    yield make
    for function in made:
        with contextlib.suppress(function.client.exceptions.ResourceNotFoundException):
            function.client.delete_function(FunctionName=function.name)
