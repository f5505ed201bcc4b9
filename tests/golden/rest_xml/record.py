#!/usr/bin/env python3
"""Writes recorded.json: what SDKs send for the inputs of cases.json, for src/aws/protocol/rest_xml_recorded_test.cc.

    python3 tests/golden/rest_xml/record.py --node build/fast/runtimes/node/node_modules

With the newest botocore of this interpreter and, where --node is given, the JavaScript SDK of that folder. Nothing of the
build or the tests runs this; no network is used.
"""

import argparse
import datetime
import json
import os
import pathlib
import re
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1",
               "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/dev/null",
               "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}

# What says when and by whom, not what.
DROPPED = re.compile(r"^(authorization|x-amz-date|x-amz-user-agent|user-agent|amz-sdk-.*|connection|host|expect"
                     r"|x-amz-security-token|x-amz-content-sha256)$")


def dates_to_python(value):
    if isinstance(value, dict):
        if "$date" in value:
            return datetime.datetime.fromisoformat(value["$date"].replace("Z", "+00:00"))
        return {key: dates_to_python(item) for key, item in value.items()}
    return [dates_to_python(item) for item in value] if isinstance(value, list) else value


def text(value):
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def row(source, case, method, url, headers, body):
    target = "/" + url.split("://", 1)[1].split("/", 1)[1]
    kept = sorted((name.lower(), text(value)) for name, value in headers.items() if not DROPPED.match(name.lower()))
    return {"source": source, "operation": case["operation"], "method": method, "target": target, "headers": kept,
            "body": body, "input": case["input"]}


def record_botocore(cases):
    import boto3
    import botocore
    import botocore.awsrequest
    import botocore.config

    os.environ.update(CREDENTIALS)
    client = boto3.client("s3", endpoint_url="http://127.0.0.1:4566",
                          config=botocore.config.Config(s3={"addressing_style": "path"}, retries={"max_attempts": 0}))
    sent = []

    def keep(request, **_):
        body = request.body
        if hasattr(body, "read"):
            body = body.read()
        sent.append((request.method, request.url, dict(request.headers), text(body or "")))
        return botocore.awsrequest.AWSResponse(request.url, 200, {}, None)

    client.meta.events.register("before-send.s3", keep)
    rows = []
    for case in cases:
        try:
            client._make_api_call(case["operation"], dates_to_python(case["input"]))
        except Exception:  # noqa: BLE001  The answer is no answer; only the request counts.
            pass
        rows.append(row(f"botocore {botocore.__version__}", case, *sent.pop()))
        assert not sent
    return rows


def record_javascript(cases, modules):
    version = json.loads((modules / "@aws-sdk" / "client-s3" / "package.json").read_text())["version"]
    merged = [{**case, "input": {**case["input"], **case.get("javascript", {})}} for case in cases]
    done = subprocess.run(["node", str(HERE / "record.cjs"), str(modules)], input=json.dumps(merged), text=True,
                          capture_output=True, check=True, env={**os.environ, **CREDENTIALS})
    rows = []
    for case, sent in zip(merged, json.loads(done.stdout), strict=True):
        # The numbers that JavaScript holds as texts are numbers in the model.
        case = {**case, "input": {name: int(value) if name == "PartNumberMarker" else value
                                  for name, value in case["input"].items()}}
        rows.append(row(f"javascript {version}", case, sent["method"], "x://h" + sent["target"], sent["headers"],
                        sent["body"]))
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--node", type=pathlib.Path)
    options = parser.parse_args()
    cases = json.loads((HERE / "cases.json").read_text())
    rows = record_botocore(cases)
    if options.node:
        rows += record_javascript(cases, options.node.resolve())
    lines = ",\n".join(" " + json.dumps(item) for item in rows)
    (HERE / "recorded.json").write_text(f"[\n{lines}\n]\n")
    print(f"{len(rows)} requests")


if __name__ == "__main__":
    main()
