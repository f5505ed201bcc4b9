"""Layer versions as the API shows them. Source: Lambda API Reference, PublishLayerVersion and its
neighbours; the texts of errors were seen at AWS."""

import base64
import hashlib
import os
import re
import stat
import urllib.request

import pytest

from layers import ACCOUNT, OTHER, layer_arn, refused, zeros, zip_of

FILES = {"python/greeting.py": "text = 'hello'\n"}


def test_a_version_is_shown_as_published(client, publish, unique):
    name = unique("layer")
    content = zip_of(FILES)
    made = publish(
        content,
        name,
        Description="words",
        LicenseInfo="MIT",
        CompatibleRuntimes=["python3.12", "python3.11"],
        CompatibleArchitectures=["x86_64"],
    )
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert made["LayerArn"] == layer_arn(name)
    assert made["LayerVersionArn"] == layer_arn(name, 1)
    assert made["Version"] == 1
    assert made["Description"] == "words"
    assert made["LicenseInfo"] == "MIT"
    assert made["CompatibleRuntimes"] == ["python3.12", "python3.11"]
    assert made["CompatibleArchitectures"] == ["x86_64"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000", made["CreatedDate"])
    sha256 = base64.b64encode(hashlib.sha256(content).digest()).decode()
    assert made["Content"]["CodeSha256"] == sha256
    assert made["Content"]["CodeSize"] == len(content)
    with urllib.request.urlopen(made["Content"]["Location"]) as answer:
        assert answer.read() == content

    def plain(shown):
        shown = {key: value for key, value in shown.items() if key != "ResponseMetadata"}
        shown["Content"] = {k: v for k, v in shown["Content"].items() if k != "Location"}
        return shown

    for shown in (
        client.get_layer_version(LayerName=name, VersionNumber=1),
        client.get_layer_version(LayerName=layer_arn(name), VersionNumber=1),
        client.get_layer_version_by_arn(Arn=layer_arn(name, 1)),
    ):
        assert plain(shown) == plain(made)


def test_what_was_not_given_is_left_out(publish):
    made = publish(FILES)
    assert made["Description"] == ""
    for member in ("LicenseInfo", "CompatibleRuntimes", "CompatibleArchitectures"):
        assert member not in made
    assert publish(FILES, CompatibleRuntimes=[])["CompatibleRuntimes"] == []


def test_numbers_are_never_used_twice(client, publish, unique):
    name = unique("layer")
    assert [publish(FILES, name)["Version"] for _ in range(2)] == [1, 2]
    for version in (1, 2, 2):
        answer = client.delete_layer_version(LayerName=name, VersionNumber=version)
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert client.list_layer_versions(LayerName=name)["LayerVersions"] == []
    assert name not in [layer["LayerName"] for layer in client.list_layers()["Layers"]]
    assert publish(FILES, name)["Version"] == 3


def test_what_is_not_there(client, publish, unique):
    name = unique("layer")
    publish(FILES, name)
    missing = "The resource you requested does not exist."
    with refused("ResourceNotFoundException", missing, 404):
        client.get_layer_version(LayerName=name, VersionNumber=2)
    with refused("ResourceNotFoundException", missing, 404):
        client.get_layer_version(LayerName=name + "-not", VersionNumber=1)
    with refused("ResourceNotFoundException", missing, 404):
        client.get_layer_version_by_arn(Arn=layer_arn(name, 99999999999999999999))
    with refused("ResourceNotFoundException", missing, 404):
        client.get_layer_version_by_arn(Arn=layer_arn(name, 1, region="eu-west-1"))
    for call in (client.get_layer_version, client.delete_layer_version):
        for version in (0, -1):
            with refused(
                "InvalidParameterValueException", "Layer Version Cannot be less than 1", 400
            ):
                call(LayerName=name, VersionNumber=version)
    client.delete_layer_version(LayerName=name + "-not", VersionNumber=1)
    assert client.list_layer_versions(LayerName=name + "-not")["LayerVersions"] == []


@pytest.mark.parametrize(
    "members",
    [
        {"LayerName": "with space"},
        {"LayerName": "x" * 141},
        {"LayerName": "arn:aws:lambda:us-east-1:1:layer:x"},
        {"Description": "x" * 257},
        {"LicenseInfo": "x" * 513},
        {"CompatibleRuntimes": ["python3.12"] * 16},
        {"CompatibleRuntimes": ["basic4"]},
        {"CompatibleArchitectures": ["vax"]},
    ],
)
def test_members_out_of_bounds(client, members):
    request = {"LayerName": "layer", "Content": {"ZipFile": zip_of(FILES)}, **members}
    with refused("ValidationException", status=400):
        client.publish_layer_version(**request)


def test_content(client, publish):
    with refused("InvalidParameterValueException", status=400):
        client.publish_layer_version(LayerName="layer", Content={})
    with refused(
        "InvalidParameterValueException",
        "Error occurred while GetObject. S3 Error Code: NoSuchBucket. S3 Error Message: The "
        "specified bucket does not exist",
        400,
    ):
        client.publish_layer_version(
            LayerName="layer", Content={"S3Bucket": "no-such-bucket", "S3Key": "k"}
        )
    with refused(
        "InvalidParameterValueException",
        "Could not unzip uploaded file. Please check your file, then try to upload again.",
        400,
    ):
        publish(b"no zip")
    with refused(
        "InvalidParameterValueException", "Unzipped size must be smaller than 262144000 bytes", 400
    ):
        publish(zeros(251))
    assert client.list_layers()["Layers"] == [], "what was refused leaves nothing"


@pytest.mark.parametrize(
    "files",
    [
        {"../evil": "x"},
        {"/etc/evil": "x"},
        {"out": ("/etc/passwd", stat.S_IFLNK | 0o777)},
        {"out": ("../../..", stat.S_IFLNK | 0o777)},
        {"dir/file": "x", "a": ("dir", stat.S_IFLNK | 0o777), "a/file2": "x"},
        # What overlayfs takes for a file that hides another: a device 0/0.
        {"hidden": ("", stat.S_IFCHR | 0o666)},
    ],
    ids=["up", "absolute", "link-out", "link-up", "through-link", "whiteout"],
)
def test_hostile_archives(hearth, publish, files):
    code = os.path.join(hearth.data, "code")
    before = {name for name in os.listdir(code) if not name.startswith(".")}
    with refused(
        "InvalidParameterValueException",
        "Could not unzip uploaded file. Please check your file, then try to upload again.",
        400,
    ):
        publish(files)
    assert {name for name in os.listdir(code) if not name.startswith(".")} <= before


def test_lists_filter_and_page(client, publish, unique):
    prefix = unique("layer")
    runtimes = [["python3.12"], ["nodejs20.x", "python3.12"], ["nodejs20.x"], None]
    for number, compatible in enumerate(runtimes):
        members = {"CompatibleRuntimes": compatible} if compatible else {}
        publish(FILES, f"{prefix}-a", Description=str(number + 1), **members)
    publish(FILES, f"{prefix}-b", CompatibleRuntimes=["python3.12"], CompatibleArchitectures=["arm64"])
    publish(FILES, f"{prefix}-c")

    def versions(**filters):
        pages = client.get_paginator("list_layer_versions").paginate(
            LayerName=f"{prefix}-a", PaginationConfig={"PageSize": 1}, **filters
        )
        found = [version for page in pages for version in page["LayerVersions"]]
        assert all("Content" not in version for version in found)
        assert [version["Description"] for version in found] == [str(v["Version"]) for v in found]
        return [version["Version"] for version in found]

    assert versions() == [4, 3, 2, 1]
    assert versions(CompatibleRuntime="python3.12") == [2, 1]
    assert versions(CompatibleRuntime="nodejs20.x") == [3, 2]
    assert versions(CompatibleArchitecture="arm64") == []
    page = client.list_layer_versions(LayerName=f"{prefix}-a", MaxItems=3)
    assert [version["Version"] for version in page["LayerVersions"]] == [4, 3, 2]

    def newest(size, **filters):
        pages = client.get_paginator("list_layers").paginate(
            PaginationConfig={"PageSize": size}, **filters
        )
        found = {}
        for page in pages:
            assert len(page["Layers"]) <= size
            for layer in page["Layers"]:
                if layer["LayerName"].startswith(prefix):
                    assert layer["LayerArn"] == layer_arn(layer["LayerName"])
                    found[layer["LayerName"][-1]] = layer["LatestMatchingVersion"]["Version"]
        return found

    for size in (1, 2, 50):
        assert newest(size) == {"a": 4, "b": 1, "c": 1}
        assert newest(size, CompatibleRuntime="python3.12") == {"a": 2, "b": 1}
        assert newest(size, CompatibleRuntime="nodejs20.x") == {"a": 3}
        assert newest(size, CompatibleArchitecture="arm64", CompatibleRuntime="python3.12") == {"b": 1}


def test_layers_of_others_are_their_own(client, stranger, publish):
    made = publish(FILES)
    name, arn = made["LayerArn"].split(":")[-1], made["LayerArn"]
    assert stranger.list_layers()["Layers"] == []
    with refused("ResourceNotFoundException"):
        stranger.get_layer_version(LayerName=name, VersionNumber=1)
    denied = (
        "User: arn:aws:iam::{}:root is not authorized to perform: lambda:{} on resource: {} "
        "because no resource-based policy allows the lambda:{} action"
    )

    def text(operation, resource):
        return denied.format(OTHER, operation, resource, operation)

    for missing in (arn, arn + "-not"):
        with refused("AccessDeniedException", text("GetLayerVersion", missing + ":1"), 403):
            stranger.get_layer_version(LayerName=missing, VersionNumber=1)
        with refused("AccessDeniedException", text("DeleteLayerVersion", missing + ":1"), 403):
            stranger.delete_layer_version(LayerName=missing, VersionNumber=1)
    with refused("AccessDeniedException", text("ListLayerVersions", arn), 403):
        stranger.list_layer_versions(LayerName=arn)
    with refused("AccessDeniedException", text("PublishLayerVersion", arn), 403):
        stranger.publish_layer_version(LayerName=arn, Content={"ZipFile": zip_of(FILES)})
    assert client.get_layer_version(LayerName=arn, VersionNumber=1)["LayerArn"].split(":")[4] == ACCOUNT
