"""States of versions with SnapStart: from published to ready, failed, or gone."""

import threading

import botocore.exceptions
import pytest

import deployed
import hearth_up
from conftest import Gate, Version, images, log_lines, templates

GATED = Gate.CODE + """
pass_gate()
def handler(event, context):
    return os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"]
"""
PLAIN = """
import os
def handler(event, context):
    return os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"]
"""


def test_the_latest_is_not_prepared(client, create):
    name = create(PLAIN)
    shown = client.get_function_configuration(FunctionName=name)
    assert shown["SnapStart"] == {"ApplyOn": "PublishedVersions", "OptimizationStatus": "Off"}
    assert shown["State"] == "Active"
    assert deployed.Function(client, name).invoke({}).json() == "on-demand"


def test_pending_until_saved(hearth, client, create, gate):
    name = create(GATED)
    published = client.publish_version(FunctionName=name)
    version = Version(client, name, published["Version"])
    pending = {
        "State": "Pending",
        "StateReason": "The function is being created.",
        "StateReasonCode": "Creating",
        "SnapStart": {"ApplyOn": "PublishedVersions", "OptimizationStatus": "Off"},
    }
    assert {key: published.get(key) for key in pending} == pending
    shown = version.configuration()
    assert {key: shown.get(key) for key in pending} == pending
    whole = client.get_function(FunctionName=name, Qualifier="1")["Configuration"]
    assert {key: whole.get(key) for key in pending} == pending
    # Lists have no states, and publishing once more without a change shows the same version.
    listed = client.list_versions_by_function(FunctionName=name)["Versions"]
    assert [one["Version"] for one in listed] == ["$LATEST", "1"]
    assert "State" not in listed[1]
    assert listed[1]["SnapStart"] == pending["SnapStart"]
    again = client.publish_version(FunctionName=name)
    assert (again["Version"], again["State"]) == ("1", "Pending")

    client.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    for qualifier in ("1", "live"):
        with pytest.raises(client.exceptions.ClientError) as refused:
            version.invoke(Qualifier=qualifier)
        answer = refused.value.response
        assert answer["Error"]["Code"] == "SnapStartNotReadyException"
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 409
        assert answer["Error"]["Message"] == (
            "Lambda is initializing your function. It will be ready to invoke once your function state "
            "becomes ACTIVE."
        )

    gate.open(name)
    waiter = client.get_waiter("published_version_active")
    waiter.wait(FunctionName=name, Qualifier="1", WaiterConfig={"Delay": 1, "MaxAttempts": 100})
    shown = version.configuration()
    assert shown["State"] == "Active"
    assert "StateReason" not in shown and "StateReasonCode" not in shown
    assert shown["SnapStart"] == {"ApplyOn": "PublishedVersions", "OptimizationStatus": "On"}
    listed = client.list_versions_by_function(FunctionName=name)["Versions"]
    assert [one["SnapStart"]["OptimizationStatus"] for one in listed] == ["Off", "On"]
    assert version.invoke(Qualifier="live").json() == "snap-start"
    assert len([image for image in images(hearth) if name in image]) == 1


@pytest.mark.parametrize("how", ["create", "update"])
def test_publishing_along_the_way(client, create, how):
    name = create(PLAIN, **({"Publish": True} if how == "create" else {}))
    if how == "update":
        made = client.update_function_code(FunctionName=name, ZipFile=deployed.zipped({"app.py": PLAIN + "#"}), Publish=True)
        assert made["Version"] == "1"
        assert made["State"] == "Pending"
    version = Version(client, name, "1")
    assert version.settled()["SnapStart"]["OptimizationStatus"] == "On"
    assert version.invoke().json() == "snap-start"


def test_each_version_has_its_own(client, create):
    name = create("STATE = 1\ndef handler(event, context): return STATE")
    for number in ("1", "2"):
        assert client.publish_version(FunctionName=name)["Version"] == number
        assert Version(client, name, number).settled()["State"] == "Active"
        client.update_function_code(
            FunctionName=name, ZipFile=deployed.zipped({"app.py": "STATE = 2\ndef handler(event, context): return STATE"})
        )
    assert Version(client, name, "1").invoke().json() == 1
    assert Version(client, name, "2").invoke().json() == 2
    # Without SnapStart again: the next version starts as ever, the older ones keep what they have.
    client.update_function_configuration(FunctionName=name, SnapStart={"ApplyOn": "None"})
    last = client.publish_version(FunctionName=name)
    assert (last["Version"], last["SnapStart"]["ApplyOn"]) == ("3", "None")
    assert Version(client, name, "3").settled()["SnapStart"]["OptimizationStatus"] == "Off"
    assert Version(client, name, "2").configuration()["SnapStart"]["OptimizationStatus"] == "On"
    assert "RESTORE_START" not in Version(client, name, "3").invoke().log


