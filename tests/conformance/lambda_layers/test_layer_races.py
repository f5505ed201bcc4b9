"""Many at once: no number twice, and a layer version is either gone or a function's for good."""

import concurrent.futures
import os

import botocore.exceptions
import deployed
import hearth_up
from layers import zip_of

CODE = "def handler(event, context):\n    return open('/opt/name').read()\n"


def test_numbers_at_once(client, unique):
    name = unique("layer")
    contents = [zip_of({"name": str(number)}) for number in range(3)]

    def publish(number):
        return client.publish_layer_version(
            LayerName=name, Content={"ZipFile": contents[number % len(contents)]}
        )["Version"]

    with concurrent.futures.ThreadPoolExecutor(8) as callers:
        assert sorted(callers.map(publish, range(40))) == list(range(1, 41))
        list(
            callers.map(
                lambda version: client.delete_layer_version(LayerName=name, VersionNumber=version),
                range(1, 41),
            )
        )
    assert client.list_layer_versions(LayerName=name)["LayerVersions"] == []


def test_deleted_while_functions_take_it(hearth, client, unique):
    """Whoever comes first: the function runs with the layer, or it is told that there is none."""

    def cached():
        return {name for name in os.listdir(os.path.join(hearth.data, "code")) if name[0] != "."}

    before = cached()
    layer = unique("layer")
    ran = refused = 0
    with concurrent.futures.ThreadPoolExecutor(4) as callers:
        for number in range(12):
            # Of other content each time, so that the last user of it decides its fate.
            arn = client.publish_layer_version(
                LayerName=layer, Content={"ZipFile": zip_of({"name": f"{layer} {number}"})}
            )["LayerVersionArn"]
            name = unique("fn")
            made = callers.submit(deployed.function, client, name, CODE, Layers=[arn])
            deletions = [
                callers.submit(
                    client.delete_layer_version, LayerName=layer, VersionNumber=int(arn.split(":")[-1])
                )
                for _ in range(2)
            ]
            for deletion in deletions:
                deletion.result()
            try:
                function = made.result()
            except botocore.exceptions.ClientError as error:
                assert error.response["Error"]["Code"] == "InvalidParameterValueException", error
                assert error.response["Error"]["Message"] == f"Layer version {arn} does not exist."
                refused += 1
                continue
            assert function.invoke({}).json() == f"{layer} {number}"
            client.delete_function(FunctionName=name)
            ran += 1
    assert ran + refused == 12
    hearth_up.wait_for(lambda: cached() <= before, "code that nobody uses to be removed")
