"""Log groups: life, listing, retention, tags."""

import pytest

from logs_test_support import refused

ACCOUNT = "000000000000"
NO_GROUP = "The specified log group does not exist."


def describe(logs, name):
    found = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    return next((group for group in found if group["logGroupName"] == name), None)


def test_life_of_a_group(logs, unique, now_ms):
    name = unique("/test/life")
    logs.create_log_group(logGroupName=name)
    shown = describe(logs, name)
    arn = f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:{name}:*"
    assert shown["arn"] == arn
    assert shown["metricFilterCount"] == 0 and shown["storedBytes"] == 0
    assert now_ms - 1000 <= shown["creationTime"] <= now_ms + 60_000
    assert "retentionInDays" not in shown
    with refused("ResourceAlreadyExistsException", "The specified log group already exists"):
        logs.create_log_group(logGroupName=name)
    logs.delete_log_group(logGroupName=name)
    assert describe(logs, name) is None
    with refused("ResourceNotFoundException", NO_GROUP):
        logs.delete_log_group(logGroupName=name)


@pytest.mark.parametrize("name", ["", "a b", "x" * 513, "a:b", "ü"])
def test_names_are_checked(unchecked, name):
    with refused("InvalidParameterException"):
        unchecked.create_log_group(logGroupName=name)


def test_reserved_and_unknown_key(logs, unique):
    with refused(
        "InvalidParameterException", "Log groups starting with AWS/ are reserved for AWS."
    ):
        logs.create_log_group(logGroupName="aws/mine")
    with refused("InvalidParameterException"):
        logs.create_log_group(logGroupName=unique("k"), kmsKeyId="arn:aws:kms:us-east-1:1:key/x")


def test_listing_pages_and_prefixes(logs, unique):
    prefix = unique("/test/list")
    names = sorted(f"{prefix}/{i}" for i in range(7))
    for name in names:
        logs.create_log_group(logGroupName=name)
    seen, token = [], {}
    while True:
        page = logs.describe_log_groups(logGroupNamePrefix=prefix, limit=3, **token)
        assert len(page["logGroups"]) <= 3
        seen += [group["logGroupName"] for group in page["logGroups"]]
        if "nextToken" not in page:
            break
        token = {"nextToken": page["nextToken"]}
    assert seen == names
    for name in names:
        logs.delete_log_group(logGroupName=name)


def test_listing_is_checked(unchecked):
    with refused("InvalidParameterException"):
        unchecked.describe_log_groups(limit=51)
    with refused("InvalidParameterException", "The specified nextToken is invalid."):
        unchecked.describe_log_groups(nextToken="%%%")


def test_retention(logs, group):
    logs.put_retention_policy(logGroupName=group, retentionInDays=7)
    assert describe(logs, group)["retentionInDays"] == 7
    logs.delete_retention_policy(logGroupName=group)
    assert "retentionInDays" not in describe(logs, group)
    with refused("InvalidParameterException"):
        logs.put_retention_policy(logGroupName=group, retentionInDays=8)
    for call in (
        lambda: logs.put_retention_policy(logGroupName=group + "x", retentionInDays=7),
        lambda: logs.delete_retention_policy(logGroupName=group + "x"),
    ):
        with refused("ResourceNotFoundException", NO_GROUP):
            call()


def test_tags(logs, unique):
    name = unique("/test/tags")
    logs.create_log_group(logGroupName=name, tags={"a": "1"})
    arn = f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:{name}"
    logs.tag_resource(resourceArn=arn, tags={"b": "2", "c": ""})
    logs.tag_log_group(logGroupName=name, tags={"d": "4"})
    expected = {"a": "1", "b": "2", "c": "", "d": "4"}
    assert logs.list_tags_for_resource(resourceArn=arn)["tags"] == expected
    assert logs.list_tags_log_group(logGroupName=name)["tags"] == expected
    logs.untag_resource(resourceArn=arn, tagKeys=["a", "nobody"])
    logs.untag_log_group(logGroupName=name, tags=["d"])
    assert logs.list_tags_for_resource(resourceArn=arn)["tags"] == {"b": "2", "c": ""}
    with refused("TooManyTagsException"):
        logs.tag_resource(resourceArn=arn, tags={f"k{i}": "v" for i in range(49)})
    with refused("InvalidParameterException"):
        logs.tag_resource(resourceArn=arn, tags={"aws:x": "y"})
    logs.delete_log_group(logGroupName=name)
    with refused("ResourceNotFoundException"):
        logs.list_tags_for_resource(resourceArn=arn)


def test_no_account_sees_anothers(hearth, logs, group, now_ms):
    # In open mode twelve digits as the access key are the account.
    other = hearth.client("logs", key="222222222222", secret="x")
    assert other.describe_log_groups()["logGroups"] == []
    arn = f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:{group}"
    with refused("ResourceNotFoundException", NO_GROUP):
        other.filter_log_events(logGroupName=group)
    with refused("ResourceNotFoundException"):
        other.list_tags_for_resource(resourceArn=arn)
    with refused("ResourceNotFoundException"):
        other.delete_log_group(logGroupName=group)


def test_regions_are_apart(hearth, group):
    elsewhere = hearth.client("logs", region="eu-west-1")
    with refused("ResourceNotFoundException"):
        elsewhere.filter_log_events(logGroupName=group)


def test_what_is_not_there_says_so(logs, group):
    with pytest.raises(Exception) as error:
        logs.put_metric_filter(
            logGroupName=group,
            filterName="f",
            filterPattern="x",
            metricTransformations=[
                {"metricName": "m", "metricNamespace": "n", "metricValue": "1"}
            ],
        )
    assert "PutMetricFilter" in str(error.value)