FAILURES = {
    "an error at init": ("raise ValueError('no such thing')", "FunctionError.RuntimeInitError"),
    "an end at init": ("import os\nos._exit(3)", "FunctionError.RuntimeInitError"),
    "a hook that fails": (
        """
from snapshot_restore_py import register_before_snapshot
@register_before_snapshot
def hook():
    raise ValueError('no such thing')
def handler(event, context): return 1
""",
        "FunctionError.RuntimeInitError",
    ),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_failed(hearth, client, publish, failure):
    source, code = FAILURES[failure]
    version = publish(source)
    shown = version.configuration()
    assert (shown["State"], shown["StateReasonCode"]) == ("Failed", code)
    assert shown["StateReason"]
    assert shown["SnapStart"]["OptimizationStatus"] == "Off"
    with pytest.raises(client.exceptions.ResourceConflictException) as refused:
        version.invoke()
    assert refused.value.response["Error"]["Message"] == (
        "The operation cannot be performed at this time. The function is currently in the following "
        "state: Failed"
    )
    if "error" in failure or "hook" in failure:
        assert any("no such thing" in line for line in log_lines(hearth, version.name))
    with pytest.raises(botocore.exceptions.WaiterError):
        client.get_waiter("published_version_active").wait(FunctionName=version.name, Qualifier="1")
    assert not [image for image in images(hearth) if version.name in image]
    client.delete_function(FunctionName=version.name, Qualifier="1")


def test_failed_without_bootstrap(client, publish):
    version = publish({"other": "x"}, runtime="provided.al2023")
    shown = version.configuration()
    assert (shown["State"], shown["StateReasonCode"]) == ("Failed", "FunctionError.InvalidEntryPoint")


@pytest.mark.parametrize("what", ["version", "function"])
def test_deleted_while_pending(hearth, client, create, gate, what):
    name = create(GATED)
    client.publish_version(FunctionName=name)
    # The same name again, at once: what is made for the old one must not become the new one's.
    if what == "version":
        client.delete_function(FunctionName=name, Qualifier="1")
        with pytest.raises(client.exceptions.ResourceNotFoundException):
            client.get_function_configuration(FunctionName=name, Qualifier="1")
    else:
        client.delete_function(FunctionName=name)
        name = hearth_up_again(client, name)
    gate.open(name)
    client.update_function_code(FunctionName=name, ZipFile=deployed.zipped({"app.py": PLAIN}))
    number = client.publish_version(FunctionName=name)["Version"]
    version = Version(client, name, number)
    assert version.settled()["SnapStart"]["OptimizationStatus"] == "On"
    assert version.invoke().json() == "snap-start"
    hearth_up.wait_for(
        lambda: len([image for image in images(hearth) if name in image]) == 1,
        "the image of the version that is gone to go",
    )


def hearth_up_again(client, name):
    client.create_function(
        FunctionName=name,
        Runtime="python3.12",
        Role=deployed.ROLE,
        Handler="app.handler",
        Code={"ZipFile": deployed.zipped({"app.py": GATED})},
        SnapStart={"ApplyOn": "PublishedVersions"},
    )
    return name


@pytest.mark.parametrize("what", ["version", "function"])
def test_images_and_templates_go_with_their_version(hearth, client, publish, what):
    before = set(templates(hearth))
    version = publish(PLAIN)
    assert version.invoke().json() == "snap-start"
    mine = set(templates(hearth)) - before
    assert len(mine) == 1
    client.delete_function(FunctionName=version.name, **({"Qualifier": "1"} if what == "version" else {}))
    hearth_up.wait_for(
        lambda: not [image for image in images(hearth) if version.name in image], "the image to go"
    )
    hearth_up.wait_for(lambda: not mine & set(templates(hearth)), "the template to go")


def test_calls_while_it_is_deleted(client, publish):
    """A call that races with the end of its version is answered or refused, never lost."""
    version = publish(PLAIN)
    answers = []

    def call():
        try:
            answers.append(version.invoke().json())
        except botocore.exceptions.ClientError as error:
            answers.append(error.response["Error"]["Code"])

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    client.delete_function(FunctionName=version.name, Qualifier="1")
    for thread in threads:
        thread.join()
    assert len(answers) == 8
    assert set(answers) <= {"snap-start", "on-demand", "ResourceNotFoundException"}
