"""Signed calls of operations that the installed boto3 does not know: method, path and body by hand."""

import json
import urllib.error

import botocore.auth
import botocore.awsrequest
import botocore.credentials

from functions import ACCOUNT, REGION


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        return (self.headers.get("x-amzn-ErrorType") or "").split(":")[0]

    @property
    def message(self):
        shown = self.json()
        return shown.get("message") or shown.get("Message")


def call(hearth, method, path, body=None, account=ACCOUNT):
    """`body` is sent as JSON."""
    data = b"" if body is None else json.dumps(body).encode()
    request = botocore.awsrequest.AWSRequest(method, hearth.endpoint + path, data=data)
    credentials = botocore.credentials.Credentials(account, "any")
    botocore.auth.SigV4Auth(credentials, "lambda", REGION).add_auth(request)
    try:
        with hearth.get(path, method, data, dict(request.headers)) as response:
            return Answer(response)
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error)
