"""Create, update, get, list and delete event source mappings: what they answer and what they refuse."""

import json
import re
import urllib.error

import botocore.exceptions
import pytest

UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


def refused(call, code, message):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call()
    error = caught.value.response["Error"]
    assert (error["Code"], error["Message"]) == (code, message)


def test_life_of_a_mapping(client, queue, recorder, mapping):
    source, function = queue(), recorder()
    made = mapping(source, function)
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert re.fullmatch(UUID, made["UUID"])
    assert made["State"] == "Creating"
    assert made["StateTransitionReason"] == "USER_INITIATED"
    assert made["BatchSize"] == 10
    assert made["MaximumBatchingWindowInSeconds"] == 0
    assert made["FunctionResponseTypes"] == []
    assert made["EventSourceArn"] == source.arn
    assert made["FunctionArn"] == f"arn:aws:lambda:us-east-1:000000000000:function:{function.name}"

    got = client.get_event_source_mapping(UUID=made["UUID"])
    assert got["State"] == "Enabled"
    assert got["LastModified"] == made["LastModified"]

    changed = client.update_event_source_mapping(
        UUID=made["UUID"], Enabled=False, BatchSize=100, MaximumBatchingWindowInSeconds=3
    )
    assert changed["State"] == "Disabling"
    got = client.get_event_source_mapping(UUID=made["UUID"])
    assert (got["State"], got["BatchSize"]) == ("Disabled", 100)
    assert got["MaximumBatchingWindowInSeconds"] == 3
    assert client.update_event_source_mapping(UUID=made["UUID"], Enabled=True)["State"] == "Enabling"
    assert client.update_event_source_mapping(UUID=made["UUID"], BatchSize=7)["State"] == "Updating"

    gone = client.delete_event_source_mapping(UUID=made["UUID"])
    assert (gone["State"], gone["BatchSize"]) == ("Deleting", 7)
    refused(
        lambda: client.get_event_source_mapping(UUID=made["UUID"]),
        "ResourceNotFoundException",
        "The resource you requested does not exist.",
    )


def test_settings_come_back(client, queue, recorder, mapping):
    pattern = json.dumps({"body": {"a": [{"prefix": "b"}]}})
    made = mapping(
        queue(),
        recorder(),
        FilterCriteria={"Filters": [{"Pattern": pattern}]},
        FunctionResponseTypes=["ReportBatchItemFailures"],
        Enabled=False,
    )
    got = client.get_event_source_mapping(UUID=made["UUID"])
    assert got["State"] == "Disabled"
    assert got["FilterCriteria"] == {"Filters": [{"Pattern": pattern}]}
    assert got["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    changed = client.update_event_source_mapping(
        UUID=made["UUID"],
        FilterCriteria={"Filters": []},
        FunctionResponseTypes=[],
    )
    assert "FilterCriteria" not in changed
    assert changed["FunctionResponseTypes"] == []


def raw(hearth, method, uuid="", **members):
    """Members that older clients do not know, without a client."""
    path = "/2015-03-31/event-source-mappings/" + uuid
    try:
        with hearth.get(path, method, json.dumps(members).encode() if members else None) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return error.headers["x-amzn-ErrorType"], json.load(error)


def test_settings_of_newer_clients(hearth, queue, recorder):
    ends = {"EventSourceArn": queue().arn, "FunctionName": recorder().name}
    made = raw(hearth, "POST", **ends, ScalingConfig={"MaximumConcurrency": 3}, Tags={"a": "b"})
    assert made["ScalingConfig"] == {"MaximumConcurrency": 3}
    assert made["EventSourceMappingArn"].endswith(":event-source-mapping:" + made["UUID"])
    refusal = (
        "InvalidParameterValueException",
        "Provisioned mode for SQS ESM does not support maximum concurrency feature. Use MaximumPollers "
        "as the control mechanism and remove maximum concurrency.",
    )
    pollers = {"MinimumPollers": 2, "MaximumPollers": 4}
    code, body = raw(hearth, "PUT", made["UUID"], ProvisionedPollerConfig=pollers)
    assert (code.split(":")[0], body.get("Message") or body.get("message")) == refusal
    changed = raw(
        hearth, "PUT", made["UUID"], ScalingConfig={}, ProvisionedPollerConfig=pollers
    )
    assert "ScalingConfig" not in changed
    assert changed["ProvisionedPollerConfig"] == pollers
    for members in (
        {"ProvisionedPollerConfig": {"MinimumPollers": 1}},
        {"ProvisionedPollerConfig": {"MinimumPollers": 5, "MaximumPollers": 4}},
        {"KMSKeyArn": "arn:aws:kms:us-east-1:000000000000:key/x"},
        {"MetricsConfig": {"Metrics": ["EventCount"]}},
    ):
        code, _ = raw(hearth, "PUT", made["UUID"], **members)
        assert code.split(":")[0] == "InvalidParameterValueException", members
    raw(hearth, "DELETE", made["UUID"])


def test_one_mapping_of_a_pair(client, queue, recorder, mapping):
    source, function = queue(), recorder()
    made = mapping(source, function)
    refused(
        lambda: mapping(source, function),
        "ResourceConflictException",
        f'An event source mapping with SQS arn (" {source.arn} ") and function '
        f'(" {function.name} ") already exists. Please update or delete the existing mapping with '
        f"UUID {made['UUID']}",
    )
    # An alias or a version is another target.
    version = client.publish_version(FunctionName=function.name)["Version"]
    other = client.create_event_source_mapping(
        EventSourceArn=source.arn, FunctionName=f"{function.name}:{version}"
    )
    assert other["FunctionArn"].endswith(f":{function.name}:{version}")
    client.delete_event_source_mapping(UUID=other["UUID"])
    client.delete_event_source_mapping(UUID=made["UUID"])
    mapping(source, function)


