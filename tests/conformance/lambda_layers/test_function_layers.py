"""The member Layers of functions: what is accepted, what is shown, and what keeps a layer's files."""

import os

from layers import ACCOUNT, OTHER, REGION, layer_arn, refused, zeros

CODE = "def handler(event, context):\n    return open('/opt/name').read()\n"


def shown(client, function, **qualifier):
    answer = client.get_function_configuration(FunctionName=function.name, **qualifier)
    return [layer["Arn"] for layer in answer.get("Layers", [])]


def test_layers_are_shown_in_their_order(client, publish, deploy):
    made = [publish({"name": name}) for name in "abc"]
    arns = [layer["LayerVersionArn"] for layer in made]
    function = deploy(CODE, Layers=[arns[2], arns[0], arns[1]])
    assert shown(client, function) == [arns[2], arns[0], arns[1]]
    answer = client.get_function(FunctionName=function.name)["Configuration"]["Layers"]
    assert [layer["CodeSize"] for layer in answer] == [
        made[index]["Content"]["CodeSize"] for index in (2, 0, 1)
    ]
    listed = client.list_functions()["Functions"]
    assert [f for f in listed if f["FunctionName"] == function.name][0]["Layers"] == answer
    # A version keeps what $LATEST had when it was published.
    published = client.publish_version(FunctionName=function.name)
    assert published["Layers"] == answer
    updated = client.update_function_configuration(FunctionName=function.name, Layers=[arns[0]])
    assert [layer["Arn"] for layer in updated["Layers"]] == [arns[0]]
    assert client.update_function_configuration(FunctionName=function.name, Timeout=50)["Layers"]
    again = client.publish_version(FunctionName=function.name)
    assert (published["Version"], again["Version"]) == ("1", "2")
    assert client.publish_version(FunctionName=function.name)["Version"] == "2"
    assert "Layers" not in client.update_function_configuration(FunctionName=function.name, Layers=[])
    assert shown(client, function) == []
    assert shown(client, function, Qualifier="1") == [arns[2], arns[0], arns[1]]


def test_what_is_refused(client, publish, deploy):
    layer = publish({"name": "a"})["LayerArn"]
    publish({"name": "b"}, name=layer)
    function = deploy(CODE)

    def update(*layers):
        client.update_function_configuration(FunctionName=function.name, Layers=list(layers))

    for first, second in (("1", "2"), ("1", "1")):
        text = (
            "Two different versions of the same layer are not allowed to be referenced in the same "
            f"function. {layer}:{first} and {layer}:{second} are versions of the same layer."
        )
        with refused("InvalidParameterValueException", text, 400):
            update(f"{layer}:{first}", f"{layer}:{second}")
    for missing in (f"{layer}:9", layer_arn("not-there", 1)):
        with refused("InvalidParameterValueException", f"Layer version {missing} does not exist.", 400):
            update(missing)
    with refused("ValidationException", status=400):
        update(layer)
    with refused(
        "InvalidParameterValueException",
        "Layers are not in the same region as the function. Layers are expected to be in region "
        f"{REGION}.",
        400,
    ):
        update(layer_arn("x", 1, region="eu-west-1"))
    with refused("AccessDeniedException", status=403):
        update(layer_arn("x", 1, account=OTHER))
    with refused("InvalidParameterValueException", "Cannot reference more than 5 layers.", 400):
        update(*(layer_arn(f"x{number}", 1) for number in range(6)))
    assert shown(client, function) == []
    with refused("InvalidParameterValueException", f"Layer version {layer}:9 does not exist.", 400):
        deploy(CODE, Layers=[f"{layer}:9"])


def test_code_and_layers_together_have_a_limit(client, publish, deploy):
    big = [publish(zeros(megabytes))["LayerVersionArn"] for megabytes in (130, 110, 100)]
    tail = b"\0" * (20 << 20)
    with refused(
        "InvalidParameterValueException",
        "Layers consume more than the available size of 262144000 bytes",
        400,
    ):
        deploy(CODE, Layers=big)
    files = {"app.py": CODE, "tail": tail}
    actual = (240 << 20) + len(tail) + len(CODE)
    combined = (
        "Function code combined with layers exceeds the maximum allowed size of 262144000 bytes. The "
        f"actual size is {actual} bytes."
    )
    with refused("InvalidParameterValueException", combined, 400):
        deploy(files, Layers=big[:2])
    function = deploy(files, Layers=[big[0]])
    with refused("InvalidParameterValueException", combined, 400):
        client.update_function_configuration(FunctionName=function.name, Layers=big[:2])
    assert shown(client, function) == [big[0]]


def test_functions_keep_what_they_use(hearth, client, publish, deploy):
    """A deleted layer version lives on in the functions that have it, and goes with the last."""
    arn = publish({"name": "kept"})["LayerVersionArn"]
    name = arn.split(":")[-2]
    before = set(os.listdir(os.path.join(hearth.data, "code")))
    function = deploy(CODE, Layers=[arn])
    client.publish_version(FunctionName=function.name)
    client.delete_layer_version(LayerName=name, VersionNumber=1)
    assert function.invoke({}).json() == "kept"
    with refused("InvalidParameterValueException", f"Layer version {arn} does not exist."):
        client.update_function_configuration(FunctionName=function.name, Layers=[arn])
    client.update_function_configuration(FunctionName=function.name, Layers=[])
    assert function.invoke({}).error == "Unhandled"
    assert function.invoke({}, Qualifier="1").json() == "kept"
    usage = client.get_account_settings()["AccountUsage"]["TotalCodeSize"]
    client.delete_function(FunctionName=function.name)
    assert client.get_account_settings()["AccountUsage"]["TotalCodeSize"] < usage
    assert before, "the layer was unpacked"


def test_equal_zips_of_code_and_layers_are_kept_once_and_apart(client, publish, deploy):
    files = {"app.py": CODE, "name": "same"}
    first = publish(files)["LayerVersionArn"]
    second = publish(files)["LayerVersionArn"]
    import deployed

    function = deploy(files, Layers=[first, second])
    assert function.invoke({}).json() == "same"
    client.update_function_configuration(FunctionName=function.name, Layers=[second])
    for arn in (first, second):
        client.delete_layer_version(LayerName=arn.split(":")[-2], VersionNumber=1)
    client.update_function_code(
        FunctionName=function.name, ZipFile=deployed.zipped({"app.py": CODE + "# other\n"})
    )
    assert function.invoke({}).json() == "same"
    assert ACCOUNT in first
