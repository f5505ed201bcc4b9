"""Unchanged clients do a day's work: the npm SDK v3 on node, Debian's aws and Debian's boto3."""

import base64
import io
import json
import os
import subprocess
import zipfile

import pytest

import hearth_up

INDEX_MJS = """
export const handler = async (event, context) => {
    if (event.fail) {
        throw new TypeError("as asked");
    }
    console.log("greeting", event.name);
    return { text: `${process.env.GREETING}, ${event.name}`, version: context.functionVersion };
};
"""


STREAMING_MJS = """
import { createRequire } from "node:module";
// A module's import looks for packages beside itself alone, on AWS too; a layer's come with require.
const words = createRequire(import.meta.url)("words");
export const handler = awslambda.streamifyResponse(async (event, stream) => {
    stream.write(`${words.greeting}, `);
    if (event.fail) {
        throw new TypeError("as asked");
    }
    stream.write(event.name ?? event.queryStringParameters?.name ?? "nobody");
    stream.end();
});
"""


def zipped(directory, name, content, file="function.zip"):
    path = os.path.join(directory, file)
    with zipfile.ZipFile(path, "w") as package:
        package.writestr(name, content)
    return path


def sdk_directory():
    """The SDK that functions see as well; npm installs it with the build."""
    directory = os.path.join(hearth_up.build_directory(), "runtimes", "node")
    if not os.path.isdir(os.path.join(directory, "node_modules", "@aws-sdk", "client-lambda")):
        pytest.skip("the npm SDK is not installed (the build had no npm registry)")
    return directory


