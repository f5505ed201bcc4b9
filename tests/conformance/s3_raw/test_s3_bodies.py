"""Bodies that are not what their heads promise. Nothing of them becomes visible.

Source: Amazon S3 API Reference, "Signature calculations for the Authorization header", single chunk, multiple
chunks and trailing headers.
"""

import hashlib

import pytest

from s3_raw_support import Connection, Request, crc32

SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
SIGNED_TRAILER = SIGNED + "-TRAILER"
UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"


def content(s3, bucket, key):
    return s3.get_object(Bucket=bucket, Key=key)["Body"].read()


def test_whole_body_with_its_hash(hearth, s3, bucket):
    answer = Request(hearth, "PUT", f"/{bucket}/whole", body=b"hello").sign().send()
    assert answer.status == 200, answer
    assert answer.headers["etag"] == f'"{hashlib.md5(b"hello").hexdigest()}"'
    assert content(s3, bucket, "whole") == b"hello"


def test_wrong_hash_stores_nothing(hearth, bucket, absent):
    request = Request(hearth, "PUT", f"/{bucket}/wrong-hash", body=b"hello").sign()
    request.body = b"jello"
    answer = request.send()
    assert (answer.status, answer.code) == (400, "XAmzContentSHA256Mismatch"), answer
    assert answer.field("ClientComputedContentSHA256") == hashlib.sha256(b"hello").hexdigest()
    assert answer.field("S3ComputedContentSHA256") == hashlib.sha256(b"jello").hexdigest()
    absent("wrong-hash")


def test_unsigned_payload(hearth, s3, bucket):
    answer = Request(hearth, "PUT", f"/{bucket}/unsigned", body=b"hello", payload="UNSIGNED-PAYLOAD").sign().send()
    assert answer.status == 200, answer
    assert content(s3, bucket, "unsigned") == b"hello"


def test_wrong_md5_and_checksum_store_nothing(hearth, bucket, absent):
    for header, value, code in (
        ("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg==", "BadDigest"),
        ("content-md5", "nonsense", "InvalidDigest"),
        ("x-amz-checksum-crc32", "AAAAAA==", "BadDigest"),
    ):
        answer = Request(hearth, "PUT", f"/{bucket}/digest", headers={header: value}, body=b"hello").sign().send()
        assert (answer.status, answer.code) == (400, code), answer
    absent("digest")


def test_fewer_bytes_than_stated_store_nothing(hearth, bucket, absent):
    with Connection(hearth) as connection:
        request = Request(hearth, "PUT", f"/{bucket}/short", body=b"hello", payload="UNSIGNED-PAYLOAD").sign()
        connection.send(request.head(length=100) + b"hello")
    # The connection is gone: the upload ends with it.
    absent("short")


def test_length_is_required(hearth, bucket, absent):
    answer = Request(hearth, "PUT", f"/{bucket}/no-length").sign().send(length="none")
    assert (answer.status, answer.code) == (411, "MissingContentLength"), answer
    request = Request(hearth, "PUT", f"/{bucket}/no-length", headers={"transfer-encoding": "chunked"}).sign()
    with Connection(hearth) as connection:
        connection.send(request.head(length="none") + b"5\r\nhello\r\n0\r\n\r\n")
        answer = connection.answer()
    assert (answer.status, answer.code) == (501, "NotImplemented"), answer
    assert answer.field("Header") == "Transfer-Encoding"
    absent("no-length")


def test_more_than_five_gigabytes_are_refused_by_the_head(hearth, bucket):
    request = Request(hearth, "PUT", f"/{bucket}/huge", payload="UNSIGNED-PAYLOAD").sign()
    with Connection(hearth) as connection:
        connection.send(request.head(length=5 * 2**30 + 1))
        answer = connection.answer()
    assert (answer.status, answer.code) == (400, "EntityTooLarge"), answer
    assert answer.field("ProposedSize") == str(5 * 2**30 + 1)
    assert answer.field("MaxSizeAllowed") == str(5 * 2**30)


