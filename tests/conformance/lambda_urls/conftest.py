import pytest

import deployed
import function_url


@pytest.fixture(scope="module")
def client(hearth):
    return hearth.client("lambda")


@pytest.fixture
def deploy(client, unique):
    """deploy(files, runtime=..., ...) -> Function; deleted afterwards."""
    made = []

    def make(files, **configuration):
        made.append(deployed.function(client, unique("url"), files, **configuration))
        return made[-1]

    yield make
    for function in made:
        try:
            client.delete_function(FunctionName=function.name)
        except client.exceptions.ResourceNotFoundException:
            pass


@pytest.fixture
def serve(hearth, client, deploy):
    """serve(source, runtime=..., url={...}) -> Url that everybody may call."""

    def make(files, url=None, **configuration):
        function = deploy(files, **configuration)
        return function_url.public(hearth, client, function.name, **(url or {}))

    return make
