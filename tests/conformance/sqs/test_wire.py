"""Requests of both protocols byte by byte: what no SDK of ours would send, and what each answer looks like."""

import http.client
import json
import re
import urllib.parse

import pytest


class Wire:
    def __init__(self, hearth):
        self.hearth = hearth

    def send(self, body, headers=None, path="/", method="POST"):
        connection = http.client.HTTPConnection("127.0.0.1", self.hearth.port, timeout=120)
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, answer.headers, text

    def json(self, operation, **members):
        return self.json_text(operation, json.dumps(members))

    def json_text(self, operation, text):
        headers = {"x-amz-target": f"AmazonSQS.{operation}", "content-type": "application/x-amz-json-1.0"}
        status, headers, text = self.send(text, headers)
        return status, headers, json.loads(text) if text else None

    def query(self, parameters, path="/", method="POST"):
        encoded = urllib.parse.urlencode(parameters)
        if method == "GET":
            return self.send(None, path=f"{path}?{encoded}", method="GET")
        return self.send(encoded, {"content-type": "application/x-www-form-urlencoded"}, path)


@pytest.fixture(scope="module")
def wire(hearth):
    return Wire(hearth)


@pytest.fixture
def url(wire, unique):
    status, _, answer = wire.json("CreateQueue", QueueName=unique("wire"))
    assert status == 200
    return answer["QueueUrl"]


def field(text, name):
    found = re.search(f"<{name}>(.*?)</{name}>", text, re.DOTALL)
    return found and found.group(1)


def test_both_protocols_see_the_same_queue(wire, url):
    status, headers, sent = wire.json("SendMessage", QueueUrl=url, MessageBody="hello")
    assert status == 200
    assert headers["content-type"] == "application/x-amz-json-1.0"
    assert sorted(sent) == ["MD5OfMessageBody", "MessageId"]
    status, headers, text = wire.query({"Action": "ReceiveMessage", "Version": "2012-11-05", "QueueUrl": url})
    assert status == 200
    assert headers["content-type"] == "text/xml"
    assert text.startswith('<ReceiveMessageResponse xmlns="http://queue.amazonaws.com/doc/2012-11-05/">')
    assert field(text, "MessageId") == sent["MessageId"]
    assert field(text, "Body") == "hello"
    handle = field(text, "ReceiptHandle")
    status, _, answer = wire.json("DeleteMessage", QueueUrl=url, ReceiptHandle=handle)
    assert (status, answer) == (200, None)


def test_an_empty_receive(wire, url):
    assert wire.json("ReceiveMessage", QueueUrl=url)[2] == {}
    _, _, text = wire.query({"Action": "ReceiveMessage", "QueueUrl": url})
    assert "<ReceiveMessageResult></ReceiveMessageResult>" in text


def test_answers_without_output(wire, url):
    status, _, text = wire.query({"Action": "DeleteMessage", "QueueUrl": url, "ReceiptHandle": "x"})
    assert status == 404
    status, _, text = wire.query(
        {"Action": "TagQueue", "QueueUrl": url, "Tag.1.Key": "k", "Tag.1.Value": "v"}
    )
    assert status == 200
    assert re.fullmatch(
        '<TagQueueResponse xmlns="http://queue.amazonaws.com/doc/2012-11-05/"><ResponseMetadata><RequestId>'
        "[-0-9a-f]{36}</RequestId></ResponseMetadata></TagQueueResponse>",
        text,
    )


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_query_may_name_its_queue_by_the_path(wire, url, method):
    path = urllib.parse.urlsplit(url).path
    status, _, text = wire.query({"Action": "SendMessage", "MessageBody": "by path"}, path, method)
    assert status == 200, text
    status, _, text = wire.query({"Action": "ReceiveMessage", "AttributeName": "All"}, path, method)
    assert field(text, "Body") == "by path"
    assert "<Name>SentTimestamp</Name>" in text


def test_any_host_will_do_in_a_queue_url(wire, url):
    path = urllib.parse.urlsplit(url).path
    for other in (f"https://sqs.us-east-1.amazonaws.com{path}", f"http://sqs.us-east-1.localhost:4566{path}", path):
        assert wire.json("SendMessage", QueueUrl=other, MessageBody="x")[0] == 200


def test_errors_have_both_names(wire):
    gone = "http://127.0.0.1/000000000000/never"
    status, headers, answer = wire.json("SendMessage", QueueUrl=gone, MessageBody="x")
    assert status == 400
    assert headers["x-amzn-query-error"] == "AWS.SimpleQueueService.NonExistentQueue;Sender"
    assert answer == {
        "__type": "com.amazonaws.sqs#QueueDoesNotExist",
        "message": "The specified queue does not exist.",
    }
    status, headers, text = wire.query({"Action": "SendMessage", "QueueUrl": gone, "MessageBody": "x"})
    assert status == 400
    assert field(text, "Code") == "AWS.SimpleQueueService.NonExistentQueue"
    assert field(text, "Type") == "Sender"
    assert field(text, "Message") == "The specified queue does not exist for this wsdl version."
    assert "x-amzn-query-error" not in headers