def test_lists(client, queue, recorder, mapping):
    sources, functions = [queue() for _ in range(3)], [recorder(), recorder()]
    made = {mapping(source, function)["UUID"] for source in sources for function in functions}
    listed = set()
    for page in client.get_paginator("list_event_source_mappings").paginate(
        PaginationConfig={"PageSize": 2}
    ):
        assert len(page["EventSourceMappings"]) <= 2
        listed |= {one["UUID"] for one in page["EventSourceMappings"]}
    assert listed == made
    of_source = client.list_event_source_mappings(EventSourceArn=sources[0].arn)
    assert {one["EventSourceArn"] for one in of_source["EventSourceMappings"]} == {sources[0].arn}
    assert len(of_source["EventSourceMappings"]) == 2
    of_function = client.list_event_source_mappings(FunctionName=functions[0].name)
    assert len(of_function["EventSourceMappings"]) == 3
    of_both = client.list_event_source_mappings(
        FunctionName=functions[0].name, EventSourceArn=sources[0].arn
    )
    assert [one["State"] for one in of_both["EventSourceMappings"]] == ["Enabled"]


INVALID = "InvalidParameterValueException"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"BatchSize": 11},
            "Maximum batch window in seconds must be greater than 0 if maximum batch size is "
            "greater than 10",
        ),
        (
            {"FilterCriteria": {"Filters": [{"Pattern": '{"body": "x"}'}]}},
            "Invalid filter pattern definition.",
        ),
        (
            {"FilterCriteria": {"Filters": [{"Pattern": "no JSON"}]}},
            "Invalid filter pattern definition.",
        ),
        (
            {"DestinationConfig": {"OnFailure": {"Destination": "arn:aws:sqs:us-east-1:000000000000:x"}}},
            "Unsupported DestinationConfig parameter for given event source mapping type.",
        ),
        (
            {"ParallelizationFactor": 2},
            "Unsupported parallelization factor parameter for given event source mapping type.",
        ),
        (
            {"StartingPosition": "LATEST"},
            "Unsupported starting position parameter for given event source mapping type.",
        ),
    ],
)
def test_refused_settings(queue, recorder, mapping, settings, message):
    source, function = queue(), recorder()
    refused(lambda: mapping(source, function, **settings), INVALID, message)


def test_refused_sources_and_functions(client, queue, recorder, mapping):
    source, function = queue(), recorder()

    def create(**changes):
        request = {"EventSourceArn": source.arn, "FunctionName": function.name, **changes}
        return lambda: client.create_event_source_mapping(
            **{key: value for key, value in request.items() if value is not None}
        )

    refused(
        create(FunctionName="nobody"),
        "ResourceNotFoundException",
        "Function not found: arn:aws:lambda:us-east-1:000000000000:function:nobody",
    )
    refused(
        create(EventSourceArn="arn:aws:sqs:us-east-1:000000000000:nothing"),
        INVALID,
        "Error occurred while ReceiveMessage. SQS Error Code: "
        "AWS.SimpleQueueService.NonExistentQueue. SQS Error Message: The specified queue does not "
        "exist.",
    )
    refused(create(EventSourceArn=None), INVALID, "Unrecognized event source.")
    with pytest.raises(client.exceptions.InvalidParameterValueException) as caught:
        create(EventSourceArn="arn:aws:kinesis:us-east-1:000000000000:stream/x")()
    assert "kinesis" in str(caught.value)
    slow = recorder(Timeout=60)
    refused(
        create(FunctionName=slow.name),
        INVALID,
        "Queue visibility timeout: 30 seconds is less than Function timeout: 60 seconds",
    )


def test_fifo_queues_have_small_batches_and_no_window(queue, recorder, mapping):
    source, function = queue(FifoQueue="true"), recorder()
    refused(
        lambda: mapping(source, function, MaximumBatchingWindowInSeconds=1),
        INVALID,
        "Batching window is not supported for FIFO queues",
    )
    refused(
        lambda: mapping(source, function, BatchSize=11),
        INVALID,
        "Batch size must not exceed 10 for FIFO queues",
    )


def test_by_the_command_line(hearth, queue, recorder):
    source, function = queue(), recorder()
    made = hearth.aws(
        *("lambda", "create-event-source-mapping", "--function-name", function.name),
        *("--event-source-arn", source.arn, "--batch-size", "5"),
    )
    listed = hearth.aws("lambda", "list-event-source-mappings", "--function-name", function.name)
    assert [one["UUID"] for one in listed["EventSourceMappings"]] == [made["UUID"]]
    hearth.aws("lambda", "delete-event-source-mapping", "--uuid", made["UUID"])


def test_tags(client, queue, recorder, mapping):
    made = mapping(queue(), recorder(), Enabled=False)
    arn = f"arn:aws:lambda:us-east-1:000000000000:event-source-mapping:{made['UUID']}"
    assert client.list_tags(Resource=arn)["Tags"] == {}
    client.tag_resource(Resource=arn, Tags={"a": "1", "b": "2"})
    client.untag_resource(Resource=arn, TagKeys=["a"])
    assert client.list_tags(Resource=arn)["Tags"] == {"b": "2"}
    refused(
        lambda: client.list_tags(Resource=arn.replace(made["UUID"], "0" * 8 + made["UUID"][8:])),
        "ResourceNotFoundException",
        "The resource you requested does not exist.",
    )
