"""Deploys small functions for tests: deployed.function(hearth, name, source) -> Function."""

import base64
import io
import json
import os
import zipfile

import hearth_up

ROLE = "arn:aws:iam::000000000000:role/test"


def zipped(files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = 0o100755 << 16
            archive.writestr(info, content)
    return out.getvalue()


class Call:
    def __init__(self, answer):
        self.status = answer["StatusCode"]
        self.error = answer.get("FunctionError")
        self.version = answer.get("ExecutedVersion")
        self.body = answer["Payload"].read()
        self.log = base64.b64decode(answer.get("LogResult", "")).decode()
        self.request_id = answer["ResponseMetadata"]["RequestId"]

    def json(self):
        return json.loads(self.body)


class Function:
    def __init__(self, client, name):
        self.client = client
        self.name = name

    def invoke(self, event=None, payload=None, **more):
        request = {"FunctionName": self.name, "LogType": "Tail", **more}
        if payload is not None:
            request["Payload"] = payload
        elif event is not None:
            request["Payload"] = json.dumps(event).encode()
        return Call(self.client.invoke(**request))


def function(client, name, files, runtime="python3.12", handler="app.handler", **configuration):
    """`files` is a source text (of app.py, index.js or bootstrap) or a dictionary of files."""
    if not isinstance(files, dict):
        kind = "app.py" if runtime.startswith("python") else "index.js" if runtime.startswith("node") else "bootstrap"
        files = {kind: files}
    client.create_function(
        FunctionName=name,
        Runtime=runtime,
        Role=ROLE,
        Handler=handler,
        Code={"ZipFile": zipped(files)},
        **{"Timeout": 60, **configuration},
    )
    client.get_waiter("function_active_v2").wait(FunctionName=name)
    return Function(client, name)


def program(name):
    """A program of the build's examples, as bytes."""
    with open(os.path.join(hearth_up.build_directory(), "examples", name), "rb") as file:
        return file.read()
