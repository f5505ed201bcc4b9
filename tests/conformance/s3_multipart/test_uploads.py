"""CreateMultipartUpload to CompleteMultipartUpload: bytes, tags, errors, repetition."""

import datetime
import hashlib

import pytest

from s3_multipart_support import MB, PART, Upload, content, etag_of, refused

NO_UPLOAD = (
    "The specified upload does not exist. The upload ID may be invalid, or the upload may have "
    "been aborted or completed."
)
INVALID_PART = (
    "One or more of the specified parts could not be found.  The part may not have been uploaded, "
    "or the specified entity tag may not match the part's entity tag."
)


def read(s3, bucket, key="key", **arguments):
    return s3.get_object(Bucket=bucket, Key=key, **arguments)["Body"].read()


def test_parts_become_an_object(s3, bucket, begin):
    bodies = [content(PART, 1), content(PART + 17, 2), content(3, 3)]
    upload = begin()
    assert upload.created["Bucket"] == bucket
    assert upload.created["Key"] == "key"
    # In any order.
    for number in (3, 1, 2):
        answer = upload.put(number, bodies[number - 1])
        assert answer["ETag"] == f'"{hashlib.md5(bodies[number - 1]).hexdigest()}"'
    with refused("NoSuchKey", status=404):
        s3.get_object(Bucket=bucket, Key="key")
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)
    done = upload.complete()
    assert done["ETag"] == etag_of(bodies)
    assert done["Bucket"] == bucket
    assert done["Key"] == "key"
    assert done["Location"].endswith(f"/{bucket}/key")
    assert read(s3, bucket) == b"".join(bodies)
    head = s3.head_object(Bucket=bucket, Key="key")
    assert head["ContentLength"] == sum(map(len, bodies))
    assert head["ETag"] == etag_of(bodies)
    (entry,) = s3.list_objects_v2(Bucket=bucket)["Contents"]
    assert entry["ETag"] == etag_of(bodies)
    assert entry["Size"] == head["ContentLength"]
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


def test_what_the_object_is_was_said_at_the_beginning(s3, bucket, begin):
    upload = begin(
        ContentType="text/plain",
        CacheControl="no-cache",
        ContentDisposition="attachment",
        ContentEncoding="identity",
        ContentLanguage="de",
        Metadata={"colour": "blue"},
        StorageClass="STANDARD_IA",
        Tagging="a=1&b=2",
    )
    upload.put(1, b"x")
    upload.complete()
    head = s3.head_object(Bucket=bucket, Key="key")
    assert head["ContentType"] == "text/plain"
    assert head["CacheControl"] == "no-cache"
    assert head["ContentDisposition"] == "attachment"
    assert head["ContentLanguage"] == "de"
    assert head["Metadata"] == {"colour": "blue"}
    assert head["StorageClass"] == "STANDARD_IA"
    tags = s3.get_object_tagging(Bucket=bucket, Key="key")["TagSet"]
    assert {tag["Key"]: tag["Value"] for tag in tags} == {"a": "1", "b": "2"}


def test_ranges_go_over_parts(s3, bucket, begin):
    bodies = [content(PART, 1), content(PART, 2), content(1000, 3)]
    upload = begin()
    for number, body in enumerate(bodies, 1):
        upload.put(number, body)
    upload.complete()
    whole = b"".join(bodies)
    for first, last in (
        (0, 0),
        (PART - 1, PART),
        (PART - 5, 2 * PART + 5),
        (2 * PART, 2 * PART + 999),
        (len(whole) - 1, len(whole) - 1),
    ):
        answer = s3.get_object(Bucket=bucket, Key="key", Range=f"bytes={first}-{last}")
        assert answer["ContentRange"] == f"bytes {first}-{last}/{len(whole)}"
        assert answer["Body"].read() == whole[first : last + 1]
    assert read(s3, bucket, Range="bytes=-1001") == whole[-1001:]