def test_continue_is_asked_for_and_only_then_sent(hearth, s3, bucket):
    request = Request(hearth, "PUT", f"/{bucket}/continue", headers={"expect": "100-continue"}, body=b"hello").sign()
    with Connection(hearth) as connection:
        connection.send(request.head())
        assert connection.read_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue"
        connection.send(b"hello")
        assert connection.answer().status == 200
    assert content(s3, bucket, "continue") == b"hello"
    # Who is refused by the head never sends a body.
    request = Request(hearth, "PUT", f"/{bucket}/continue", headers={"expect": "100-continue"}, body=b"hello").sign()
    request.headers["x-amz-date"] = "20130524T000000Z"
    with Connection(hearth) as connection:
        connection.send(request.head())
        assert connection.read_until(b"\r\n").startswith(b"HTTP/1.1 40")


def streamed(hearth, bucket, key, chunks, payload=SIGNED, trailer=None, decoded=None, extra=None, change=None):
    """Sends `chunks`, signed unless `payload` says not; `change(list of encoded chunks)` before."""
    data = b"".join(chunks)
    headers = {
        "x-amz-decoded-content-length": str(len(data) if decoded is None else decoded),
        "content-encoding": "aws-chunked",
        **(extra or {}),
    }
    if trailer:
        headers["x-amz-trailer"] = trailer[0]
    request = Request(hearth, "PUT", f"/{bucket}/{key}", headers=headers, payload=payload).sign()
    pieces = []
    if payload == UNSIGNED_TRAILER:
        pieces = [f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n" for chunk in chunks] + [b"0\r\n"]
    else:
        previous = request.signature
        for chunk in [*chunks, b""]:
            encoded, previous = request.chunk(chunk, previous)
            pieces.append(encoded)
        if trailer:
            pieces[-1] = pieces[-1][:-2]
    if trailer:
        text = f"{trailer[0]}:{trailer[1]}"
        pieces.append(f"{text}\r\n".encode())
        if payload == SIGNED_TRAILER:
            pieces.append(f"x-amz-trailer-signature:{request.trailer(text + chr(10), previous)}\r\n".encode())
        pieces.append(b"\r\n")
    if change:
        pieces = change(pieces)
    request.body = b"".join(pieces)
    return request.send()


LARGE = [b"a" * 65536, b"b" * 65536, b"c" * 100]


def test_signed_chunks(hearth, s3, bucket):
    answer = streamed(hearth, bucket, "signed", LARGE)
    assert answer.status == 200, answer
    got = s3.get_object(Bucket=bucket, Key="signed")
    assert got["Body"].read() == b"".join(LARGE)
    # The frame is no encoding of the object.
    assert "ContentEncoding" not in got
    answer = streamed(hearth, bucket, "signed", [], extra={"content-encoding": "gzip,aws-chunked"})
    assert answer.status == 200, answer
    got = s3.get_object(Bucket=bucket, Key="signed")
    assert (got["ContentLength"], got["ContentEncoding"]) == (0, "gzip")


@pytest.mark.parametrize(
    "name, change",
    [
        ("exchanged", lambda p: [p[1], p[0], *p[2:]]),
        ("left-out", lambda p: [p[0], *p[2:]]),
        ("twice", lambda p: [p[0], p[0], *p[1:]]),
        ("changed", lambda p: [p[0].replace(b"aaaa", b"aaab", 1), *p[1:]]),
        ("last-missing", lambda p: p[:-1]),
        ("cut", lambda p: [p[0], p[1][:1000]]),
        ("more", lambda p: [*p, b"more"]),
        ("size", lambda p: [b"1" + p[0], *p[1:]]),
        ("unsigned", lambda p: [p[0].replace(b";chunk-signature=", b";chunk-signet=", 1), *p[1:]]),
        ("line-end", lambda p: [p[0].replace(b"\r\n", b"\n", 1), *p[1:]]),
    ],
)
def test_signed_chunks_that_were_tampered_with(hearth, bucket, absent, name, change):
    answer = streamed(hearth, bucket, f"chunks-{name}", LARGE, change=change)
    expected = (403, "SignatureDoesNotMatch") if name in ("exchanged", "left-out", "changed") else None
    assert answer.status in (400, 403), answer
    assert answer.code in ("SignatureDoesNotMatch", "IncompleteBody", "InvalidRequest"), answer
    assert expected is None or (answer.status, answer.code) == expected, answer
    absent(f"chunks-{name}")


def test_decoded_length_is_what_counts(hearth, bucket, absent):
    for decoded in (131171, 131173, 0):
        answer = streamed(hearth, bucket, "decoded", LARGE, decoded=decoded)
        assert (answer.status, answer.code) == (400, "IncompleteBody"), answer
    for decoded in ("", "-1", "x", "1 2"):
        answer = streamed(hearth, bucket, "decoded", LARGE, decoded=decoded)
        assert (answer.status, answer.code) == (411, "MissingContentLength"), answer
    absent("decoded")


def test_small_chunks_are_refused(hearth, bucket, absent):
    answer = streamed(hearth, bucket, "small", [b"a" * 100, b"b" * 100])
    assert (answer.status, answer.code) == (403, "InvalidChunkSizeError"), answer
    absent("small")


def test_signed_chunks_with_trailer(hearth, s3, bucket, absent):
    data = b"".join(LARGE)
    trailer = ("x-amz-checksum-crc32", crc32(data))
    answer = streamed(hearth, bucket, "trailer", LARGE, payload=SIGNED_TRAILER, trailer=trailer)
    assert answer.status == 200, answer
    assert answer.headers["x-amz-checksum-crc32"] == crc32(data)
    assert content(s3, bucket, "trailer") == data
    bad = ("x-amz-checksum-crc32", crc32(b"other"))
    answer = streamed(hearth, bucket, "bad-trailer", LARGE, payload=SIGNED_TRAILER, trailer=bad)
    assert (answer.status, answer.code) == (400, "BadDigest"), answer

    def forge(pieces):
        return [*pieces[:-2], pieces[-2].replace(b"signature:", b"signature:0")[:-3] + b"\r\n", pieces[-1]]

    answer = streamed(hearth, bucket, "bad-trailer", LARGE, payload=SIGNED_TRAILER, trailer=trailer, change=forge)
    assert (answer.status, answer.code) == (403, "SignatureDoesNotMatch"), answer
    absent("bad-trailer")


def test_unsigned_chunks_with_trailer(hearth, s3, bucket, absent):
    data = b"".join(LARGE)
    trailer = ("x-amz-checksum-crc32", crc32(data))
    answer = streamed(hearth, bucket, "unsigned-trailer", LARGE, payload=UNSIGNED_TRAILER, trailer=trailer)
    assert answer.status == 200, answer
    assert content(s3, bucket, "unsigned-trailer") == data
    for change in (
        lambda p: [*p[:-2], b"\r\n"],
        lambda p: [*p[:-2], b"x-amz-checksum-crc64nvme:AAAAAAAAAAA=\r\n\r\n"],
        lambda p: [*p[:-2], p[-2], p[-2], b"\r\n"],
        lambda p: [*p[:-2], b"nonsense\r\n\r\n"],
    ):
        answer = streamed(
            hearth, bucket, "no-trailer", LARGE, payload=UNSIGNED_TRAILER, trailer=trailer, change=change
        )
        assert (answer.status, answer.code) == (400, "MalformedTrailerError"), answer
    absent("no-trailer")


def test_aws_chunks_inside_chunks_of_http(hearth, s3, bucket):
    """The JavaScript SDK does so for streams without a length."""
    data = b"hello" * 5000
    headers = {
        "x-amz-decoded-content-length": str(len(data)),
        "content-encoding": "aws-chunked",
        "transfer-encoding": "chunked",
        "x-amz-trailer": "x-amz-checksum-crc32",
    }
    request = Request(hearth, "PUT", f"/{bucket}/chunks", headers=headers, payload=UNSIGNED_TRAILER).sign()
    inner = f"{len(data):x}\r\n".encode() + data + b"\r\n0\r\nx-amz-checksum-crc32:" + crc32(data).encode() + b"\r\n\r\n"
    with Connection(hearth) as connection:
        connection.send(request.head(length="none"))
        for at in range(0, len(inner), 1000):
            piece = inner[at : at + 1000]
            connection.send(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        connection.send(b"0\r\n\r\n")
        answer = connection.answer()
    assert answer.status == 200, answer
    assert content(s3, bucket, "chunks") == data


def test_documents_are_held_to_their_hash_and_size(hearth, bucket):
    request = Request(hearth, "POST", f"/{bucket}", query="delete", body=b"<Delete/>").sign()
    request.body = b"<Delate/>"
    answer = request.send()
    assert answer.code == "XAmzContentSHA256Mismatch", answer
    request = Request(hearth, "POST", f"/{bucket}", query="delete", payload="UNSIGNED-PAYLOAD").sign()
    with Connection(hearth) as connection:
        connection.send(request.head(length=9 * 2**20))
        answer = connection.answer()
    assert (answer.status, answer.code) == (400, "MaxMessageLengthExceeded"), answer
