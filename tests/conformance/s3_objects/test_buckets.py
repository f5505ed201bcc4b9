"""Buckets: names, regions, owners, versioning."""

import base64

import pytest
from botocore.handlers import validate_bucket_name

from s3_objects_support import refused, header, read, status

NOT_EMPTY = "The bucket you tried to delete is not empty"


def test_new_bucket_is_there_at_once(s3, bucket):
    assert status(s3.head_bucket(Bucket=bucket)) == 200
    assert bucket in [entry["Name"] for entry in s3.list_buckets()["Buckets"]]


def test_create_answers_with_location(s3, unique):
    name = unique("located")
    assert s3.create_bucket(Bucket=name)["Location"] == f"/{name}"
    s3.delete_bucket(Bucket=name)


def test_head_tells_the_region(s3, bucket):
    assert header(s3.head_bucket(Bucket=bucket), "x-amz-bucket-region") == "us-east-1"


def test_location_of_the_first_region_has_no_name(s3, bucket):
    assert s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] is None


def test_bucket_of_another_region(hearth, unique):
    s3 = hearth.client("s3", region="eu-west-1")
    name = unique("west")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    assert s3.get_bucket_location(Bucket=name)["LocationConstraint"] == "eu-west-1"
    s3.put_object(Bucket=name, Key="k", Body=b"x")
    assert read(s3, name, "k") == b"x"
    s3.delete_object(Bucket=name, Key="k")
    s3.delete_bucket(Bucket=name)


def test_location_must_be_the_endpoints(hearth, unique):
    s3 = hearth.client("s3", region="eu-west-1")
    with refused(
        "IllegalLocationConstraintException",
        400,
        "The unspecified location constraint is incompatible for the region specific endpoint this "
        "request was sent to.",
    ):
        s3.create_bucket(Bucket=unique("west"))


def test_location_must_be_a_region(s3, unique):
    with refused("InvalidLocationConstraint", 400, "The specified location-constraint is not valid"):
        s3.create_bucket(
            Bucket=unique("x"), CreateBucketConfiguration={"LocationConstraint": "nowhere"}
        )


@pytest.fixture
def any_name(hearth):
    """A client without the check of names that would hide the service's own."""
    client = hearth.client("s3")
    client.meta.events.unregister("before-parameter-build.s3", validate_bucket_name)
    return client


@pytest.mark.parametrize(
    "name", ["ab", "Upper", "a..b", "192.168.1.1", "xn--a", "a-s3alias", "-abc", "abc-", "a_b"]
)
def test_invalid_names(any_name, name):
    with refused("InvalidBucketName", 400, "The specified bucket is not valid."):
        any_name.create_bucket(Bucket=name)


def test_own_bucket_made_again_in_the_first_region_is_a_success(s3, bucket):
    assert status(s3.create_bucket(Bucket=bucket)) == 200


def test_own_bucket_made_again_elsewhere(hearth, unique):
    s3 = hearth.client("s3", region="eu-west-1")
    name = unique("again")
    place = {"LocationConstraint": "eu-west-1"}
    s3.create_bucket(Bucket=name, CreateBucketConfiguration=place)
    with refused(
        "BucketAlreadyOwnedByYou",
        409,
        "Your previous request to create the named bucket succeeded and you already own it.",
    ) as error:
        s3.create_bucket(Bucket=name, CreateBucketConfiguration=place)
    assert error["BucketName"] == name
    s3.delete_bucket(Bucket=name)


def test_name_of_another_account(hearth, bucket):
    other = hearth.client("s3", "111122223333", "secret")
    with refused("BucketAlreadyExists", 409):
        other.create_bucket(Bucket=bucket)


def test_missing_bucket(s3):
    with refused("NoSuchBucket", 404, "The specified bucket does not exist") as error:
        s3.get_object(Bucket="not-there", Key="k")
    assert error["BucketName"] == "not-there"


def test_head_of_missing_bucket(s3):
    with refused("404", 404):
        s3.head_bucket(Bucket="not-there")


