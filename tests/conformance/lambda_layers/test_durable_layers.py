"""Layers after a stop, after kill -9, and after a boot that empties the cache of unpacked code."""

import concurrent.futures
import contextlib
import os

import botocore.exceptions
import pytest

import deployed
import hearth_up
from layers import OTHER, zip_of

CODE = """
import os
def handler(event, context):
    return {name: open('/opt/' + name).read() for name in os.listdir('/opt')}
"""


def names_in_cache(hearth):
    return set(os.listdir(os.path.join(hearth.data, "code"))) - {".boot-id"}


def make_everything(client):
    arns = []
    for name, files in (("a", {"both": "1", "a": "1"}), ("b", {"both": "2"})):
        for _ in range(2):
            answer = client.publish_layer_version(LayerName=name, Content={"ZipFile": zip_of(files)})
        arns.append(answer["LayerVersionArn"])
        client.delete_layer_version(LayerName=name, VersionNumber=1)
    client.add_layer_version_permission(
        LayerName="a",
        VersionNumber=2,
        StatementId="s",
        Action="lambda:GetLayerVersion",
        Principal=OTHER,
    )
    function = deployed.function(client, "f", CODE, Layers=arns)
    client.delete_layer_version(LayerName="b", VersionNumber=2)
    return function


def everything(client):
    def plain(answer):
        answer.pop("ResponseMetadata")
        answer.get("Content", {}).pop("Location", None)
        return answer

    return [
        plain(client.list_layers()),
        plain(client.get_layer_version(LayerName="a", VersionNumber=2)),
        plain(client.get_layer_version_policy(LayerName="a", VersionNumber=2)),
        plain(client.get_function_configuration(FunctionName="f")),
    ]


@pytest.mark.parametrize("ending", ["stop", "kill", "boot"])
def test_restart(ending):
    with hearth_up.Hearth() as hearth:
        make_everything(hearth.client("lambda"))
        before = everything(hearth.client("lambda"))
        if ending == "kill":
            hearth.kill()
        else:
            hearth.stop(keep_data=True)
        if ending == "boot":
            with open(os.path.join(hearth.data, "code", ".boot-id"), "w") as file:
                file.write("another boot\n")
        hearth.start()
        client = hearth.client("lambda")
        assert everything(client) == before
        function = deployed.Function(client, "f")
        assert function.invoke({}).json() == {"both": "2", "a": "1"}
        answer = client.publish_layer_version(LayerName="b", Content={"ZipFile": zip_of({"x": ""})})
        assert answer["Version"] == 3, "a number that was used is not used again"


def test_kill_in_the_middle_of_a_publication():
    """What no record names is taken away at the next start, and the number was not spent."""
    content = zip_of({f"d{n % 100}/{n}": "x" for n in range(15_000)})
    with hearth_up.Hearth() as hearth, concurrent.futures.ThreadPoolExecutor(1) as caller:
        client = hearth.client("lambda")
        known = deployed.function(
            client,
            "f",
            CODE,
            Layers=[
                client.publish_layer_version(
                    LayerName="known", Content={"ZipFile": zip_of({"a": "1"})}
                )["LayerVersionArn"]
            ],
        )
        before = names_in_cache(hearth)
        call = caller.submit(
            client.publish_layer_version, LayerName="big", Content={"ZipFile": content}
        )
        hearth_up.wait_for(
            lambda: call.done()
            or any(name.startswith(".unpacking") for name in names_in_cache(hearth)),
            "the archive to be unpacked",
            interval_s=0.001,
        )
        hearth.kill()
        acknowledged = False
        with contextlib.suppress(botocore.exceptions.BotoCoreError, OSError):
            call.result()
            acknowledged = True
        hearth.start()
        client = hearth.client("lambda")
        listed = client.list_layer_versions(LayerName="big")["LayerVersions"]
        if acknowledged:
            assert len(listed) == 1
        if not listed:
            hearth_up.wait_for(
                lambda: names_in_cache(hearth) <= before, "what was left over to be removed"
            )
            answer = client.publish_layer_version(LayerName="big", Content={"ZipFile": content})
            assert answer["Version"] == 1
        assert deployed.Function(client, known.name).invoke({}).json() == {"a": "1"}
