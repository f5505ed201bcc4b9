"""What was acknowledged is there after a stop and after kill -9, with one loop thread and with four."""

import os

import hearth_up
from functions import ROLE, arn, code, refused, zip_of

import pytest


def make_everything(client):
    client.create_function(
        FunctionName="kept",
        Runtime="python3.12",
        Role=ROLE,
        Handler="index.handler",
        Code=code(),
        Publish=True,
        Environment={"Variables": {"SECRET": "s3cr3t-value"}},
        Tags={"a": "b"},
    )
    client.create_alias(FunctionName="kept", Name="live", FunctionVersion="1")
    client.update_function_code(FunctionName="kept", ZipFile=zip_of({"index.py": "# 2\n"}))
    layer = client.publish_layer_version(LayerName="words", Content={"ZipFile": zip_of({"word.txt": "phage"})})
    client.update_function_configuration(FunctionName="kept", Layers=[layer["LayerVersionArn"]])
    client.create_function_url_config(
        FunctionName="kept", Qualifier="live", AuthType="AWS_IAM", Cors={"AllowOrigins": ["https://phage.example"]}
    )
    client.add_permission(
        FunctionName="kept", StatementId="s", Action="lambda:InvokeFunction", Principal="111122223333"
    )
    client.put_function_concurrency(FunctionName="kept", ReservedConcurrentExecutions=7)
    client.create_function(
        FunctionName="gone",
        Runtime="python3.12",
        Role=ROLE,
        Handler="index.handler",
        Code=code(),
        Publish=True,
    )
    client.delete_function(FunctionName="gone")


def everything(client):
    def plain(answer):
        answer.pop("ResponseMetadata")
        answer.pop("Code", None)
        return answer

    return [
        plain(client.get_function(FunctionName="kept")),
        plain(client.get_function(FunctionName="kept", Qualifier="live")),
        plain(client.list_versions_by_function(FunctionName="kept")),
        plain(client.list_aliases(FunctionName="kept")),
        plain(client.list_functions()),
        plain(client.list_layers()),
        plain(client.get_function_url_config(FunctionName="kept", Qualifier="live")),
        plain(client.get_policy(FunctionName="kept")),
        plain(client.get_function_concurrency(FunctionName="kept")),
    ]


@pytest.mark.parametrize("threads", ["1", "4"])
@pytest.mark.parametrize("ending", ["stop", "kill"])
def test_restart(threads, ending):
    chosen = "--threads" in os.environ.get("HEARTH_UP_OPTIONS", "")
    with hearth_up.Hearth(options=() if chosen else ("--threads", threads)) as hearth:
        client = hearth.client("lambda")
        make_everything(client)
        before = everything(client)
        if ending == "stop":
            hearth.stop(keep_data=True)
        else:
            hearth.kill()
        hearth.start()
        client = hearth.client("lambda")
        assert everything(client) == before
        with refused("ResourceNotFoundException", f"Function not found: {arn('gone')}"):
            client.get_function(FunctionName="gone")
        location = client.get_function(FunctionName="kept", Qualifier="1")["Code"]["Location"]
        assert hearth.get(location[len(hearth.endpoint) :]).read() == code()["ZipFile"]


def test_secrets_are_not_readable_on_disk():
    with hearth_up.Hearth() as hearth:
        make_everything(hearth.client("lambda"))
        hearth.stop(keep_data=True)
        for directory, _, files in os.walk(hearth.data):
            for file in files:
                with open(os.path.join(directory, file), "rb") as content:
                    assert b"s3cr3t-value" not in content.read(), file
