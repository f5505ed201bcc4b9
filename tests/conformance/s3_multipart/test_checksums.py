"""Check sums of parts and of what they become."""

import pytest

from s3_multipart_support import (
    PART,
    Upload,
    composite,
    content,
    crc32,
    refused,
    sha1,
    sha256,
)

ALGORITHMS = {"CRC32": crc32, "SHA1": sha1, "SHA256": sha256}


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
def test_composite(s3, bucket, begin, algorithm):
    of = ALGORITHMS[algorithm]
    member = f"Checksum{algorithm}"
    bodies = [content(PART, 1), b"the end"]
    upload = begin(ChecksumAlgorithm=algorithm)
    assert upload.created["ChecksumAlgorithm"] == algorithm
    for number, body in enumerate(bodies, 1):
        answer = upload.put(number, body, ChecksumAlgorithm=algorithm)
        assert answer[member] == of(body)
    parts = upload.parts()
    assert parts["ChecksumAlgorithm"] == algorithm
    assert [part[member] for part in parts["Parts"]] == [of(body) for body in bodies]
    done = upload.complete()
    expected = composite(of, [of(body) for body in bodies])
    assert done[member] == expected
    head = s3.head_object(Bucket=bucket, Key="key", ChecksumMode="ENABLED")
    assert head[member] == expected
    attributes = s3.get_object_attributes(
        Bucket=bucket, Key="key", ObjectAttributes=["Checksum", "ObjectParts", "ObjectSize"]
    )
    assert attributes["ObjectSize"] == sum(map(len, bodies))
    assert attributes["ObjectParts"]["TotalPartsCount"] == 2


def add_headers(s3, operation, headers):
    """Headers that this boto3 has no parameter for."""

    def add(request, **_):
        for name, value in headers.items():
            request.headers[name] = value

    s3.meta.events.register_first(f"before-sign.s3.{operation}", add)
    return lambda: s3.meta.events.unregister(f"before-sign.s3.{operation}", add)


def test_full_object(s3, bucket):
    bodies = [content(PART, 1), content(PART, 2), b"the end"]
    undo = add_headers(
        s3,
        "CreateMultipartUpload",
        {"x-amz-checksum-algorithm": "CRC32", "x-amz-checksum-type": "FULL_OBJECT"},
    )
    upload = Upload(s3, bucket, "key")
    undo()
    headers = upload.created["ResponseMetadata"]["HTTPHeaders"]
    assert headers["x-amz-checksum-algorithm"] == "CRC32"
    assert headers["x-amz-checksum-type"] == "FULL_OBJECT"
    for number, body in enumerate(bodies, 1):
        upload.put(number, body)
        # Need not be listed for the whole to have one.
        upload.sent[number].pop("ChecksumCRC32", None)
    undo = add_headers(s3, "CompleteMultipartUpload", {"x-amz-checksum-crc32": crc32(b"other")})
    with refused("BadDigest"):
        upload.complete()
    undo()
    undo = add_headers(
        s3,
        "CompleteMultipartUpload",
        {
            "x-amz-checksum-crc32": crc32(b"".join(bodies)),
            "x-amz-checksum-type": "FULL_OBJECT",
            "x-amz-mp-object-size": str(sum(map(len, bodies))),
        },
    )
    done = upload.complete()
    undo()
    assert done["ChecksumCRC32"] == crc32(b"".join(bodies))
    head = s3.head_object(Bucket=bucket, Key="key", ChecksumMode="ENABLED")
    assert head["ChecksumCRC32"] == crc32(b"".join(bodies))
    assert head["ResponseMetadata"]["HTTPHeaders"]["x-amz-checksum-type"] == "FULL_OBJECT"


def test_without_a_choice_it_is_crc64nvme(s3, bucket, begin):
    upload = begin()
    upload.put(1, content(PART))
    upload.put(2, b"end")
    upload.complete()
    s3.put_object(Bucket=bucket, Key="whole", Body=content(PART) + b"end")

    def shown(key):
        head = s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
        return head["ResponseMetadata"]["HTTPHeaders"]["x-amz-checksum-crc64nvme"]

    assert shown("key") == shown("whole")


def test_object_size_must_be_right(s3, begin):
    upload = begin()
    upload.put(1, b"12345")
    undo = add_headers(s3, "CompleteMultipartUpload", {"x-amz-mp-object-size": "6"})
    with refused(
        "InvalidRequest",
        "The provided 'x-amz-mp-object-size' header value 6 does not match what was computed: 5",
    ):
        upload.complete()
    undo()
    upload.complete()


@pytest.mark.parametrize(
    "algorithm, kind", (("SHA256", "FULL_OBJECT"), ("CRC64NVME", "COMPOSITE"))
)
def test_types_that_do_not_go_together(s3, bucket, algorithm, kind):
    undo = add_headers(
        s3,
        "CreateMultipartUpload",
        {"x-amz-checksum-algorithm": algorithm, "x-amz-checksum-type": kind},
    )
    try:
        with refused(
            "InvalidRequest",
            f"The {kind} checksum type cannot be used with the {algorithm.lower()} checksum "
            "algorithm.",
        ):
            Upload(s3, bucket, "key")
    finally:
        undo()


def test_another_algorithm_than_was_begun(begin):
    upload = begin(ChecksumAlgorithm="SHA256")
    with refused(
        "InvalidRequest",
        "Checksum Type mismatch occurred, expected checksum Type: sha256, actual checksum Type: "
        "crc32",
    ):
        upload.put(1, b"x", ChecksumAlgorithm="CRC32")
    with refused(
        "InvalidRequest",
        "Checksum Type mismatch occurred, expected checksum Type: sha256, actual checksum Type: "
        "null",
    ):
        upload.put(1, b"x")
    upload.put(1, b"x", ChecksumAlgorithm="SHA256")
    upload.sent[1].pop("ChecksumSHA256")
    with refused(
        "InvalidRequest",
        "The upload was created using a sha256 checksum. The complete request must include the "
        "checksum for each part. It was missing for part 1 in the request.",
    ):
        upload.complete()


def test_a_part_that_is_not_what_was_promised(begin):
    upload = begin()
    with refused("BadDigest"):
        upload.put(1, b"body", ContentMD5="XrY7u+Ae7tCTyyK7j1rNww==")
    with refused("BadDigest"):
        upload.put(1, b"body", ChecksumCRC32=crc32(b"other"))
    assert "Parts" not in upload.parts()
