"""Function URLs in tests: opens them to the public, and calls them by host name or by path.

    url = function_url.public(client, function.name)
    answer = url.call("/path?query", method="POST", body=b"...", headers={...})
"""

import contextlib
import http.client
import json
import re

import botocore.auth
import botocore.awsrequest
import botocore.credentials

REGION = "us-east-1"


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    def json(self):
        return json.loads(self.body)


class Url:
    """One function URL of a running Hearth."""

    def __init__(self, hearth, text):
        self.hearth = hearth
        self.text = text
        self.host = re.fullmatch(r"https?://([^/]+)/", text)[1]
        self.id = self.host.split(".")[0]

    def connection(self):
        return http.client.HTTPConnection("127.0.0.1", self.hearth.port, timeout=120)

    def call(self, path="/", method="GET", body=None, headers=None, by_path=False, connection=None):
        """One request; `by_path` uses the form for clients that cannot name the host."""
        connection = connection or self.connection()
        headers = dict(headers or {})
        if by_path:
            path = f"/_hearth/lambda-url/{self.id}{path}"
        else:
            headers.setdefault("Host", self.host)
        connection.request(method, path, body=body, headers=headers)
        return Answer(connection.getresponse())

    def signed(self, key, secret, path="/", method="GET", body=b"", region=REGION, by_path=False, token=None):
        """One request signed for the service lambda."""
        host = f"127.0.0.1:{self.hearth.port}" if by_path else self.host
        prefix = f"/_hearth/lambda-url/{self.id}" if by_path else ""
        request = botocore.awsrequest.AWSRequest(
            method=method, url=f"http://{host}{prefix}{path}", data=body, headers={"Host": host}
        )
        credentials = botocore.credentials.Credentials(key, secret, token)
        botocore.auth.SigV4Auth(credentials, "lambda", region).add_auth(request)
        return self.call(
            prefix + path if by_path else path, method, body, dict(request.headers.items())
        )


@contextlib.contextmanager
def members(client, operation, more):
    """Adds members to a request that Debian's botocore does not know yet."""

    def add(params, **_):
        params["body"] = json.dumps({**json.loads(params["body"] or b"{}"), **more}).encode()

    event = f"before-call.lambda.{operation}"
    client.meta.events.register(event, add)
    try:
        yield
    finally:
        client.meta.events.unregister(event, add)


def allow(client, name, action, condition=None, principal="*", statement=None, qualifier=None):
    """AddPermission with a condition on URLs."""
    with members(client, "AddPermission", condition or {}):
        return client.add_permission(
            FunctionName=name,
            StatementId=statement or action.split(":")[1],
            Action=action,
            Principal=principal,
            **({"Qualifier": qualifier} if qualifier else {}),
        )


def rest(hearth, method, path, body=None):
    """A signed call of Lambda's API, for members that Debian's botocore does not show; parsed JSON."""
    data = json.dumps(body).encode() if body is not None else b""
    request = botocore.awsrequest.AWSRequest(method=method, url=hearth.endpoint + path, data=data)
    credentials = botocore.credentials.Credentials(*hearth.root_key())
    botocore.auth.SigV4Auth(credentials, "lambda", REGION).add_auth(request)
    return json.load(hearth.get(path, method, data or None, dict(request.headers.items())))


def allow_everybody(client, name, qualifier=None):
    """The two statements that a URL without authorisation needs."""
    allow(client, name, "lambda:InvokeFunctionUrl", {"FunctionUrlAuthType": "NONE"}, qualifier=qualifier)
    allow(client, name, "lambda:InvokeFunction", {"InvokedViaFunctionUrl": True}, qualifier=qualifier)


def create(hearth, client, name, auth="NONE", InvokeMode=None, **more):
    with members(client, "CreateFunctionUrlConfig", {"InvokeMode": InvokeMode} if InvokeMode else {}):
        made = client.create_function_url_config(FunctionName=name, AuthType=auth, **more)
    return Url(hearth, made["FunctionUrl"])


def public(hearth, client, name, **more):
    """A URL that everybody may call."""
    allow_everybody(client, name, more.get("Qualifier"))
    return create(hearth, client, name, **more)