def test_parts_by_number(s3, bucket, begin):
    bodies = [content(PART, 1), content(PART + 1, 2), b"end"]
    upload = begin()
    for number, body in enumerate(bodies, 1):
        upload.put(number, body)
    upload.complete()
    for number, body in enumerate(bodies, 1):
        answer = s3.get_object(Bucket=bucket, Key="key", PartNumber=number)
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 206
        assert answer["PartsCount"] == 3
        assert answer["Body"].read() == body
        head = s3.head_object(Bucket=bucket, Key="key", PartNumber=number)
        assert head["ContentLength"] == len(body)
        assert head["PartsCount"] == 3
    with refused("InvalidPartNumber", status=416):
        s3.get_object(Bucket=bucket, Key="key", PartNumber=4)


def test_a_part_sent_again_replaces_the_first(s3, bucket, begin):
    upload = begin()
    upload.put(1, b"old")
    upload.put(1, b"new content")
    (part,) = upload.parts()["Parts"]
    assert part["Size"] == 11
    upload.complete()
    assert read(s3, bucket) == b"new content"


def test_only_listed_parts_count(s3, bucket, begin):
    upload = begin()
    for number, body in ((1, content(PART, 1)), (2, b"left out"), (7, b"last")):
        upload.put(number, body)
    done = upload.complete(1, 7)
    assert done["ETag"] == etag_of([content(PART, 1), b"last"])
    assert read(s3, bucket) == content(PART, 1) + b"last"


def test_small_parts_are_refused_but_for_the_last(s3, bucket, begin):
    upload = begin()
    upload.put(1, content(PART - 1))
    upload.put(2, b"x")
    with refused(
        "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size"
    ) as raised:
        upload.complete()
    error = raised.value.response["Error"]
    assert error["MinSizeAllowed"] == str(PART)
    assert error["ProposedSize"] == str(PART - 1)
    assert error["PartNumber"] == "1"
    # The upload is still there.
    assert len(upload.parts()["Parts"]) == 2
    upload.complete(1)
    assert len(read(s3, bucket)) == PART - 1


def test_an_empty_part_alone_is_an_empty_object(s3, bucket, begin):
    upload = begin()
    upload.put(1, b"")
    upload.complete()
    assert read(s3, bucket) == b""


def test_lists_that_are_wrong(s3, begin):
    upload = begin()
    upload.put(1, content(PART))
    upload.put(2, b"x")
    with refused(
        "InvalidPartOrder",
        "The list of parts was not in ascending order. Parts must be ordered by part number.",
    ):
        upload.complete(2, 1)
    with refused("InvalidPartOrder"):
        upload.complete(1, 1)
    upload.sent[3] = upload.sent[2]
    with refused("InvalidPart", INVALID_PART):
        upload.complete(1, 2, 3)
    del upload.sent[3]
    good, upload.sent[2] = upload.sent[2], upload.sent[1]
    with refused("InvalidPart", INVALID_PART):
        upload.complete()
    upload.sent[2] = good
    with refused("MalformedXML"):
        s3.complete_multipart_upload(**upload.where, MultipartUpload={"Parts": []})
    # ETags may come without quotes.
    upload.sent[2] = {"ETag": good["ETag"].strip('"')}
    upload.complete()


def test_part_numbers(begin):
    upload = begin()
    for number in (0, 10_001, -1):
        with refused(
            "InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive"
        ):
            upload.put(number, b"x")
    upload.put(10_000, b"x")
    upload.complete()


def test_uploads_that_are_not_there(s3, bucket, begin):
    upload = begin()
    upload.put(1, b"x")
    upload.abort()
    for where in (
        upload.where,
        {**upload.where, "UploadId": "nonsense"},
        {**upload.where, "UploadId": "0" * 48},
        {**upload.where, "Key": "other"},
    ):
        with refused("NoSuchUpload", NO_UPLOAD, 404):
            s3.upload_part(**where, PartNumber=1, Body=b"x")
        with refused("NoSuchUpload", NO_UPLOAD, 404):
            s3.list_parts(**where)
        with refused("NoSuchUpload", NO_UPLOAD, 404):
            s3.complete_multipart_upload(**where, MultipartUpload=upload.listed())
        with refused("NoSuchUpload", NO_UPLOAD, 404):
            s3.abort_multipart_upload(**where)
    with refused("NoSuchBucket", status=404):
        s3.create_multipart_upload(Bucket="no-such-bucket-anywhere", Key="k")


