"""What becomes of an event: attempts, their times, records and dead letters."""

import base64
import json
import re
import threading

import deployed
import hearth_up
import lambda_async_support as support
from lambda_async_support import ECHOES, FAILS, arn, refused

HEARTH_OPTIONS = ("--test-clock",)


def test_a_success_is_recorded(deploy, queue):
    function = deploy(ECHOES)
    function.configure(success=queue.arn, failure=queue.arn)
    request_id = function.send({"n": 1})
    record = queue.record()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", record.pop("timestamp"))
    assert record == {
        "version": "1.0",
        "requestContext": {
            "requestId": request_id,
            "functionArn": arn(function.name, "$LATEST"),
            "condition": "Success",
            "approximateInvokeCount": 1,
        },
        "requestPayload": {"n": 1},
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST"},
        "responsePayload": {"event": {"n": 1}, "arn": function.arn},
    }


def test_an_error_is_retried_after_one_minute_and_after_two(deploy, queue, advance):
    function = deploy(FAILS)
    function.configure(failure=queue.arn)
    request_id = function.send({"n": 1})
    function.wait_for_starts(1)
    advance("55s")
    assert function.starts() == [request_id]
    advance("10s")
    assert function.wait_for_starts(2) == [request_id] * 2
    advance("1m")
    assert function.starts() == [request_id] * 2
    assert queue.is_empty()
    advance("70s")
    assert function.wait_for_starts(3) == [request_id] * 3
    record = queue.record()
    assert record["requestContext"] == {
        "requestId": request_id,
        "functionArn": arn(function.name, "$LATEST"),
        "condition": "RetriesExhausted",
        "approximateInvokeCount": 3,
    }
    assert record["responseContext"] == {
        "statusCode": 200,
        "executedVersion": "$LATEST",
        "functionError": "Unhandled",
    }
    assert record["responsePayload"]["errorMessage"] == "intentional failure"
    advance("6h")
    assert len(function.starts()) == 3


def test_fewer_retries(deploy, queue, advance):
    function = deploy(FAILS)
    function.configure(retries=0, failure=queue.arn)
    function.send()
    context = queue.record()["requestContext"]
    assert (context["condition"], context["approximateInvokeCount"]) == ("RetriesExhausted", 1)
    function.configure(retries=1, failure=queue.arn)
    function.send()
    function.wait_for_starts(2)
    advance("61s")
    assert queue.record()["requestContext"]["approximateInvokeCount"] == 2


def test_an_event_too_old_for_its_retry(deploy, queue):
    function = deploy(FAILS)
    function.configure(age=60, failure=queue.arn)
    function.send()
    context = queue.record()["requestContext"]
    assert (context["condition"], context["approximateInvokeCount"]) == ("EventAgeExceeded", 1)


def test_dead_letters(deploy, queue, other_queue):
    function = deploy(FAILS, DeadLetterConfig={"TargetArn": other_queue.arn})
    function.configure(retries=0, failure=queue.arn)
    request_id = function.send(payload=b'{"n":  1}')
    letter = other_queue.message()
    assert letter["Body"] == '{"n":  1}'
    assert letter["MessageAttributes"] == {
        "RequestID": {"StringValue": request_id, "DataType": "String"},
        "ErrorCode": {"StringValue": "200", "DataType": "Number"},
        "ErrorMessage": {"StringValue": "intentional failure", "DataType": "String"},
    }
    assert queue.record()["requestPayload"] == {"n": 1}


def test_dead_letters_of_versions_follow_latest(client, deploy, other_queue):
    function = deploy(FAILS)
    version = client.publish_version(FunctionName=function.name)["Version"]
    client.update_function_configuration(
        FunctionName=function.name, DeadLetterConfig={"TargetArn": other_queue.arn}
    )
    function.configure(retries=0, qualifier=version)
    function.send({"v": version}, Qualifier=version)
    assert json.loads(other_queue.message()["Body"]) == {"v": version}


