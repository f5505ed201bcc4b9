"""Documents to test with, and how an expected error looks."""

import contextlib
import json

import botocore.exceptions
import pytest

ACCOUNT = "000000000000"


def text(document):
    return document if isinstance(document, str) else json.dumps(document)


def trust(**principal):
    return {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}],
    }


TRUST_LAMBDA = trust(Service="lambda.amazonaws.com")
READ_BUCKET = {
    "Version": "2012-10-17",
    "Statement": [
        {"Sid": "Read", "Effect": "Allow", "Action": ["s3:GetObject"], "Resource": "arn:aws:s3:::bucket/*"}
    ],
}
BASIC_EXECUTION = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"


@contextlib.contextmanager
def refused(code, message=None, status=None):
    """The block must end in this AWS error."""
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        yield
    response = caught.value.response
    assert response["Error"]["Code"] == code, response
    if message is not None:
        assert response["Error"]["Message"] == message
    if status is not None:
        assert response["ResponseMetadata"]["HTTPStatusCode"] == status


def all_pages(call, key, **arguments):
    """Items over all pages, and how many pages there were."""
    items, pages = [], 0
    while True:
        answer = call(**arguments)
        items += answer[key]
        pages += 1
        if not answer["IsTruncated"]:
            assert "Marker" not in answer
            return items, pages
        arguments["Marker"] = answer["Marker"]