def test_completing_twice_answers_the_same(s3, versioned):
    upload = Upload(s3, versioned, "key")
    upload.put(1, content(PART))
    upload.put(2, b"x")
    first = upload.complete()
    assert first["VersionId"]
    again = upload.complete()
    for name in ("ETag", "VersionId", "Location", "Bucket", "Key"):
        assert again[name] == first[name]
    versions = s3.list_object_versions(Bucket=versioned)["Versions"]
    assert len(versions) == 1
    # Another list is another question.
    with refused("NoSuchUpload", NO_UPLOAD, 404):
        upload.complete(1)


def test_conditions(s3, bucket, begin):
    put = s3.put_object(Bucket=bucket, Key="key", Body=b"there")
    upload = begin()
    upload.put(1, b"new")

    def complete(header, value):
        def add(request, **_):
            request.headers[header] = value

        s3.meta.events.register_first("before-sign.s3.CompleteMultipartUpload", add)
        try:
            return upload.complete()
        finally:
            s3.meta.events.unregister("before-sign.s3.CompleteMultipartUpload", add)

    with refused("PreconditionFailed", status=412):
        complete("If-None-Match", "*")
    with refused("PreconditionFailed", status=412):
        complete("If-Match", '"0123"')
    assert read(s3, bucket) == b"there"
    complete("If-Match", put["ETag"])
    assert read(s3, bucket) == b"new"


def test_versions(s3, versioned):
    old = s3.put_object(Bucket=versioned, Key="key", Body=b"old")["VersionId"]
    upload = Upload(s3, versioned, "key")
    upload.put(1, content(PART))
    upload.put(2, b"tail")
    new = upload.complete()["VersionId"]
    assert read(s3, versioned, VersionId=old) == b"old"
    assert read(s3, versioned, VersionId=new) == content(PART) + b"tail"
    s3.delete_object(Bucket=versioned, Key="key", VersionId=new)
    assert read(s3, versioned) == b"old"


def test_parts_are_listed_in_pages(begin):
    upload = begin()
    for number in (5, 1, 9, 200):
        upload.put(number, str(number).encode())
    whole = upload.parts()
    assert [part["PartNumber"] for part in whole["Parts"]] == [1, 5, 9, 200]
    assert whole["MaxParts"] == 1000
    assert whole["IsTruncated"] is False
    assert whole["StorageClass"] == "STANDARD"
    assert len(whole["Owner"]["ID"]) == 64
    assert whole["Initiator"]["ID"]
    assert whole["Parts"][1]["ETag"] == f'"{hashlib.md5(b"5").hexdigest()}"'
    first = upload.parts(MaxParts=2)
    assert first["IsTruncated"] is True
    assert first["NextPartNumberMarker"] == 5
    rest = upload.parts(MaxParts=2, PartNumberMarker=5)
    assert [part["PartNumber"] for part in rest["Parts"]] == [9, 200]
    assert rest["IsTruncated"] is False
    assert "Parts" not in upload.parts(PartNumberMarker=200)
    upload.abort()


def test_uploads_are_listed(s3, bucket, begin):
    keys = ["a", "a/1", "a/2", "b", "b"]
    uploads = [begin(key) for key in keys]
    try:
        answer = s3.list_multipart_uploads(Bucket=bucket)
        listed = [(entry["Key"], entry["UploadId"]) for entry in answer["Uploads"]]
        # Of one key, in the order they were begun.
        assert listed == [(upload.where["Key"], upload.id) for upload in uploads]
        entry = answer["Uploads"][0]
        age = datetime.datetime.now(datetime.timezone.utc) - entry["Initiated"]
        assert abs(age) < datetime.timedelta(hours=1)
        assert entry["StorageClass"] == "STANDARD"
        rolled = s3.list_multipart_uploads(Bucket=bucket, Delimiter="/")
        assert [entry["Key"] for entry in rolled["Uploads"]] == ["a", "b", "b"]
        assert rolled["CommonPrefixes"] == [{"Prefix": "a/"}]
        for size in (1, 2, 3):
            found = []
            marker = {}
            while True:
                page = s3.list_multipart_uploads(Bucket=bucket, MaxUploads=size, **marker)
                found += [(entry["Key"], entry["UploadId"]) for entry in page["Uploads"]]
                if not page["IsTruncated"]:
                    break
                marker = {
                    "KeyMarker": page["NextKeyMarker"],
                    "UploadIdMarker": page["NextUploadIdMarker"],
                }
            assert found == listed
        only = s3.list_multipart_uploads(Bucket=bucket, Prefix="a/")
        assert [entry["Key"] for entry in only["Uploads"]] == ["a/1", "a/2"]
    finally:
        for upload in uploads:
            upload.abort()


