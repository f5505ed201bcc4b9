"""PutRuntimeManagementConfig and its read: kept for $LATEST and for each version."""

import pytest

import signed_http
from functions import arn

PATH = "/2021-07-20/functions/{}/runtime-management-config"


def put(hearth, name, body, qualifier=None):
    suffix = f"?Qualifier={qualifier}" if qualifier else ""
    return signed_http.call(hearth, "PUT", PATH.format(name) + suffix, body)


def get(hearth, name, qualifier=None):
    suffix = f"?Qualifier={qualifier}" if qualifier else ""
    return signed_http.call(hearth, "GET", PATH.format(name) + suffix)


def test_auto_unless_told_otherwise(hearth, create):
    name = create()["FunctionName"]
    shown = get(hearth, name).json()
    assert shown.pop("RuntimeVersionArn", None) is None
    assert shown == {"UpdateRuntimeOn": "Auto", "FunctionArn": arn(name, "$LATEST")}


def test_each_version_has_its_own(hearth, client, create):
    name = create()["FunctionName"]
    answer = put(hearth, name, {"UpdateRuntimeOn": "FunctionUpdate"})
    assert (answer.status, answer.json()["UpdateRuntimeOn"]) == (200, "FunctionUpdate")
    client.publish_version(FunctionName=name)
    assert get(hearth, name, "1").json()["UpdateRuntimeOn"] == "FunctionUpdate"
    assert put(hearth, name, {"UpdateRuntimeOn": "Auto"}, "1").status == 200
    assert get(hearth, name, "1").json()["FunctionArn"] == arn(name, "1")
    assert get(hearth, name, "1").json()["UpdateRuntimeOn"] == "Auto"
    assert get(hearth, name).json()["UpdateRuntimeOn"] == "FunctionUpdate"


def test_manual_names_the_build_that_is_there(hearth, client, create):
    name = create()["FunctionName"]
    shown = signed_http.call(hearth, "GET", f"/2015-03-31/functions/{name}/configuration").json()
    runtime = shown["RuntimeVersionConfig"]["RuntimeVersionArn"]
    manual = {"UpdateRuntimeOn": "Manual", "RuntimeVersionArn": runtime}
    assert put(hearth, name, manual).json() == {**manual, "FunctionArn": arn(name, "$LATEST")}
    assert get(hearth, name).json() == {**manual, "FunctionArn": arn(name, "$LATEST")}
    # Another runtime has another build.
    client.update_function_configuration(FunctionName=name, Runtime="python3.11")
    moved = get(hearth, name).json()
    assert moved["UpdateRuntimeOn"] == "Manual" and moved["RuntimeVersionArn"] != runtime
    # It is no setting of the function: nothing is updated and the RevisionId stays.
    before = client.get_function_configuration(FunctionName=name)["RevisionId"]
    put(hearth, name, {"UpdateRuntimeOn": "Auto"})
    assert client.get_function_configuration(FunctionName=name)["RevisionId"] == before


def test_it_is_durable(hearth, create):
    name = create()["FunctionName"]
    put(hearth, name, {"UpdateRuntimeOn": "FunctionUpdate"})
    hearth.kill()
    hearth.start()
    assert get(hearth, name).json()["UpdateRuntimeOn"] == "FunctionUpdate"


@pytest.mark.parametrize(
    "body",
    [
        {"UpdateRuntimeOn": "Manual"},
        {"UpdateRuntimeOn": "Manual", "RuntimeVersionArn": "arn:aws:lambda:us-east-1::runtime:" + "0" * 64},
        {"UpdateRuntimeOn": "Auto", "RuntimeVersionArn": "arn:aws:lambda:us-east-1::runtime:" + "0" * 64},
        {"UpdateRuntimeOn": "Never"},
        {},
    ],
)
def test_refused(hearth, create, body):
    name = create()["FunctionName"]
    answer = put(hearth, name, body)
    assert answer.status == 400, answer.body
    assert answer.code in ("InvalidParameterValueException", "ValidationException")
    assert get(hearth, name).json()["UpdateRuntimeOn"] == "Auto"


def test_aliases_and_what_is_not_there(hearth, client, create):
    name = create(Publish=True)["FunctionName"]
    client.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    for answer in (get(hearth, name, "live"), put(hearth, name, {"UpdateRuntimeOn": "Auto"}, "live")):
        assert (answer.status, answer.code) == (400, "InvalidParameterValueException")
        assert answer.message == (
            f"The provided function name {arn(name, 'live')} is invalid. Aliases are not allowed."
        )
    for answer in (
        get(hearth, "nobody"),
        get(hearth, name, "7"),
        put(hearth, "nobody", {"UpdateRuntimeOn": "Auto"}),
        put(hearth, name, {"UpdateRuntimeOn": "Auto"}, "7"),
    ):
        assert (answer.status, answer.code) == (404, "ResourceNotFoundException")
