"""Requests about uploads that no SDK sends."""

import http.client

import pytest

from s3_multipart_support import Upload

PART_NUMBER = "Part number must be an integer between 1 and 10000, inclusive"
MALFORMED = "The XML you provided was not well-formed or did not validate against our published schema"


def call(hearth, method, target, body=b""):
    connection = http.client.HTTPConnection("127.0.0.1", hearth.port, timeout=60)
    try:
        connection.request(method, target, body)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


@pytest.mark.parametrize("number", ("partNumber=abc&", "partNumber=99999999999&", "partNumber=-1&"))
def test_part_numbers(hearth, s3, bucket, number):
    upload = Upload(s3, bucket, "key")
    status, body = call(hearth, "PUT", f"/{bucket}/key?{number}uploadId={upload.id}", b"x")
    assert status == 400
    assert f"<Code>InvalidArgument</Code><Message>{PART_NUMBER}</Message>" in body


def test_an_upload_without_a_part_number_is_no_operation(hearth, s3, bucket):
    upload = Upload(s3, bucket, "key")
    status, body = call(hearth, "PUT", f"/{bucket}/key?uploadId={upload.id}", b"x")
    assert status == 405
    assert "<Code>MethodNotAllowed</Code>" in body


def listed(count):
    parts = "".join(
        f"<Part><PartNumber>{number}</PartNumber><ETag>&quot;{'0' * 32}&quot;</ETag>"
        f"<ChecksumSHA256>{'A' * 43}=</ChecksumSHA256></Part>"
        for number in range(1, count + 1)
    )
    namespace = "http://s3.amazonaws.com/doc/2006-03-01/"
    return f'<CompleteMultipartUpload xmlns="{namespace}">{parts}</CompleteMultipartUpload>'.encode()


@pytest.mark.parametrize(
    "body, code",
    (
        (b"", "InvalidRequest"),
        (b"<", "MalformedXML"),
        (b"<a/>", "MalformedXML"),
        (listed(0), "MalformedXML"),
        # As long as a list can be.
        (listed(10_000), "InvalidPart"),
        (listed(10_001), "InvalidArgument"),
        (
            b"<CompleteMultipartUpload><Part><PartNumber>x</PartNumber><ETag>y</ETag></Part>"
            b"</CompleteMultipartUpload>",
            "MalformedXML",
        ),
        (
            b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber></Part>"
            b"</CompleteMultipartUpload>",
            "MalformedXML",
        ),
    ),
    ids=range(8),
)
def test_lists(hearth, s3, bucket, body, code):
    upload = Upload(s3, bucket, "key")
    upload.put(1, b"x")
    status, answer = call(hearth, "POST", f"/{bucket}/key?uploadId={upload.id}", body)
    assert status == 400
    assert f"<Code>{code}</Code>" in answer
    # Nothing came of it.
    assert len(upload.parts()["Parts"]) == 1
