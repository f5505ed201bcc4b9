"""`--snapstart-runtimes aws`: SnapStart is refused where AWS does not have it."""

import pytest

import deployed

HEARTH_OPTIONS = ("--snapstart-runtimes", "aws")
CODE = {"app.py": "def handler(event, context): return 1", "bootstrap": "x", "index.js": "x"}
ON = {"ApplyOn": "PublishedVersions"}


@pytest.mark.parametrize("runtime", ["python3.11", "nodejs20.x", "provided.al2023"])
def test_refused_runtimes(client, unique, runtime):
    name = unique("fn")
    settings = {
        "FunctionName": name,
        "Runtime": runtime,
        "Role": deployed.ROLE,
        "Handler": "app.handler",
        "Code": {"ZipFile": deployed.zipped(CODE)},
    }
    with pytest.raises(client.exceptions.InvalidParameterValueException) as refused:
        client.create_function(**settings, SnapStart=ON)
    text = f"{runtime} is not supported for SnapStart enabled functions."
    assert refused.value.response["Error"]["Message"] == text
    # Nor by two steps.
    client.create_function(**settings)
    with pytest.raises(client.exceptions.InvalidParameterValueException):
        client.update_function_configuration(FunctionName=name, SnapStart=ON)
    client.update_function_configuration(FunctionName=name, Runtime="python3.12", SnapStart=ON)
    with pytest.raises(client.exceptions.InvalidParameterValueException):
        client.update_function_configuration(FunctionName=name, Runtime=runtime)
    client.update_function_configuration(FunctionName=name, Runtime=runtime, SnapStart={"ApplyOn": "None"})
    client.delete_function(FunctionName=name)


@pytest.mark.parametrize("runtime", ["python3.12", "python3.13"])
def test_allowed_runtimes(client, create, runtime):
    name = create(CODE, runtime=runtime)
    assert client.get_function_configuration(FunctionName=name)["SnapStart"]["ApplyOn"] == "PublishedVersions"


def test_ephemeral_storage(client, create):
    name = create(CODE, runtime="python3.12", EphemeralStorage={"Size": 512})
    with pytest.raises(client.exceptions.InvalidParameterValueException):
        client.update_function_configuration(FunctionName=name, EphemeralStorage={"Size": 513})
    client.update_function_configuration(
        FunctionName=name, EphemeralStorage={"Size": 513}, SnapStart={"ApplyOn": "None"}
    )
    with pytest.raises(client.exceptions.InvalidParameterValueException):
        client.update_function_configuration(FunctionName=name, SnapStart=ON)
