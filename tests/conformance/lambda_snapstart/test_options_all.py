"""`--snapshots all`: $LATEST goes on from a snapshot after its first call, whatever SnapStart says."""

import contextlib

import pytest

import deployed
import hearth_up
from conftest import images

HEARTH_OPTIONS = ("--snapshots", "all")
CODE = """
import os
VALUE = %s
def handler(event, context):
    if event.get("leave"):
        os._exit(7)
    return [VALUE, os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"]]
"""


def images_of(hearth, name):
    return [image for image in images(hearth) if f".{name}." in image]


def until_restored(hearth, function, value):
    """Environments come and go until one is a clone."""

    def look():
        answer = function.invoke({}).json()
        assert answer[0] == value
        assert function.invoke({"leave": True}).error == "Unhandled"
        return answer[1] == "snap-start"

    hearth_up.wait_for(look, "a clone")


@pytest.fixture
def plain(client, unique):
    made = []

    def make(value):
        made.append(deployed.function(client, unique("fn"), CODE % value))
        return made[-1]

    yield make
    for function in made:
        with contextlib.suppress(client.exceptions.ResourceNotFoundException):
            client.delete_function(FunctionName=function.name)


def test_latest(hearth, client, plain):
    function = plain(1)
    assert images_of(hearth, function.name) == [], "not before it is called"
    call = function.invoke({})
    assert call.json() == [1, "on-demand"]
    assert function.invoke({"leave": True}).error == "Unhandled"
    until_restored(hearth, function, 1)
    # The API shows nothing of it.
    shown = client.get_function_configuration(FunctionName=function.name)
    assert shown["SnapStart"] == {"ApplyOn": "None", "OptimizationStatus": "Off"}
    assert shown["State"] == "Active"
    assert f"{function.name}:$LATEST " in hearth.hearth("functions").stdout
    # Another revision is never served by the old image.
    client.update_function_code(FunctionName=function.name, ZipFile=deployed.zipped({"app.py": CODE % 2}))
    assert function.invoke({}).json()[0] == 2
    assert function.invoke({"leave": True}).error == "Unhandled"
    until_restored(hearth, function, 2)
    hearth_up.wait_for(lambda: len(images_of(hearth, function.name)) == 1, "the old image to go")
    client.update_function_configuration(FunctionName=function.name, Environment={"Variables": {"MORE": "1"}})
    until_restored(hearth, function, 2)
    client.delete_function(FunctionName=function.name)
    hearth_up.wait_for(lambda: not images_of(hearth, function.name), "the image to go")


def test_versions_without_snapstart_stay_as_they_are(hearth, client, plain):
    function = plain(1)
    client.publish_version(FunctionName=function.name)
    for _ in range(3):
        assert function.invoke({}, Qualifier="1").json() == [1, "on-demand"]
        assert function.invoke({"leave": True}, Qualifier="1").error == "Unhandled"
    assert images_of(hearth, function.name) == []


def test_a_failing_init_is_as_ever(hearth, client, plain):
    function = plain("1 / 0")
    for _ in range(3):
        call = function.invoke({})
        assert call.error == "Unhandled"
        assert call.json()["errorType"] == "ZeroDivisionError"
    assert client.get_function_configuration(FunctionName=function.name)["State"] == "Active"
    hearth_up.wait_for(
        lambda: "init failed" in hearth.hearth("functions").stdout, "the reason to be shown"
    )


def test_over_a_restart(hearth, client, plain):
    function = plain(1)
    function.invoke({})
    function.invoke({"leave": True})
    until_restored(hearth, function, 1)
    before = images_of(hearth, function.name)
    hearth.stop(keep_data=True)
    hearth.start()
    assert images_of(hearth, function.name) == before
    function = deployed.Function(hearth.client("lambda"), function.name)
    assert function.invoke({}).json() == [1, "snap-start"]
