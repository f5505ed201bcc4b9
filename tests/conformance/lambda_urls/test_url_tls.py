"""Function URLs over TLS with Hearth's own authority, and in enforce mode."""

import json
import subprocess

import pytest

import deployed
import function_url
import hearth_up


@pytest.fixture(scope="module")
def hearth():
    with hearth_up.Hearth(options=["--tls", "self", "--auth", "enforce"], tls=True) as running:
        yield running


@pytest.fixture(scope="module")
def role(hearth):
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
    return hearth.client("iam").create_role(RoleName="test", AssumeRolePolicyDocument=json.dumps(trust))


def curl(hearth, url, *options):
    return subprocess.run(
        ["/usr/bin/curl", "--silent", "--show-error", "--noproxy", "*", "--cacert", hearth.ca_certificate(), *options, url],
        capture_output=True, text=True, timeout=hearth_up.DEADLINE_S,
    )


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1"])
def test_the_certificate_names_every_url(hearth, role, region):
    client = hearth.client("lambda", region=region)
    deployed.function(
        client, "tls", "def handler(event, context):\n    return event['headers']['x-forwarded-proto']\n"
    )
    function_url.allow_everybody(client, "tls")
    url = client.create_function_url_config(FunctionName="tls", AuthType="NONE")["FunctionUrl"]
    assert url.startswith("https://") and f".lambda-url.{region}.localhost:{hearth.port}/" in url
    # Nobody signed, and this cloud refuses unsigned calls of its API: a public URL is public all the same.
    done = curl(hearth, url)
    assert (done.returncode, done.stdout) == (0, "https"), done.stderr


def test_signed_urls_where_unknown_keys_are_refused(hearth, role):
    client = hearth.client("lambda")
    deployed.function(client, "signed", "def handler(event, context):\n    return 'in'\n")
    url = client.create_function_url_config(FunctionName="signed", AuthType="AWS_IAM")["FunctionUrl"]
    key, secret = hearth.root_key()

    def signed(key, secret):
        return curl(hearth, url, "--aws-sigv4", "aws:amz:us-east-1:lambda", "--user", f"{key}:{secret}")

    assert signed(key, secret).stdout == "in"
    assert "security token included in the request is invalid" in signed("111122223333", "any").stdout
    assert "does not match" in signed(key, "wrong").stdout
    assert "Forbidden" in curl(hearth, url).stdout
