"""Every operation of Lambda's model answers: with what it does, or that Hearth does not have it."""

import json
import os
import re

import hearth_up
import signed_http

MODEL = os.path.join(hearth_up.ROOT, "models", "lambda.json")
PAGE = os.path.join(hearth_up.ROOT, "docs", "compatibility", "lambda.md")
# Whatever the operation does with them, it is there.
PATH = {
    "FunctionName": "nobody",
    "LayerName": "nothing",
    "VersionNumber": "1",
    "Name": "alias",
    "StatementId": "statement",
    "UUID": "12345678-1234-1234-1234-123456789012",
    "CodeSigningConfigArn": "arn:aws:lambda:us-east-1:000000000000:code-signing-config:csc-0123456789abcdef0",
    "Resource": "arn:aws:lambda:us-east-1:000000000000:function:nobody",
    "CapacityProviderName": "provider",
    "DurableExecutionArn": "arn:aws:lambda:us-east-1:000000000000:function:nobody:1/durable-execution/a/b",
    "CallbackId": "callback",
}


def ask(hearth, operation):
    path = re.sub(r"\{(\w+)\}", lambda found: PATH[found[1]].replace("/", "%2F"), operation["uri"])
    return signed_http.call(
        hearth, operation["method"], path, None if operation["method"] == "GET" else {}
    )


def test_every_operation_answers_as_the_page_says(hearth):
    with open(MODEL) as file:
        operations = json.load(file)["operations"]
    assert len(operations) == 85
    absent = set()
    for name, operation in operations.items():
        answer = ask(hearth, operation)
        if answer.status == 501:
            assert answer.code == "NotImplementedException"
            assert answer.message == f"Hearth does not have the operation {name} of Lambda."
            absent.add(name)
        else:
            assert answer.status < 500, (name, answer.status, answer.body)
    with open(PAGE) as file:
        section = file.read().split("## Operations that are not there\n")[1].split("\n## ")[0]
    assert absent == set(re.findall(r"[A-Z]\w+", section.split("\n\n")[1]))
