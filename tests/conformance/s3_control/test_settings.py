"""Encryption by default, logging, notifications, web sites, tiering, and what is not there."""

import pytest
from s3_control_support import refused

MALFORMED = "The XML you provided was not well-formed or did not validate against our published schema"


def test_everything_is_encrypted_by_default(s3, bucket):
    def rules():
        got = s3.get_bucket_encryption(Bucket=bucket)
        return got["ServerSideEncryptionConfiguration"]["Rules"]

    by_default = [
        {
            "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"},
            "BucketKeyEnabled": False,
        }
    ]
    assert rules() == by_default
    s3.put_bucket_encryption(
        Bucket=bucket,
        ServerSideEncryptionConfiguration={
            "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
        },
    )
    assert rules() == by_default
    s3.delete_bucket_encryption(Bucket=bucket)
    assert rules() == by_default


def test_encryption_configurations_are_checked(s3, bucket):
    def put(*rules):
        s3.put_bucket_encryption(
            Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": list(rules)}
        )

    aes = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    with refused("MalformedXML", 400, MALFORMED):
        put()
    with refused("MalformedXML", 400, MALFORMED):
        put(aes, aes)
    with refused("InvalidArgument", 400):
        put(
            {
                "ApplyServerSideEncryptionByDefault": {
                    "SSEAlgorithm": "AES256",
                    "KMSMasterKeyID": "x",
                }
            }
        )
    with refused("NotImplemented", 501):
        put({"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}})


def test_logging_needs_a_bucket_to_log_to(s3, bucket):
    assert "LoggingEnabled" not in s3.get_bucket_logging(Bucket=bucket)
    with refused(
        "InvalidTargetBucketForLogging", 400, "The target bucket for logging does not exist"
    ) as error:
        s3.put_bucket_logging(
            Bucket=bucket,
            BucketLoggingStatus={
                "LoggingEnabled": {"TargetBucket": bucket + "-none", "TargetPrefix": "x/"}
            },
        )
    assert error.fields["TargetBucket"] == bucket + "-none"
    wanted = {"LoggingEnabled": {"TargetBucket": bucket, "TargetPrefix": "log/"}}
    s3.put_bucket_logging(Bucket=bucket, BucketLoggingStatus=wanted)
    got = s3.get_bucket_logging(Bucket=bucket)
    assert got["LoggingEnabled"] == wanted["LoggingEnabled"]
    s3.put_bucket_logging(Bucket=bucket, BucketLoggingStatus={})
    assert "LoggingEnabled" not in s3.get_bucket_logging(Bucket=bucket)


def test_a_bucket_begins_without_notifications(s3, bucket):
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
    got = s3.get_bucket_notification_configuration(Bucket=bucket)
    assert set(got) == {"ResponseMetadata"}


def test_website_comes_and_goes(s3, bucket):
    with refused("NoSuchWebsiteConfiguration", 404):
        s3.get_bucket_website(Bucket=bucket)
    wanted = {
        "IndexDocument": {"Suffix": "index.html"},
        "ErrorDocument": {"Key": "error.html"},
        "RoutingRules": [
            {
                "Condition": {"KeyPrefixEquals": "docs/"},
                "Redirect": {"ReplaceKeyPrefixWith": "documents/"},
            }
        ],
    }
    s3.put_bucket_website(Bucket=bucket, WebsiteConfiguration=wanted)
    got = s3.get_bucket_website(Bucket=bucket)
    assert {key: got[key] for key in wanted} == wanted
    s3.delete_bucket_website(Bucket=bucket)
    with refused("NoSuchWebsiteConfiguration"):
        s3.get_bucket_website(Bucket=bucket)


@pytest.mark.parametrize(
    "configuration, code",
    [
        ({}, "InvalidArgument"),
        ({"IndexDocument": {"Suffix": "a/b"}}, "InvalidArgument"),
        (
            {
                "RedirectAllRequestsTo": {"HostName": "x"},
                "IndexDocument": {"Suffix": "index.html"},
            },
            "InvalidArgument",
        ),
        (
            {"RedirectAllRequestsTo": {"HostName": "x", "Protocol": "ftp"}},
            ("InvalidRequest", "MalformedXML"),
        ),
        (
            {
                "IndexDocument": {"Suffix": "index.html"},
                "RoutingRules": [
                    {"Redirect": {"ReplaceKeyWith": "a", "ReplaceKeyPrefixWith": "b"}}
                ],
            },
            "InvalidRequest",
        ),
    ],
)
def test_website_configurations_are_checked(unchecked, bucket, configuration, code):
    codes = (code,) if isinstance(code, str) else code
    with pytest.raises(unchecked.exceptions.ClientError) as raised:
        unchecked.put_bucket_website(Bucket=bucket, WebsiteConfiguration=configuration)
    assert raised.value.response["Error"]["Code"] in codes


def test_tiering_configurations(s3, bucket):
    def configuration(name, days):
        return {
            "Id": name,
            "Status": "Enabled",
            "Filter": {"Prefix": "x/"},
            "Tierings": [{"Days": days, "AccessTier": "ARCHIVE_ACCESS"}],
        }

    def put(name, days):
        s3.put_bucket_intelligent_tiering_configuration(
            Bucket=bucket, Id=name, IntelligentTieringConfiguration=configuration(name, days)
        )

    put("b", 90)
    put("a", 730)
    with refused("InvalidArgument", 400):
        put("c", 89)
    got = s3.get_bucket_intelligent_tiering_configuration(Bucket=bucket, Id="a")
    assert got["IntelligentTieringConfiguration"] == configuration("a", 730)
    listed = s3.list_bucket_intelligent_tiering_configurations(Bucket=bucket)
    assert [c["Id"] for c in listed["IntelligentTieringConfigurationList"]] == ["a", "b"]
    s3.delete_bucket_intelligent_tiering_configuration(Bucket=bucket, Id="a")
    with refused("NoSuchConfiguration", 404):
        s3.get_bucket_intelligent_tiering_configuration(Bucket=bucket, Id="a")


def test_what_is_not_there_says_so(s3, bucket):
    assert s3.get_bucket_request_payment(Bucket=bucket)["Payer"] == "BucketOwner"
    s3.put_bucket_request_payment(
        Bucket=bucket, RequestPaymentConfiguration={"Payer": "BucketOwner"}
    )
    with refused("NotImplemented", 501):
        s3.put_bucket_request_payment(
            Bucket=bucket, RequestPaymentConfiguration={"Payer": "Requester"}
        )
    assert "Status" not in s3.get_bucket_accelerate_configuration(Bucket=bucket)
    with refused("ReplicationConfigurationNotFoundError", 404):
        s3.get_bucket_replication(Bucket=bucket)
    for list_them in (
        s3.list_bucket_analytics_configurations,
        s3.list_bucket_inventory_configurations,
        s3.list_bucket_metrics_configurations,
    ):
        assert list_them(Bucket=bucket)["IsTruncated"] is False
