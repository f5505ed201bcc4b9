"""Code signing, provisioned concurrency, event invoke configuration: what a function without them answers."""

import pytest

from functions import ACCOUNT, REGION, arn, refused

CONFIG = f"arn:aws:lambda:{REGION}:{ACCOUNT}:code-signing-config:csc-0123456789abcdef0"


def test_code_signing_of_a_function(client, create):
    name = create()["FunctionName"]
    shown = client.get_function_code_signing_config(FunctionName=name)
    assert shown["FunctionName"] == name
    assert not shown.get("CodeSigningConfigArn")
    client.delete_function_code_signing_config(FunctionName=name)
    with refused("CodeSigningConfigNotFoundException", status=404, contains=CONFIG):
        client.put_function_code_signing_config(FunctionName=name, CodeSigningConfigArn=CONFIG)
    with refused("ResourceNotFoundException", f"Function not found: {arn('nobody')}", 404):
        client.delete_function_code_signing_config(FunctionName="nobody")
    with refused("ResourceNotFoundException", status=404):
        client.put_function_code_signing_config(FunctionName="nobody", CodeSigningConfigArn=CONFIG)


def test_code_signing_configs(client):
    assert client.list_code_signing_configs()["CodeSigningConfigs"] == []
    for read in (
        client.get_code_signing_config,
        client.delete_code_signing_config,
        client.update_code_signing_config,
        client.list_functions_by_code_signing_config,
    ):
        with refused("ResourceNotFoundException", status=404):
            read(CodeSigningConfigArn=CONFIG)
    with refused("NotImplementedException", status=501, contains="CreateCodeSigningConfig"):
        client.create_code_signing_config(
            AllowedPublishers={
                "SigningProfileVersionArns": [f"arn:aws:signer:{REGION}:{ACCOUNT}:/signing-profiles/p/abcdefghij"]
            }
        )


def test_provisioned_concurrency(client, create):
    name = create(Publish=True)["FunctionName"]
    assert client.list_provisioned_concurrency_configs(FunctionName=name)["ProvisionedConcurrencyConfigs"] == []
    with refused(
        "ProvisionedConcurrencyConfigNotFoundException",
        "No Provisioned Concurrency Config found for this function",
        404,
    ):
        client.get_provisioned_concurrency_config(FunctionName=name, Qualifier="1")
    client.delete_provisioned_concurrency_config(FunctionName=name, Qualifier="1")
    with refused("NotImplementedException", status=501, contains="PutProvisionedConcurrencyConfig"):
        client.put_provisioned_concurrency_config(
            FunctionName=name, Qualifier="1", ProvisionedConcurrentExecutions=1
        )
    with refused("ResourceNotFoundException", status=404):
        client.list_provisioned_concurrency_configs(FunctionName="nobody")


def test_event_invoke_config(client, create):
    name = create()["FunctionName"]
    assert client.list_function_event_invoke_configs(FunctionName=name)["FunctionEventInvokeConfigs"] == []
    for call in (client.get_function_event_invoke_config, client.delete_function_event_invoke_config):
        with refused(
            "ResourceNotFoundException",
            f"The function {arn(name, '$LATEST')} doesn't have an EventInvokeConfig",
            404,
        ):
            call(FunctionName=name)
    with refused("ResourceNotFoundException", status=404):
        client.update_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=1)


@pytest.mark.parametrize(
    "changes, what",
    [
        ({"CodeSigningConfigArn": CONFIG}, "CodeSigningConfigArn"),
        (
            {
                "FileSystemConfigs": [
                    {
                        "Arn": f"arn:aws:elasticfilesystem:{REGION}:{ACCOUNT}:access-point/fsap-0123456789abcdef0",
                        "LocalMountPath": "/mnt/genomes",
                    }
                ]
            },
            "FileSystemConfigs",
        ),
        ({"ImageConfig": {"Command": ["x"]}}, "container images (ImageConfig)"),
    ],
)
def test_settings_that_need_them(create, changes, what):
    with refused("InvalidParameterValueException", f"Hearth does not support {what} yet.", 400):
        create(**changes)


def test_settings_that_ask_for_nothing(create, client):
    made = create(
        VpcConfig={"SubnetIds": [], "SecurityGroupIds": []},
        TracingConfig={"Mode": "PassThrough"},
        DeadLetterConfig={},
        FileSystemConfigs=[],
        KMSKeyArn="",
        SnapStart={"ApplyOn": "None"},
    )
    shown = client.get_function_configuration(FunctionName=made["FunctionName"])
    assert shown["TracingConfig"] == {"Mode": "PassThrough"}
    assert shown["SnapStart"] == {"ApplyOn": "None", "OptimizationStatus": "Off"}
    assert not shown.get("VpcConfig", {}).get("SubnetIds")
    assert "DeadLetterConfig" not in shown
