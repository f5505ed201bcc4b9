"""With --lenient, settings that have no effect are accepted, shown again, and named."""

from functions import refused

HEARTH_OPTIONS = ("--lenient",)

VPC = {"SubnetIds": ["subnet-1", "subnet-2"], "SecurityGroupIds": ["sg-1"]}


def ignored(answer):
    return answer["ResponseMetadata"]["HTTPHeaders"].get("x-hearth-ignored")


def test_they_are_kept_and_named(client, create):
    made = create(
        VpcConfig=VPC,
        TracingConfig={"Mode": "Active"},
        DeadLetterConfig={"TargetArn": "arn:aws:sns:us-east-1:000000000000:t"},
        KMSKeyArn="arn:aws:kms:us-east-1:000000000000:key/1",
        Architectures=["arm64"],
    )
    assert set(ignored(made).split(", ")) == {
        "VpcConfig",
        "TracingConfig",
        "DeadLetterConfig",
        "KMSKeyArn",
        "Architectures",
    }
    shown = client.get_function_configuration(FunctionName=made["FunctionName"])
    assert shown["VpcConfig"] == {**VPC, "VpcId": ""}
    assert shown["TracingConfig"] == {"Mode": "Active"}
    assert shown["DeadLetterConfig"] == {"TargetArn": "arn:aws:sns:us-east-1:000000000000:t"}
    assert shown["KMSKeyArn"] == "arn:aws:kms:us-east-1:000000000000:key/1"
    assert shown["Architectures"] == ["arm64"]


def test_code_signing_and_file_systems(client, create):
    config = "arn:aws:lambda:us-east-1:000000000000:code-signing-config:csc-0123456789abcdef0"
    mount = {
        "Arn": "arn:aws:elasticfilesystem:us-east-1:000000000000:access-point/fsap-0123456789abcdef0",
        "LocalMountPath": "/mnt/genomes",
    }
    made = create(CodeSigningConfigArn=config, FileSystemConfigs=[mount])
    assert set(ignored(made).split(", ")) == {"CodeSigningConfigArn", "FileSystemConfigs"}
    name = made["FunctionName"]
    assert client.get_function_configuration(FunctionName=name)["FileSystemConfigs"] == [mount]
    assert client.get_function_code_signing_config(FunctionName=name)["CodeSigningConfigArn"] == config
    client.delete_function_code_signing_config(FunctionName=name)
    assert not client.get_function_code_signing_config(FunctionName=name).get("CodeSigningConfigArn")


def test_layers_of_elsewhere_are_shown_and_left_out(client, create):
    """Those that AWS publishes, say; a layer of the own account must be there all the same."""
    foreign = "arn:aws:lambda:us-east-1:580247275435:layer:LambdaInsightsExtension:55"
    made = create(Layers=[foreign])
    assert ignored(made) == "Layers"
    assert made["Layers"] == [{"Arn": foreign, "CodeSize": 0}]
    call = client.invoke(FunctionName=made["FunctionName"], Payload=b"1")
    assert call["Payload"].read() == b"1" and "FunctionError" not in call
    with refused("InvalidParameterValueException", contains="does not exist"):
        create(Layers=["arn:aws:lambda:us-east-1:000000000000:layer:l:1"])
    answer = client.update_function_configuration(FunctionName=made["FunctionName"], Layers=[])
    assert ignored(answer) is None and "Layers" not in answer


def test_what_is_honoured_is_not_named(client, create):
    made = create(Timeout=5, VpcConfig={"SubnetIds": [], "SecurityGroupIds": []})
    assert ignored(made) is None


def test_updates_too(client, create):
    name = create()["FunctionName"]
    answer = client.update_function_configuration(FunctionName=name, VpcConfig=VPC)
    assert ignored(answer) == "VpcConfig"
    answer = client.update_function_configuration(
        FunctionName=name, VpcConfig={"SubnetIds": [], "SecurityGroupIds": []}
    )
    assert ignored(answer) is None
    assert "VpcConfig" not in client.get_function_configuration(FunctionName=name)


def test_images_cannot_run_all_the_same(create):
    with refused("InvalidParameterValueException", contains="container images"):
        create(PackageType="Image", Code={"ImageUri": "x"})
