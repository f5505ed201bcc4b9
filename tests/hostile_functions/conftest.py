import pytest

import deployed


@pytest.fixture(scope="module")
def client(hearth):
    return hearth.client("lambda")


@pytest.fixture
def deploy(client, unique):
    made = []

    def make(files, **configuration):
        made.append(deployed.function(client, unique("fn"), files, **configuration))
        return made[-1]

    yield make
    for function in made:
        client.delete_function(FunctionName=function.name)


@pytest.fixture(scope="module")
def neighbour(client):
    """An honest function; it has to answer whatever others do."""
    function = deployed.function(client, "neighbour", "def handler(event, context):\n    return 'well'\n")
    assert function.invoke({}).json() == "well"
    yield function
    client.delete_function(FunctionName="neighbour")