def test_a_bucket_goes_with_its_uploads(s3, unique):
    name = unique("bucket")
    s3.create_bucket(Bucket=name)
    upload = Upload(s3, name, "key")
    upload.put(1, content(MB))
    s3.delete_bucket(Bucket=name)
    s3.create_bucket(Bucket=name)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=name)
    with refused("NoSuchUpload", NO_UPLOAD, 404):
        upload.put(2, b"x")
    s3.delete_bucket(Bucket=name)


def test_copied_parts(s3, bucket, begin):
    source = content(PART + 100, 4)
    s3.put_object(Bucket=bucket, Key="source object", Body=source)
    upload = begin()
    where = {"Bucket": bucket, "Key": "source object"}
    answer = upload.copy(1, where)
    assert answer["CopyPartResult"]["ETag"] == f'"{hashlib.md5(source).hexdigest()}"'
    assert answer["CopyPartResult"]["LastModified"]
    upload.copy(2, where, CopySourceRange="bytes=10-109")
    upload.complete()
    assert read(s3, bucket) == source + source[10:110]
    # What became of parts is a source like any other.
    upload = begin("again")
    upload.copy(
        1, {"Bucket": bucket, "Key": "key"}, CopySourceRange=f"bytes=50-{PART + 150}"
    )
    upload.complete()
    assert read(s3, bucket, "again") == (source + source[10:110])[50 : PART + 151]


def test_copied_parts_that_cannot_be(s3, bucket, begin):
    put = s3.put_object(Bucket=bucket, Key="source", Body=b"0123456789")
    upload = begin()
    where = {"Bucket": bucket, "Key": "source"}
    with refused("NoSuchKey", status=404):
        upload.copy(1, {"Bucket": bucket, "Key": "none"})
    for bad in ("bytes=5-10", "bytes=-5", "bytes=5-", "5-6", "bytes=6-5"):
        with refused("InvalidArgument"):
            upload.copy(1, where, CopySourceRange=bad)
    with refused("PreconditionFailed", status=412):
        upload.copy(1, where, CopySourceIfMatch='"no"')
    with refused("PreconditionFailed", status=412):
        upload.copy(1, where, CopySourceIfNoneMatch=put["ETag"])
    upload.copy(1, where, CopySourceIfMatch=put["ETag"], CopySourceRange="bytes=0-9")
    upload.complete()
    assert read(s3, bucket) == b"0123456789"


def test_customer_keys(s3, bucket):
    key = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}
    upload = Upload(s3, bucket, "key", **key)
    assert upload.created["SSECustomerAlgorithm"] == "AES256"
    with refused("InvalidRequest"):
        upload.put(1, b"secret")
    with refused("InvalidRequest"):
        upload.put(1, b"secret", **{**key, "SSECustomerKey": "x" * 32})
    upload.put(1, content(PART), **key)
    upload.put(2, b"secret", **key)
    upload.complete()
    assert read(s3, bucket, **key) == content(PART) + b"secret"
    with refused("InvalidRequest"):
        s3.get_object(Bucket=bucket, Key="key")


@pytest.mark.parametrize("count", (1200,))
def test_more_parts_than_a_transaction_writes(s3, bucket, begin, count):
    upload = begin()
    for number in range(1, count + 1):
        upload.put(number, b"%d" % number)
    pages = list(
        s3.get_paginator("list_parts").paginate(**upload.where, PaginationConfig={"PageSize": 500})
    )
    assert [len(page["Parts"]) for page in pages] == [500, 500, 200]
    # All but one go away; a last part may be as small as it likes.
    upload.complete(count)
    assert read(s3, bucket) == b"%d" % count
    again = begin("aborted")
    for number in range(1, 301):
        again.put(number, b"%d" % number)
    again.abort()
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)