def test_sdk_v3_on_node(hearth, tmp_path):
    sdk = sdk_directory()
    done = subprocess.run(
        ["/usr/bin/node", os.path.join(os.path.dirname(__file__), "sdk_v3_job.cjs"), sdk]
        + [zipped(tmp_path, "index.mjs", INDEX_MJS)],
        env=hearth.aws_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen["identity"] == "arn:aws:iam::000000000000:root"
    assert seen["role"] == "arn:aws:iam::000000000000:role/sdk-v3"
    assert seen["tags"] == {"team": "tests"}
    assert seen["version"] == seen["executedVersion"] == "1"
    assert seen["answer"] == {"text": "good day, Höhle", "version": "1"}
    assert "START RequestId" in seen["tail"] and "REPORT RequestId" in seen["tail"]
    assert seen["functionError"] == "Unhandled"
    assert seen["failure"]["errorType"] == "TypeError"
    assert seen["failure"]["errorMessage"] == "as asked"
    assert seen["failure"]["trace"][0] == "TypeError: as asked"
    assert seen["missing"]["name"] == "ResourceNotFoundException"
    assert seen["missing"]["status"] == 404
    assert seen["missing"]["message"].startswith("Function not found: arn:aws:lambda:us-east-1:")
    assert seen["versionPages"] == [["$LATEST"], ["1"]]
    assert "greeting Höhle" in seen["logged"]
    assert seen["deleted"] == "ResourceNotFoundException"


def test_sdk_v3_layers_urls_streams_and_permissions(tmp_path):
    sdk = sdk_directory()
    layer = zipped(tmp_path, "nodejs/node_modules/words/index.js", "exports.greeting = 'good day';\n", "layer.zip")
    with hearth_up.Hearth() as hearth:
        done = subprocess.run(
            ["/usr/bin/node", os.path.join(os.path.dirname(__file__), "sdk_v3_features_job.cjs"), sdk]
            + [zipped(tmp_path, "index.mjs", STREAMING_MJS), layer],
            env=hearth.aws_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=600,
        )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen["layer"] == {"arn": "arn:aws:lambda:us-east-1:000000000000:layer:words:1", "version": 1}
    assert seen["layers"] == [seen["layer"]["arn"]]
    assert seen["streamed"] == {"text": "good day, phage"}
    assert seen["broken"]["text"] == "good day, "
    assert seen["broken"]["errorCode"] == "TypeError"
    assert "as asked" in seen["broken"]["errorDetails"]
    assert (seen["withoutPermission"], seen["afterRemoval"]) == (403, 403)
    assert [one["Action"] for one in seen["policy"]["Statement"]] == ["lambda:InvokeFunctionUrl", "lambda:InvokeFunction"]
    assert seen["withPermission"] == {"status": 200, "body": "good day, url"}
    assert seen["signed"] == {"status": 200, "body": "good day, signed"}
    assert (seen["unsigned"], seen["signedForAnother"]) == (403, 403)
    assert seen["reserved"] == 0
    assert seen["throttled"] == {
        "name": "TooManyRequestsException",
        "reason": "ReservedFunctionConcurrentInvocationLimitExceeded",
        "status": 429,
    }
    assert seen["again"] == "good day, again"


def test_aws_command_line(tmp_path):
    # A Hearth of its own: in the other one, account 000000000000 has roles, and this role is none of them.
    with hearth_up.Hearth() as hearth:
        package = zipped(tmp_path, "f.py", "def handler(event, context):\n    return event['n'] * 2\n")
        made = hearth.aws(
            "lambda", "create-function", "--function-name", "doubles", "--runtime", "python3.12",
            "--handler", "f.handler", "--role", "arn:aws:iam::000000000000:role/any",
            "--zip-file", f"fileb://{package}",
        )
        assert made["FunctionArn"] == "arn:aws:lambda:us-east-1:000000000000:function:doubles"
        hearth.aws("lambda", "wait", "function-active-v2", "--function-name", "doubles")
        out = tmp_path / "out.json"
        done = hearth.aws(
            "lambda", "invoke", "--function-name", "doubles", "--log-type", "Tail",
            "--cli-binary-format", "raw-in-base64-out", "--payload", '{"n": 21}', str(out),
        )
        assert done["StatusCode"] == 200 and json.loads(out.read_text()) == 42
        assert "REPORT RequestId" in base64.b64decode(done["LogResult"]).decode()
        tail = hearth_up.wait_for(
            lambda: hearth.aws_raw("logs", "tail", "/aws/lambda/doubles", "--format", "short").stdout,
            "aws logs tail to show the call",
        )
        assert "START RequestId" in tail
        name = ("--function-name", "doubles")
        layer = hearth.aws(
            "lambda", "publish-layer-version", "--layer-name", "notes", "--zip-file",
            f"fileb://{zipped(tmp_path, 'note.txt', 'a note', 'layer.zip')}",
        )
        hearth.aws("lambda", "update-function-configuration", *name, "--layers", layer["LayerVersionArn"])
        shown = hearth.aws("lambda", "get-function", *name)
        assert [one["Arn"] for one in shown["Configuration"]["Layers"]] == [layer["LayerVersionArn"]]
        url = hearth.aws("lambda", "create-function-url-config", *name, "--auth-type", "NONE")["FunctionUrl"]
        for action, more in (("InvokeFunctionUrl", ["--function-url-auth-type", "NONE"]), ("InvokeFunction", [])):
            hearth.aws(
                "lambda", "add-permission", *name, "--statement-id", action, "--principal", "*",
                "--action", f"lambda:{action}", *more,
            )
        policy = json.loads(hearth.aws("lambda", "get-policy", *name)["Policy"])
        assert {one["Sid"] for one in policy["Statement"]} == {"InvokeFunctionUrl", "InvokeFunction"}
        # curl knows that names below localhost are this machine. The function wants an n that a URL cannot give.
        curl = ["/usr/bin/curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--noproxy", "*", url]
        assert subprocess.run(curl, capture_output=True, text=True, timeout=120).stdout == "502"
        reserved = hearth.aws(
            "lambda", "put-function-concurrency", *name, "--reserved-concurrent-executions", "0"
        )
        assert reserved["ReservedConcurrentExecutions"] == 0
        assert subprocess.run(curl, capture_output=True, text=True, timeout=120).stdout == "429"
        missing = hearth.aws_raw("lambda", "get-function", "--function-name", "nobody")
        assert missing.returncode == 254
        assert "(ResourceNotFoundException)" in missing.stderr


def test_boto3_inside_a_function_calls_hearth(hearth):
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as package:
        package.writestr(
            "f.py",
            "import boto3\n"
            "def handler(event, context):\n"
            "    return boto3.client('sts').get_caller_identity()['Arn']\n",
        )
    lambda_ = hearth.client("lambda", key="777788889999", secret="any")
    lambda_.create_function(
        FunctionName="who", Runtime="python3.12", Handler="f.handler", Timeout=60, MemorySize=512,
        Role="arn:aws:iam::777788889999:role/worker", Code={"ZipFile": code.getvalue()},
    )
    lambda_.get_waiter("function_active_v2").wait(FunctionName="who")
    answer = lambda_.invoke(FunctionName="who")
    body = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, body
    assert body == "arn:aws:sts::777788889999:assumed-role/worker/who"
