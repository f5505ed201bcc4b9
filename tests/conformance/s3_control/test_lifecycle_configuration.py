"""Lifecycle configurations: what may be one, and what answers say of it."""

import datetime

import pytest
from s3_control_support import refused


def rule(**more):
    return {"ID": "r", "Status": "Enabled", "Filter": {"Prefix": ""}} | more


def put(s3, bucket, *rules):
    s3.put_bucket_lifecycle_configuration(
        Bucket=bucket, LifecycleConfiguration={"Rules": list(rules)}
    )


def test_configuration_comes_and_goes(s3, bucket):
    with refused("NoSuchLifecycleConfiguration", 404, "The lifecycle configuration does not exist"):
        s3.get_bucket_lifecycle_configuration(Bucket=bucket)
    rules = [
        {
            "ID": "all of it",
            "Status": "Enabled",
            "Filter": {
                "And": {
                    "Prefix": "logs/",
                    "Tags": [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}],
                    "ObjectSizeGreaterThan": 10,
                }
            },
            "Expiration": {"Days": 365},
            "Transitions": [
                {"Days": 30, "StorageClass": "STANDARD_IA"},
                {"Days": 60, "StorageClass": "GLACIER"},
            ],
            "NoncurrentVersionTransitions": [
                {"NoncurrentDays": 30, "StorageClass": "GLACIER", "NewerNoncurrentVersions": 3}
            ],
            "NoncurrentVersionExpiration": {"NoncurrentDays": 60, "NewerNoncurrentVersions": 3},
        },
        {
            "ID": "uploads",
            "Status": "Disabled",
            "Filter": {"Prefix": ""},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
        },
    ]
    put(s3, bucket, *rules)
    assert s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"] == rules
    s3.delete_bucket_lifecycle(Bucket=bucket)
    with refused("NoSuchLifecycleConfiguration"):
        s3.get_bucket_lifecycle_configuration(Bucket=bucket)


def test_a_rule_without_an_id_gets_one(s3, bucket):
    anonymous = rule(Expiration={"Days": 1})
    del anonymous["ID"]
    put(s3, bucket, anonymous)
    assert s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"][0]["ID"]


NOON = datetime.datetime(2030, 1, 1, 12, tzinfo=datetime.timezone.utc)


@pytest.mark.parametrize(
    "changes, code, message",
    [
        ({}, "InvalidRequest", "At least one action needs to be specified in a rule."),
        (
            {"Expiration": {"Days": 0}},
            "InvalidArgument",
            "'Days' for Expiration action must be a positive integer",
        ),
        ({"Expiration": {"Date": NOON}}, "InvalidArgument", "'Date' must be at midnight GMT"),
        ({"Expiration": {"Days": 1, "ExpiredObjectDeleteMarker": True}}, "MalformedXML", None),
        (
            {"Transitions": [{"Days": 29, "StorageClass": "STANDARD_IA"}]},
            "InvalidArgument",
            "'Days' in Transition action must be greater than or equal to 30 for storageClass "
            "'STANDARD_IA'",
        ),
        (
            {
                "Transitions": [{"Days": 40, "StorageClass": "GLACIER"}],
                "Expiration": {"Days": 40},
            },
            "InvalidArgument",
            "'Days' in the Expiration action for filter '(prefix=)' must be greater than 'Days' "
            "in the Transition action",
        ),
        (
            {"Transitions": [{"Days": 1, "StorageClass": "GLACIER"}] * 2},
            "InvalidRequest",
            "'StorageClass' must be different for 'Transition' actions in same 'Rule' with "
            "filter '(prefix=)'",
        ),
        (
            {
                "Filter": {"Tag": {"Key": "a", "Value": "b"}},
                "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
            },
            "InvalidRequest",
            "AbortIncompleteMultipartUpload cannot be specified with Tags.",
        ),
        (
            {
                "Filter": {"And": {"Tags": [{"Key": "a", "Value": "1"}] * 2}},
                "Expiration": {"Days": 1},
            },
            "InvalidRequest",
            "Duplicate Tag Keys are not allowed.",
        ),
        ({"Filter": {"And": {"Prefix": "a"}}, "Expiration": {"Days": 1}}, "MalformedXML", None),
        (
            {"ID": "x" * 256, "Expiration": {"Days": 1}},
            "InvalidArgument",
            "ID length should not exceed allowed limit of 255",
        ),
        ({"Status": "enabled", "Expiration": {"Days": 1}}, "MalformedXML", None),
    ],
)
def test_rules_are_checked(s3, bucket, changes, code, message):
    with refused(code, 400, message):
        put(s3, bucket, rule(**changes))


def test_ids_are_unique(s3, bucket):
    with refused(
        "InvalidArgument",
        400,
        "Rule ID must be unique. Found same ID for more than one rule",
    ):
        put(s3, bucket, rule(Expiration={"Days": 1}), rule(Expiration={"Days": 2}))


def test_the_older_form_has_prefixes_that_do_not_overlap(s3, bucket):
    def old(name, prefix):
        return {"ID": name, "Status": "Enabled", "Prefix": prefix, "Expiration": {"Days": 1}}

    put(s3, bucket, old("a", "a/"), old("b", "b/"))
    with refused("InvalidRequest", 400):
        put(s3, bucket, old("a", "a"), old("b", "ab"))
    with refused("InvalidRequest", 400, "Filter element can only be used in Lifecycle V2."):
        put(s3, bucket, old("a", "a"), rule(Expiration={"Days": 1}))


def test_answers_say_when_an_object_will_go(s3, bucket):
    put(s3, bucket, rule(ID="gone soon", Filter={"Prefix": "tmp/"}, Expiration={"Days": 2}))
    put_answer = s3.put_object(Bucket=bucket, Key="tmp/k", Body=b"x")
    tomorrow = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=3)
    assert put_answer["Expiration"].endswith('rule-id="gone%20soon"')
    for answer in (
        s3.head_object(Bucket=bucket, Key="tmp/k"),
        s3.get_object(Bucket=bucket, Key="tmp/k"),
    ):
        assert answer["Expiration"] == put_answer["Expiration"]
    assert tomorrow.strftime("%d %b") in put_answer["Expiration"] or "00:00:00 GMT" in (
        put_answer["Expiration"]
    )
    assert "Expiration" not in s3.put_object(Bucket=bucket, Key="k", Body=b"x")