def test_without_concurrency_nothing_is_tried(client, deploy, queue, other_queue):
    function = deploy(ECHOES, DeadLetterConfig={"TargetArn": other_queue.arn})
    function.configure(failure=queue.arn)
    client.put_function_concurrency(FunctionName=function.name, ReservedConcurrentExecutions=0)
    function.send({"n": 1})
    record = queue.record()
    assert record["requestContext"]["condition"] == "ZeroReservedConcurrency"
    assert record["requestContext"]["approximateInvokeCount"] == 0
    assert "responseContext" not in record and "responsePayload" not in record
    assert other_queue.message()["MessageAttributes"]["ErrorCode"]["StringValue"] == "429"
    assert function.starts() == []


def test_one_at_a_time_all_of_them_run(client, deploy, queue):
    function = deploy("import time\ndef handler(event, context):\n  time.sleep(0.05)\n  return event\n")
    function.configure(success=queue.arn, failure=queue.arn)
    client.put_function_concurrency(FunctionName=function.name, ReservedConcurrentExecutions=1)
    sent = {function.send({"n": number}) for number in range(10)}
    records = [queue.record() for _ in range(10)]
    assert {record["requestContext"]["requestId"] for record in records} == sent
    assert {record["requestContext"]["condition"] for record in records} == {"Success"}


def test_a_throttled_event_waits_and_uses_up_no_attempt(hearth, client, deploy, queue, advance):
    function = deploy(
        "import time\n"
        "def handler(event, context):\n"
        "  if event.get('long'): time.sleep(1.5)\n"
    )
    function.configure(retries=0, success=queue.arn, failure=queue.arn)
    client.put_function_concurrency(FunctionName=function.name, ReservedConcurrentExecutions=1)
    busy = threading.Thread(
        target=hearth.client("lambda").invoke,
        kwargs={"FunctionName": function.name, "Payload": b'{"long": true}'},
    )
    busy.start()
    function.wait_for_starts(1)
    sent = {function.send({"n": number}) for number in range(3)}
    busy.join()
    # They rest for 4 s at most by now, however often they were refused meanwhile.
    advance("1m")
    records = [queue.record() for _ in sent]
    assert {record["requestContext"]["requestId"] for record in records} == sent
    for record in records:
        assert record["requestContext"]["condition"] == "Success"
        assert record["requestContext"]["approximateInvokeCount"] == 1


def test_an_alias_is_resolved_at_each_attempt(client, deploy, queue, advance):
    function = deploy(FAILS)
    client.publish_version(FunctionName=function.name)
    client.create_alias(FunctionName=function.name, Name="live", FunctionVersion="1")
    function.configure(success=queue.arn, failure=queue.arn, qualifier="live")
    request_id = function.send({"n": 1}, Qualifier="live")
    function.wait_for_starts(1)
    client.update_function_code(
        FunctionName=function.name, ZipFile=deployed.zipped({"app.py": ECHOES})
    )
    client.get_waiter("function_updated_v2").wait(FunctionName=function.name)
    client.publish_version(FunctionName=function.name)
    client.update_alias(FunctionName=function.name, Name="live", FunctionVersion="2")
    advance("1m1s")
    record = queue.record()
    assert record["requestContext"] == {
        "requestId": request_id,
        "functionArn": arn(function.name, "live"),
        "condition": "Success",
        "approximateInvokeCount": 2,
    }
    assert record["responseContext"]["executedVersion"] == "2"
    assert record["responsePayload"]["arn"] == arn(function.name, "live")


def test_a_function_as_destination(deploy, queue):
    last = deploy(ECHOES)
    last.configure(success=queue.arn)
    first = deploy(ECHOES)
    first.configure(success=last.arn)
    request_id = first.send({"n": 1})
    record = queue.record()
    assert record["requestContext"]["functionArn"] == arn(last.name, "$LATEST")
    inner = record["requestPayload"]
    assert inner["requestContext"]["requestId"] == request_id
    assert inner["requestContext"]["functionArn"] == arn(first.name, "$LATEST")
    assert inner["requestPayload"] == {"n": 1}


