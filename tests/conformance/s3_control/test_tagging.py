"""Tags of buckets and of versions. Texts as recorded from AWS (S3 API Reference, *Tagging)."""

from s3_control_support import refused, tags


def test_a_new_bucket_has_no_tag_set(s3, bucket):
    with refused("NoSuchTagSet", 404, "The TagSet does not exist") as error:
        s3.get_bucket_tagging(Bucket=bucket)
    assert error.fields["BucketName"] == bucket


def test_bucket_tags_are_replaced_as_a_whole(s3, bucket):
    put = s3.put_bucket_tagging(Bucket=bucket, Tagging=tags(a="1", b=""))
    assert put["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == tags(a="1", b="")["TagSet"]
    s3.put_bucket_tagging(Bucket=bucket, Tagging=tags(c="3"))
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == tags(c="3")["TagSet"]
    s3.delete_bucket_tagging(Bucket=bucket)
    s3.delete_bucket_tagging(Bucket=bucket)
    with refused("NoSuchTagSet"):
        s3.get_bucket_tagging(Bucket=bucket)


def test_system_tags_cannot_be_put_on_buckets(s3, bucket):
    with refused(
        "InvalidTag", 400, "System tags cannot be added/updated by requester"
    ) as error:
        s3.put_bucket_tagging(Bucket=bucket, Tagging=tags(**{"aws:x": "1"}))
    assert error.fields["TagKey"] == "aws:x"


def test_a_key_twice_is_no_tag_set(s3, bucket):
    twice = {"TagSet": [{"Key": "Key1", "Value": "1"}, {"Key": "Key1", "Value": "2"}]}
    with refused("InvalidTag", 400, "Cannot provide multiple Tags with the same key"):
        s3.put_bucket_tagging(Bucket=bucket, Tagging=twice)


def test_object_tags_come_and_go(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Tagging="b=2&a=1&c")
    got = s3.get_object_tagging(Bucket=bucket, Key="k")
    assert got["TagSet"] == tags(a="1", b="2", c="")["TagSet"]
    assert "VersionId" not in got
    assert s3.get_object(Bucket=bucket, Key="k")["TagCount"] == 3
    s3.put_object_tagging(Bucket=bucket, Key="k", Tagging=tags(z="9"))
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == tags(z="9")["TagSet"]
    removed = s3.delete_object_tagging(Bucket=bucket, Key="k")
    assert removed["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == []


def test_overwriting_an_object_takes_its_tags(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Tagging="a=1")
    s3.put_object(Bucket=bucket, Key="k", Body=b"y")
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == []


def test_each_version_has_its_own_tags(s3, versioned):
    first = s3.put_object(Bucket=versioned, Key="k", Body=b"1", Tagging="v=1")["VersionId"]
    second = s3.put_object(Bucket=versioned, Key="k", Body=b"2", Tagging="v=2")["VersionId"]
    put = s3.put_object_tagging(Bucket=versioned, Key="k", Tagging=tags(v="two"))
    assert put["VersionId"] == second
    s3.put_object_tagging(Bucket=versioned, Key="k", VersionId=first, Tagging=tags(v="one"))
    for version, value in ((first, "one"), (second, "two")):
        got = s3.get_object_tagging(Bucket=versioned, Key="k", VersionId=version)
        assert got["TagSet"] == tags(v=value)["TagSet"]
        assert got["VersionId"] == version


def test_a_delete_marker_has_no_tags(s3, versioned):
    s3.put_object(Bucket=versioned, Key="k", Body=b"1")
    marker = s3.delete_object(Bucket=versioned, Key="k")["VersionId"]
    with refused("MethodNotAllowed", 405):
        s3.get_object_tagging(Bucket=versioned, Key="k", VersionId=marker)
    with refused("MethodNotAllowed", 405):
        s3.put_object_tagging(Bucket=versioned, Key="k", VersionId=marker, Tagging=tags(a="1"))


def test_what_is_not_there_has_no_tags(s3, bucket):
    with refused("NoSuchKey", 404):
        s3.get_object_tagging(Bucket=bucket, Key="none")
    with refused("NoSuchBucket", 404):
        s3.get_object_tagging(Bucket=bucket + "-none", Key="none")


def test_object_tags_are_ten_at_most(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    eleven = tags(**{f"k{i}": "v" for i in range(11)})
    with refused("BadRequest", 400, "Object tags cannot be greater than 10"):
        s3.put_object_tagging(Bucket=bucket, Key="k", Tagging=eleven)


def test_a_tagging_header_must_be_a_query(s3, bucket):
    for header in ("key1=val1&key1=val2", "key1=val1,key2=val2"):
        with refused("InvalidArgument", 400) as error:
            s3.put_object(Bucket=bucket, Key="k", Body=b"x", Tagging=header)
        assert error.fields["ArgumentName"] == "x-amz-tagging"
        assert error.fields["ArgumentValue"] == header


def test_another_owner_is_refused(s3, bucket):
    with refused("AccessDenied", 403):
        s3.get_bucket_tagging(Bucket=bucket, ExpectedBucketOwner="999999999999")
