import pytest

import deployed


@pytest.fixture(scope="module")
def client(hearth):
    return hearth.client("lambda")


@pytest.fixture
def deploy(client, unique):
    """deploy(files, runtime=..., ...) -> Function; deleted afterwards."""
    made = []

    def make(files, **configuration):
        made.append(deployed.function(client, unique("fn"), files, **configuration))
        return made[-1]

    yield make
    for function in made:
        client.delete_function(FunctionName=function.name)