def test_a_bucket_takes_failures(deploy, s3, unique, queue):
    bucket = unique("failures")
    s3.create_bucket(Bucket=bucket)
    function = deploy(FAILS)
    function.configure(retries=0, failure=f"arn:aws:s3:::{bucket}")
    request_id = function.send({"n": 1})
    found = hearth_up.wait_for(
        lambda: s3.list_objects_v2(Bucket=bucket).get("Contents"), "an object"
    )
    (key,) = [entry["Key"] for entry in found]
    assert re.fullmatch(
        rf"aws/lambda/async/{function.name}/\d{{4}}/\d\d/\d\d/"
        r"\d{4}-\d\d-\d\dT\d\d\.\d\d\.\d\d-[0-9a-f-]{36}",
        key,
    )
    body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    assert json.loads(body)["requestContext"]["requestId"] == request_id


def test_a_destination_that_is_away_gets_its_record_later(deploy, sqs, queue, advance, hearth):
    function = deploy(ECHOES)
    function.configure(success=queue.arn)
    sqs.delete_queue(QueueUrl=queue.url)
    request_id = function.send()
    function.wait_for_starts(1)
    advance("1d")
    again = support.Queue(hearth, sqs, queue.name)
    advance("6m")
    assert again.record()["requestContext"]["requestId"] == request_id


def test_a_loop_through_destinations_ends(deploy, queue, advance):
    source = "def handler(event, context): return 1\n"
    first, second = deploy(source), deploy(source)
    first.configure(success=second.arn, failure=queue.arn)
    second.configure(success=first.arn, failure=queue.arn)
    first.send()
    record = queue.record()
    assert record["requestContext"]["approximateInvokeCount"] == 0
    assert "responseContext" not in record
    # What started it, and 15 times round.
    assert 16 <= len(first.starts()) <= 17
    advance("10m")
    assert queue.is_empty()


def test_events_of_a_deleted_function_are_gone(client, deploy, queue, advance):
    function = deploy(FAILS)
    function.configure(failure=queue.arn)
    function.send()
    function.wait_for_starts(1)
    client.delete_function(FunctionName=function.name)
    deployed.function(client, function.name, FAILS)
    function.configure(failure=queue.arn)
    advance("10m")
    assert len(function.starts()) == 1
    assert queue.is_empty()


def test_what_is_refused_at_once(client, deploy):
    function = deploy(ECHOES)
    with refused("ResourceNotFoundException", f"Function not found: {arn('nobody')}", 404):
        client.invoke(FunctionName="nobody", InvocationType="Event")
    with refused("ResourceNotFoundException", status=404):
        client.invoke(FunctionName=function.name, InvocationType="Event", Qualifier="none")
    with refused("InvalidRequestContentException", status=400):
        client.invoke(FunctionName=function.name, InvocationType="Event", Payload=b"{")
    most = 1_048_576
    with refused(
        "RequestEntityTooLargeException",
        f"{most + 1} byte payload is too large for the Event invocation type (limit {most} bytes)",
        413,
    ):
        client.invoke(
            FunctionName=function.name,
            InvocationType="Event",
            Payload=b'"' + b"x" * (most - 1) + b'"',
        )


def test_a_mebibyte_is_kept(client, deploy, queue):
    function = deploy("def handler(event, context): return len(event)\n")
    function.configure(failure=queue.arn)
    function.send(payload=b'"' + b"x" * (1_048_576 - 2) + b'"')
    function.wait_for_starts(1)
    assert queue.is_empty()


def test_the_older_operation(client, deploy, queue):
    function = deploy(ECHOES)
    function.configure(success=queue.arn)
    answer = client.invoke_async(FunctionName=function.name, InvokeArgs=b'{"n": 1}')
    assert answer["Status"] == 202
    assert queue.record()["requestPayload"] == {"n": 1}
    with refused("ResourceNotFoundException", status=404):
        client.invoke_async(FunctionName="nobody", InvokeArgs=b"{}")


def test_client_context_and_no_payload(client, deploy, queue):
    function = deploy("def handler(event, context): return [event, context.client_context.custom]\n")
    function.configure(success=queue.arn)
    client.invoke(
        FunctionName=function.name,
        InvocationType="Event",
        ClientContext=base64.b64encode(b'{"custom": {"k": "v"}}').decode(),
    )
    record = queue.record()
    assert record["requestPayload"] == {}
    assert record["responsePayload"] == [{}, {"k": "v"}]