def test_bucket_with_objects_stays(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    with refused("BucketNotEmpty", 409, NOT_EMPTY):
        s3.delete_bucket(Bucket=bucket)
    s3.delete_object(Bucket=bucket, Key="k")


def test_bucket_with_versions_stays(s3, versioned):
    s3.put_object(Bucket=versioned, Key="k", Body=b"x")
    s3.delete_object(Bucket=versioned, Key="k")
    with refused(
        "BucketNotEmpty", 409, NOT_EMPTY + ". You must delete all versions in the bucket."
    ):
        s3.delete_bucket(Bucket=versioned)


def test_bucket_made_again_is_empty(s3, unique):
    name = unique("life")
    s3.create_bucket(Bucket=name)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    s3.delete_bucket(Bucket=name)
    s3.create_bucket(Bucket=name)
    assert "Status" not in s3.get_bucket_versioning(Bucket=name)
    s3.delete_bucket(Bucket=name)


def test_expected_owner(s3, bucket):
    s3.head_bucket(Bucket=bucket, ExpectedBucketOwner="000000000000")
    with refused("AccessDenied", 403, "Access Denied"):
        s3.get_bucket_versioning(Bucket=bucket, ExpectedBucketOwner="111122223333")


def test_owner_of_listed_buckets(s3, bucket):
    assert len(s3.list_buckets()["Owner"]["ID"]) == 64


def test_versioning_states(s3, bucket):
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    for state in ("Enabled", "Suspended", "Enabled"):
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": state})
        assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == state


def test_mfa_delete_is_not_there(s3, bucket):
    with refused("NotImplemented", 501):
        s3.put_bucket_versioning(
            Bucket=bucket, VersioningConfiguration={"Status": "Enabled", "MFADelete": "Enabled"}
        )


def test_bucket_with_object_lock_has_versions_for_good(s3, unique):
    name = unique("locked")
    s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    assert s3.get_bucket_versioning(Bucket=name)["Status"] == "Enabled"
    with refused("InvalidBucketState", 409):
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Suspended"})
    s3.delete_bucket(Bucket=name)


def list_buckets(s3, **query):
    """ListBuckets with parameters that the client does not know of yet."""

    def add(request, **_):
        request.params = query

    s3.meta.events.register("before-sign.s3.ListBuckets", add)
    try:
        return [entry["Name"] for entry in s3.list_buckets()["Buckets"]]
    finally:
        s3.meta.events.unregister("before-sign.s3.ListBuckets", add)


def test_buckets_are_listed_by_prefix_and_in_pages(s3, unique):
    prefix = unique("page")
    names = [f"{prefix}-{number}" for number in range(3)]
    for name in names:
        s3.create_bucket(Bucket=name)
    assert list_buckets(s3, prefix=prefix) == names
    assert list_buckets(s3, **{"prefix": prefix, "max-buckets": "2"}) == names[:2]
    token = base64.b64encode(names[1].encode()).decode()
    assert list_buckets(s3, **{"prefix": prefix, "continuation-token": token}) == names[2:]
    assert list_buckets(s3, **{"prefix": prefix, "bucket-region": "eu-west-1"}) == []
    for name in names:
        s3.delete_bucket(Bucket=name)


@pytest.mark.parametrize("limit", ["0", "10001"])
def test_pages_of_buckets_have_a_limit(s3, limit):
    with refused("InvalidArgument", 400):
        list_buckets(s3, **{"max-buckets": limit})


def test_times_have_whole_seconds(s3, bucket):
    created = {entry["Name"]: entry["CreationDate"] for entry in s3.list_buckets()["Buckets"]}
    assert created[bucket].microsecond == 0
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    listed = s3.list_objects_v2(Bucket=bucket)["Contents"][0]["LastModified"]
    assert listed.microsecond == 0
    assert s3.head_object(Bucket=bucket, Key="k")["LastModified"] == listed