@pytest.mark.parametrize(
    "operation, members, kind, code",
    [
        ("SendMessage", {}, "com.amazonaws.sqs#QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue"),
        ("CreateQueue", {}, "com.amazon.coral.service#MissingRequiredParameterException", "MissingParameter"),
        (
            "CreateQueue",
            {"QueueName": "a.b"},
            "com.amazon.coral.service#InvalidParameterValueException",
            "InvalidParameterValue",
        ),
        (
            "CreateQueue",
            {"QueueName": "q", "Attributes": {"Nonsense": "1"}},
            "com.amazonaws.sqs#InvalidAttributeName",
            "InvalidAttributeName",
        ),
        (
            "CreateQueue",
            {"QueueName": "q", "Attributes": {"DelaySeconds": "x"}},
            "com.amazonaws.sqs#InvalidAttributeValue",
            "InvalidAttributeValue",
        ),
        (
            "StartMessageMoveTask",
            {"SourceArn": "arn:aws:sqs:us-east-1:000000000000:never"},
            "com.amazonaws.sqs#ResourceNotFoundException",
            "ResourceNotFoundException",
        ),
        ("Nonsense", {}, "com.amazon.coral.service#UnknownOperationException", "InvalidAction"),
    ],
)
def test_kinds_of_errors(wire, operation, members, kind, code):
    _, headers, answer = wire.json(operation, **members)
    assert answer["__type"] == kind
    assert headers["x-amzn-query-error"] == f"{code};Sender"


def test_errors_of_batches(wire, url):
    answers = {
        "EmptyBatchRequest": [],
        "TooManyEntriesInBatchRequest": [{"Id": str(n), "MessageBody": "x"} for n in range(11)],
        "BatchEntryIdsNotDistinct": [{"Id": "a", "MessageBody": "x"}] * 2,
        "InvalidBatchEntryId": [{"Id": "", "MessageBody": "x"}],
    }
    for name, entries in answers.items():
        status, headers, answer = wire.json("SendMessageBatch", QueueUrl=url, Entries=entries)
        assert status == 400
        assert answer["__type"] == f"com.amazonaws.sqs#{name}"
        assert headers["x-amzn-query-error"] == f"AWS.SimpleQueueService.{name};Sender"


def test_required_members(wire, url):
    for operation, members, missing in [
        ("SendMessage", {}, "MessageBody"),
        ("DeleteMessage", {}, "ReceiptHandle"),
        ("ChangeMessageVisibility", {"VisibilityTimeout": 1}, "ReceiptHandle"),
        ("ChangeMessageVisibility", {"ReceiptHandle": "x"}, "VisibilityTimeout"),
        ("AddPermission", {}, "Label"),
        ("RemovePermission", {}, "Label"),
    ]:
        _, headers, answer = wire.json(operation, QueueUrl=url, **members)
        assert answer["message"] == f"The request must contain the parameter {missing}.", operation
        assert headers["x-amzn-query-error"] == "MissingParameter;Sender"


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{", '"x"', '{"QueueName": 1}', '{"QueueName": {}}', '{"Attributes": []}',
        "\ud800".encode("utf-8", "surrogatepass"),
    ],
)
def test_what_is_no_json(wire, text):
    status, headers, answer = wire.json_text("CreateQueue", text)
    assert status == 400
    if text != "":
        assert answer["__type"] == "com.amazon.coral.service#SerializationException"
        assert headers["x-amzn-query-error"] == "MalformedInput;Sender"


def test_what_is_no_query(wire, url):
    status, _, text = wire.query({"Action": "Nonsense", "QueueUrl": url})
    assert status >= 400
    status, _, text = wire.query({"Action": "ReceiveMessage", "QueueUrl": url, "MaxNumberOfMessages": "many"})
    assert (status, field(text, "Code")) == (400, "MalformedInput")
    status, _, text = wire.query({"Action": "SetQueueAttributes", "QueueUrl": url, "Attribute.1.Value": "x"})
    assert status == 400
    status, _, text = wire.send(
        "Action=SendMessage&MessageBody=%FF&QueueUrl=" + urllib.parse.quote(url),
        {"content-type": "application/x-www-form-urlencoded"},
    )
    assert (status, field(text, "Code")) == (400, "InvalidMessageContents")


def test_numbers_of_list_items_may_have_holes(wire, url):
    status, _, text = wire.query(
        {
            "Action": "SendMessageBatch",
            "QueueUrl": url,
            "SendMessageBatchRequestEntry.7.Id": "b",
            "SendMessageBatchRequestEntry.7.MessageBody": "two",
            "SendMessageBatchRequestEntry.2.Id": "a",
            "SendMessageBatchRequestEntry.2.MessageBody": "one",
        }
    )
    assert status == 200
    assert re.findall("<Id>(.*?)</Id>", text) == ["a", "b"]


def test_a_large_message_in_its_longest_form(wire, url):
    status, headers, answer = wire.json_text(
        "SendMessage", '{"QueueUrl":"' + url + '","MessageBody":"' + "\\u0041" * (1024 * 1024) + '"}'
    )
    assert status == 200, answer


def test_a_body_that_is_too_large_is_refused_unread(wire):
    connection = http.client.HTTPConnection("127.0.0.1", wire.hearth.port, timeout=120)
    connection.putrequest("POST", "/")
    connection.putheader("x-amz-target", "AmazonSQS.SendMessage")
    connection.putheader("content-length", str(9 * 1024 * 1024))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_control_characters_in_xml_answers(wire, url):
    wire.json("SendMessage", QueueUrl=url, MessageBody="a\r\nb\t<c>")
    _, _, text = wire.query({"Action": "ReceiveMessage", "QueueUrl": url})
    assert field(text, "Body") == "a&#xD;\nb\t&lt;c&gt;"
