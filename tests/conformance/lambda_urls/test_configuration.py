"""The five operations on a URL's configuration, and how long a URL lives."""

import concurrent.futures
import re

import boto3
import botocore.exceptions
import pytest

import deployed
import function_url
import hearth_up

ECHO = "def handler(event, context):\n    return event\n"
CORS = {
    "AllowCredentials": True,
    "AllowHeaders": ["x-one", "x-two"],
    "AllowMethods": ["GET", "PUT"],
    "AllowOrigins": ["https://example.com"],
    "ExposeHeaders": ["date"],
    "MaxAge": 300,
}


def refused(call, **request):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(**request)
    error = caught.value.response
    return error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"], error["Error"]["Message"]


def without_metadata(answer):
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def test_a_url_from_its_creation_to_its_end(hearth, client, deploy):
    function = deploy(ECHO)
    made = client.create_function_url_config(FunctionName=function.name, AuthType="NONE")
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert re.fullmatch(
        rf"http://[a-z0-9]{{32}}\.lambda-url\.us-east-1\.localhost:{hearth.port}/", made["FunctionUrl"]
    )
    arn = f"arn:aws:lambda:us-east-1:000000000000:function:{function.name}"
    assert made["FunctionArn"] == arn
    assert made["AuthType"] == "NONE"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", made["CreationTime"])
    assert "Cors" not in made and "LastModifiedTime" not in made

    found = without_metadata(client.get_function_url_config(FunctionName=function.name))
    assert found.pop("LastModifiedTime") == made["CreationTime"]
    assert found == without_metadata(made)
    listed = client.list_function_url_configs(FunctionName=function.name)
    assert [one["FunctionUrl"] for one in listed["FunctionUrlConfigs"]] == [made["FunctionUrl"]]

    changed = client.update_function_url_config(FunctionName=arn, AuthType="AWS_IAM", Cors=CORS)
    assert changed["AuthType"] == "AWS_IAM"
    assert changed["Cors"] == CORS
    assert changed["FunctionUrl"] == made["FunctionUrl"]
    assert changed["CreationTime"] == made["CreationTime"]
    # What is not named stays, and CORS settings are replaced as a whole.
    changed = client.update_function_url_config(FunctionName=function.name, Cors={"MaxAge": 1})
    assert changed["AuthType"] == "AWS_IAM"
    assert changed["Cors"] == {"MaxAge": 1}
    assert "Cors" not in client.update_function_url_config(FunctionName=function.name, Cors={})

    gone = client.delete_function_url_config(FunctionName=function.name)
    assert gone["ResponseMetadata"]["HTTPStatusCode"] == 204
    missing = ("ResourceNotFoundException", 404, "The resource you requested does not exist.")
    assert refused(client.get_function_url_config, FunctionName=function.name) == missing
    assert refused(client.delete_function_url_config, FunctionName=function.name) == missing
    assert refused(client.update_function_url_config, FunctionName=function.name, AuthType="NONE") == missing
    assert client.list_function_url_configs(FunctionName=function.name)["FunctionUrlConfigs"] == []
    again = client.create_function_url_config(FunctionName=function.name, AuthType="NONE")
    assert again["FunctionUrl"] != made["FunctionUrl"]


def test_what_is_refused(client, deploy):
    function = deploy(ECHO)
    arn = f"arn:aws:lambda:us-east-1:000000000000:function:{function.name}"
    create = client.create_function_url_config
    assert refused(create, FunctionName="nobody", AuthType="NONE") == (
        "ResourceNotFoundException", 404, "Function does not exist",
    )
    assert refused(create, FunctionName=function.name, AuthType="NONE", Qualifier="nobody") == (
        "ResourceNotFoundException", 404, "Function does not exist",
    )
    assert refused(client.list_function_url_configs, FunctionName="nobody")[:2] == (
        "ResourceNotFoundException", 404,
    )
    client.publish_version(FunctionName=function.name)
    for qualifier in ("1", "$LATEST"):
        code, status, message = refused(
            create, FunctionName=function.name, AuthType="NONE", Qualifier=qualifier
        )
        assert (code, status) == ("ValidationException", 400)
        assert f"Value '{qualifier}' at 'qualifier' failed to satisfy constraint" in message
        code, status, message = refused(
            create, FunctionName=f"{function.name}:{qualifier}", AuthType="NONE"
        )
        assert (code, status) == ("ValidationException", 400)
    code, status, message = refused(create, FunctionName=function.name, AuthType="SOME")
    assert (code, status) == ("ValidationException", 400)
    assert "Member must satisfy enum value set: [NONE, AWS_IAM]" in message
    for cors in (
        {"MaxAge": 86401},
        {"MaxAge": -1},
        {"AllowMethods": ["OPTIONS"]},
        {"AllowOrigins": ["*"] * 101},
        {"AllowHeaders": ["x" * 1025]},
    ):
        with pytest.raises((botocore.exceptions.ClientError, botocore.exceptions.ParamValidationError)):
            create(FunctionName=function.name, AuthType="NONE", Cors=cors)
    create(FunctionName=function.name, AuthType="NONE")
    assert refused(create, FunctionName=function.name, AuthType="NONE") == (
        "ResourceConflictException",
        409,
        f"Failed to create function url config for [functionArn = {arn}]. Error message:  "
        "FunctionUrlConfig exists for this Lambda function",
    )


