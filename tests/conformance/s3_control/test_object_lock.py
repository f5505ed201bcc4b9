"""Object lock: what protects versions, and what it stops."""

import datetime

import pytest
from s3_control_support import refused

PROTECTED = "Access Denied because object protected by object lock."


def in_days(days):
    return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days)


def retention(mode, days):
    return {"Mode": mode, "RetainUntilDate": in_days(days)}


def test_configuration(s3, locked):
    def configuration():
        return s3.get_object_lock_configuration(Bucket=locked)["ObjectLockConfiguration"]

    assert configuration() == {"ObjectLockEnabled": "Enabled"}
    rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}
    s3.put_object_lock_configuration(
        Bucket=locked, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule}
    )
    assert configuration() == {"ObjectLockEnabled": "Enabled", "Rule": rule}
    s3.put_object(Bucket=locked, Key="k", Body=b"x")
    head = s3.head_object(Bucket=locked, Key="k")
    assert head["ObjectLockMode"] == "GOVERNANCE"
    left = head["ObjectLockRetainUntilDate"] - in_days(0)
    assert datetime.timedelta(hours=23) < left <= datetime.timedelta(days=1)


def test_the_rule_counts_when_an_upload_becomes_an_object(s3, locked):
    begun = s3.create_multipart_upload(Bucket=locked, Key="k")["UploadId"]
    own = s3.create_multipart_upload(
        Bucket=locked,
        Key="own",
        ObjectLockMode="GOVERNANCE",
        ObjectLockRetainUntilDate=in_days(9),
    )["UploadId"]
    rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 2}}
    s3.put_object_lock_configuration(
        Bucket=locked, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule}
    )
    for key, upload, days in (("k", begun, 2), ("own", own, 9)):
        part = s3.upload_part(Bucket=locked, Key=key, UploadId=upload, PartNumber=1, Body=b"x")
        s3.complete_multipart_upload(
            Bucket=locked,
            Key=key,
            UploadId=upload,
            MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]},
        )
        head = s3.head_object(Bucket=locked, Key=key)
        assert head["ObjectLockMode"] == "GOVERNANCE"
        left = head["ObjectLockRetainUntilDate"] - in_days(0)
        assert datetime.timedelta(days=days, hours=-1) < left <= datetime.timedelta(days=days)


def test_an_existing_bucket_needs_versions_first(s3, bucket):
    enable = {"ObjectLockEnabled": "Enabled"}
    with refused("ObjectLockConfigurationNotFoundError", 404):
        s3.get_object_lock_configuration(Bucket=bucket)
    with refused(
        "InvalidBucketState",
        409,
        "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration",
    ):
        s3.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration=enable)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration=enable)
    with refused("InvalidBucketState", 409):
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})


@pytest.mark.parametrize(
    "configuration",
    [
        {},
        {"Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}},
        {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE"}}},
        {
            "ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1, "Years": 1}},
        },
    ],
)
def test_configurations_are_checked(unchecked, locked, configuration):
    with refused("MalformedXML", 400):
        unchecked.put_object_lock_configuration(
            Bucket=locked, ObjectLockConfiguration=configuration
        )


def test_a_retained_version_stays_but_can_be_hidden(s3, locked):
    version = s3.put_object(
        Bucket=locked,
        Key="k",
        Body=b"x",
        ObjectLockMode="GOVERNANCE",
        ObjectLockRetainUntilDate=in_days(1),
    )["VersionId"]
    with refused("AccessDenied", 403, PROTECTED):
        s3.delete_object(Bucket=locked, Key="k", VersionId=version)
    assert s3.delete_object(Bucket=locked, Key="k")["DeleteMarker"] is True
    s3.delete_object(
        Bucket=locked, Key="k", VersionId=version, BypassGovernanceRetention=True
    )


def test_a_legal_hold_has_no_bypass(s3, locked):
    version = s3.put_object(Bucket=locked, Key="k", Body=b"x")["VersionId"]
    with refused("NoSuchObjectLockConfiguration", 404):
        s3.get_object_legal_hold(Bucket=locked, Key="k")
    s3.put_object_legal_hold(Bucket=locked, Key="k", LegalHold={"Status": "ON"})
    assert s3.get_object_legal_hold(Bucket=locked, Key="k")["LegalHold"] == {"Status": "ON"}
    with refused("AccessDenied", 403, PROTECTED):
        s3.delete_object(
            Bucket=locked, Key="k", VersionId=version, BypassGovernanceRetention=True
        )
    s3.put_object_legal_hold(Bucket=locked, Key="k", LegalHold={"Status": "OFF"})
    assert s3.get_object_legal_hold(Bucket=locked, Key="k")["LegalHold"] == {"Status": "OFF"}
    s3.delete_object(Bucket=locked, Key="k", VersionId=version)


def test_governance_is_shortened_with_the_bypass_alone(s3, locked):
    s3.put_object(Bucket=locked, Key="k", Body=b"x")
    with refused("NoSuchObjectLockConfiguration", 404):
        s3.get_object_retention(Bucket=locked, Key="k")
    s3.put_object_retention(Bucket=locked, Key="k", Retention=retention("GOVERNANCE", 5))
    s3.put_object_retention(Bucket=locked, Key="k", Retention=retention("GOVERNANCE", 6))
    with refused("AccessDenied", 403, PROTECTED):
        s3.put_object_retention(Bucket=locked, Key="k", Retention=retention("GOVERNANCE", 4))
    s3.put_object_retention(
        Bucket=locked,
        Key="k",
        Retention=retention("GOVERNANCE", 4),
        BypassGovernanceRetention=True,
    )
    assert s3.get_object_retention(Bucket=locked, Key="k")["Retention"]["Mode"] == "GOVERNANCE"


def test_the_past_retains_nothing(s3, locked):
    s3.put_object(Bucket=locked, Key="k", Body=b"x")
    with refused("InvalidArgument", 400, "The retain until date must be in the future!"):
        s3.put_object_retention(Bucket=locked, Key="k", Retention=retention("GOVERNANCE", -1))


def test_buckets_without_lock_have_none_of_it(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    with refused("InvalidRequest", 400, "Bucket is missing Object Lock Configuration"):
        s3.put_object_legal_hold(Bucket=bucket, Key="k", LegalHold={"Status": "ON"})
    with refused("InvalidRequest", 400, "Bucket is missing Object Lock Configuration"):
        s3.put_object(
            Bucket=bucket,
            Key="k",
            Body=b"x",
            ObjectLockMode="GOVERNANCE",
            ObjectLockRetainUntilDate=in_days(1),
        )