def test_aliases_have_urls_of_their_own(hearth, client, deploy):
    function = deploy("def handler(event, context):\n    return context.function_version\n")
    client.publish_version(FunctionName=function.name)
    arn = f"arn:aws:lambda:us-east-1:000000000000:function:{function.name}"
    for alias in ("beta", "live"):
        client.create_alias(FunctionName=function.name, Name=alias, FunctionVersion="1")
    of_latest = function_url.public(hearth, client, function.name)
    live = function_url.public(hearth, client, function.name, Qualifier="live")
    beta = function_url.create(hearth, client, function.name, Qualifier="beta")
    found = client.get_function_url_config(FunctionName=function.name, Qualifier="live")
    assert (found["FunctionUrl"], found["FunctionArn"]) == (live.text, arn + ":live")
    assert of_latest.call().body == b"$LATEST"
    assert live.call().body == b"1"
    # Its alias has no policy: that of the function itself is not its.
    assert beta.call().status == 403

    pages, marker = [], None
    while True:
        page = client.list_function_url_configs(
            FunctionName=function.name, MaxItems=1, **({"Marker": marker} if marker else {})
        )
        pages += [one["FunctionUrl"] for one in page["FunctionUrlConfigs"]]
        marker = page.get("NextMarker")
        if not marker:
            break
    assert pages == [of_latest.text, beta.text, live.text]

    client.delete_alias(FunctionName=function.name, Name="live")
    gone = live.call()
    assert (gone.status, gone.body) == (403, b'{"Message":null}')
    assert gone.headers["x-amzn-ErrorType"] == "AccessDeniedException"
    assert of_latest.call().status == 200


def test_a_url_goes_with_its_function(hearth, client, deploy, unique):
    function = deploy(ECHO)
    old = function_url.public(hearth, client, function.name)
    assert old.call().status == 200
    client.delete_function(FunctionName=function.name)
    assert old.call().status == 403
    # Another function of that name is another function.
    with_its_name = deployed.function(client, function.name, ECHO)
    function_url.allow_everybody(client, function.name)
    assert old.call().status == 403
    assert client.list_function_url_configs(FunctionName=function.name)["FunctionUrlConfigs"] == []
    new = function_url.create(hearth, client, with_its_name.name)
    assert new.call().status == 200


def test_two_at_once_make_one_url(client, deploy):
    function = deploy(ECHO)

    def create(_):
        try:
            return client.create_function_url_config(FunctionName=function.name, AuthType="NONE")["FunctionUrl"]
        except client.exceptions.ResourceConflictException:
            return None

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        made = [url for url in pool.map(create, range(8)) if url]
    assert len(made) == 1
    assert client.get_function_url_config(FunctionName=function.name)["FunctionUrl"] == made[0]


def test_other_accounts_and_regions_have_urls_of_their_own(hearth, unique):
    name = unique("elsewhere")
    there = hearth.client("lambda", "111122223333", "any", region="eu-west-1")
    deployed.function(there, name, ECHO)
    url = function_url.public(hearth, there, name)
    assert ".lambda-url.eu-west-1.localhost" in url.text
    assert url.call("/x").json()["rawPath"] == "/x"
    with pytest.raises(botocore.exceptions.ClientError):
        hearth.client("lambda").get_function_url_config(FunctionName=name)
    there.delete_function(FunctionName=name)


def test_urls_are_there_after_a_crash(hearth, client, deploy):
    function = deploy(ECHO)
    url = function_url.public(hearth, client, function.name, Cors=CORS)
    hearth.kill("cloud")

    def answers():
        try:
            return url.call("/after").status == 200
        except OSError:
            return False

    hearth_up.wait_for(answers, "the URL to work again")
    assert client.get_function_url_config(FunctionName=function.name)["Cors"] == CORS


def test_the_url_has_the_name_by_which_hearth_was_called(hearth, client, deploy):
    function = deploy(ECHO)
    client.create_function_url_config(FunctionName=function.name, AuthType="NONE")
    key, secret = hearth.root_key()
    by_name = boto3.client(
        "lambda", endpoint_url=f"http://localhost:{hearth.port}", region_name="us-east-1",
        aws_access_key_id=key, aws_secret_access_key=secret,
    )
    shown = by_name.get_function_url_config(FunctionName=function.name)["FunctionUrl"]
    assert shown.endswith(f".lambda-url.us-east-1.localhost:{hearth.port}/")


def test_hearth_shows_urls(hearth, client, deploy):
    function = deploy(ECHO)
    for listed in client.list_functions()["Functions"]:
        if listed["FunctionName"] != function.name:
            client.delete_function(FunctionName=listed["FunctionName"])
    url = function_url.create(hearth, client, function.name)
    assert url.text in hearth.hearth("functions").stdout
    assert "1 of them without a signature" in hearth.hearth("status").stdout
