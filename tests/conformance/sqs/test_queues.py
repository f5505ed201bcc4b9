"""Queues as boto3 of Debian sees them, which speaks the query protocol."""

import json

import pytest

HEARTH_OPTIONS = ("--test-clock",)
NON_EXISTENT = "AWS.SimpleQueueService.NonExistentQueue"
ACCOUNT = "000000000000"


def advance(hearth, by):
    with hearth.get(f"/_hearth/clock/advance?by={by}", "POST", b"") as answer:
        return json.load(answer)


def attributes_of(sqs, url, *names):
    return sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(names or ("All",))).get("Attributes", {})


def test_a_url_begins_with_the_endpoint_and_names_account_and_queue(hearth, sqs, unique):
    name = unique("q")
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    assert url == f"{hearth.endpoint}/{ACCOUNT}/{name}"
    assert sqs.get_queue_url(QueueName=name)["QueueUrl"] == url
    assert sqs.get_queue_url(QueueName=name, QueueOwnerAWSAccountId=ACCOUNT)["QueueUrl"] == url


def test_attributes_of_a_new_queue(sqs, queue):
    shown = attributes_of(sqs, queue)
    created = int(shown.pop("CreatedTimestamp"))
    assert created == int(shown.pop("LastModifiedTimestamp")) > 1_700_000_000
    assert shown == {
        "ApproximateNumberOfMessages": "0",
        "ApproximateNumberOfMessagesDelayed": "0",
        "ApproximateNumberOfMessagesNotVisible": "0",
        "DelaySeconds": "0",
        "MaximumMessageSize": "1048576",
        "MessageRetentionPeriod": "345600",
        "QueueArn": f"arn:aws:sqs:us-east-1:{ACCOUNT}:{queue.rsplit('/', 1)[1]}",
        "ReceiveMessageWaitTimeSeconds": "0",
        "SqsManagedSseEnabled": "true",
        "VisibilityTimeout": "30",
    }
    assert attributes_of(sqs, queue, "VisibilityTimeout", "Policy") == {"VisibilityTimeout": "30"}
    assert "Attributes" not in sqs.get_queue_attributes(QueueUrl=queue)


def test_the_same_queue_may_be_made_again(sqs, unique, fails):
    name = unique("q")
    url = sqs.create_queue(QueueName=name, Attributes={"DelaySeconds": "5"})["QueueUrl"]
    assert sqs.create_queue(QueueName=name, Attributes={"DelaySeconds": "5"})["QueueUrl"] == url
    assert sqs.create_queue(QueueName=name, Attributes={"DelaySeconds": "05"})["QueueUrl"] == url
    assert sqs.create_queue(QueueName=name)["QueueUrl"] == url
    with fails("QueueAlreadyExists", "different value for attribute DelaySeconds"):
        sqs.create_queue(QueueName=name, Attributes={"DelaySeconds": "6"})
    with fails("QueueAlreadyExists", "different value for attribute VisibilityTimeout"):
        sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "31"})


@pytest.mark.parametrize("name", ["a.b", "a b", "x" * 81, "ä", "q.fifo", "a/b"])
def test_names_are_checked(sqs, fails, name):
    with fails("InvalidParameterValue", "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in"):
        sqs.create_queue(QueueName=name)


def test_names_of_fifo_queues_end_with_fifo(sqs, fails, unique):
    with fails("InvalidParameterValue", "must end with .fifo suffix"):
        sqs.create_queue(QueueName=unique("q"), Attributes={"FifoQueue": "true"})
    with fails("InvalidParameterValue", "must end with .fifo suffix"):
        sqs.create_queue(QueueName="x" * 76 + ".fifo", Attributes={"FifoQueue": "true"})


@pytest.mark.parametrize(
    "name, value",
    [
        ("DelaySeconds", "901"),
        ("DelaySeconds", "-1"),
        ("VisibilityTimeout", "43201"),
        ("MessageRetentionPeriod", "59"),
        ("MessageRetentionPeriod", "1209601"),
        ("MaximumMessageSize", "1023"),
        ("MaximumMessageSize", "1048577"),
        ("ReceiveMessageWaitTimeSeconds", "21"),
        ("ReceiveMessageWaitTimeSeconds", "many"),
        ("SqsManagedSseEnabled", "perhaps"),
        ("Policy", "{}"),
    ],
)
def test_values_are_checked(sqs, queue, fails, unique, name, value):
    with fails("InvalidAttributeValue", f"Invalid value for the parameter {name}."):
        sqs.set_queue_attributes(QueueUrl=queue, Attributes={name: value})
    with fails("InvalidAttributeValue", f"Invalid value for the parameter {name}."):
        sqs.create_queue(QueueName=unique("q"), Attributes={name: value})


@pytest.mark.parametrize("name", ["Nonsense", "QueueArn", "ApproximateNumberOfMessages", "All", "FifoQueue"])
def test_what_cannot_be_set(sqs, queue, fails, name):
    with fails("InvalidAttributeName", f"Unknown Attribute {name}."):
        sqs.set_queue_attributes(QueueUrl=queue, Attributes={name: "1"})


def test_unknown_attributes_cannot_be_asked_for(sqs, queue, fails):
    with fails("InvalidAttributeName", "Unknown Attribute Nonsense."):
        attributes_of(sqs, queue, "Nonsense")


def test_attributes_are_set_and_kept(sqs, queue):
    wanted = {
        "DelaySeconds": "1",
        "MaximumMessageSize": "2048",
        "MessageRetentionPeriod": "60",
        "ReceiveMessageWaitTimeSeconds": "2",
        "VisibilityTimeout": "3",
        "SqsManagedSseEnabled": "false",
    }
    sqs.set_queue_attributes(QueueUrl=queue, Attributes=wanted)
    assert attributes_of(sqs, queue, *wanted) == wanted


def test_fifo_attributes(sqs, make_queue, fails):
    url = make_queue(fifo=True)
    shown = attributes_of(sqs, url)
    fifo = ("FifoQueue", "ContentBasedDeduplication", "DeduplicationScope", "FifoThroughputLimit")
    assert [shown[name] for name in fifo] == ["true", "false", "queue", "perQueue"]
    sqs.set_queue_attributes(
        QueueUrl=url,
        Attributes={
            "ContentBasedDeduplication": "true",
            "DeduplicationScope": "messageGroup",
            "FifoThroughputLimit": "perMessageGroupId",
        },
    )
    assert [attributes_of(sqs, url)[name] for name in fifo] == ["true", "true", "messageGroup", "perMessageGroupId"]
    with fails("InvalidAttributeValue", "Modifying queue type is not supported."):
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"FifoQueue": "false"})


def test_encryption_with_kms_is_refused_and_not_ignored(sqs, queue, fails):
    with fails("NotImplemented", "KmsMasterKeyId"):
        sqs.set_queue_attributes(QueueUrl=queue, Attributes={"KmsMasterKeyId": "alias/aws/sqs"})
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"KmsMasterKeyId": ""})


def test_deleted_queues_are_gone_and_their_names_rest_for_a_minute(hearth, sqs, queue, fails):
    name = queue.rsplit("/", 1)[1]
    sqs.delete_queue(QueueUrl=queue)
    with fails(NON_EXISTENT, "The specified queue does not exist"):
        sqs.get_queue_url(QueueName=name)
    with fails(NON_EXISTENT):
        sqs.send_message(QueueUrl=queue, MessageBody="x")
    with fails(NON_EXISTENT):
        sqs.delete_queue(QueueUrl=queue)
    with fails("AWS.SimpleQueueService.QueueDeletedRecently", "You must wait 60 seconds after deleting a queue"):
        sqs.create_queue(QueueName=name)
    advance(hearth, "61s")
    assert sqs.create_queue(QueueName=name)["QueueUrl"] == queue


def test_lists_have_prefixes_and_pages(hearth, unique):
    # Another region has queues of its own.
    sqs = hearth.client("sqs", region="eu-north-1")
    prefix = unique("listed")
    urls = sorted(sqs.create_queue(QueueName=f"{prefix}-{n}")["QueueUrl"] for n in range(5))
    assert sqs.list_queues(QueueNamePrefix=prefix)["QueueUrls"] == urls
    assert sqs.list_queues()["QueueUrls"] == urls
    assert "QueueUrls" not in sqs.list_queues(QueueNamePrefix="none")
    seen, token = [], None
    while True:
        more = {"NextToken": token} if token else {}
        page = sqs.list_queues(QueueNamePrefix=prefix, MaxResults=2, **more)
        assert len(page["QueueUrls"]) <= 2
        seen += page["QueueUrls"]
        token = page.get("NextToken")
        if not token:
            break
    assert seen == urls


def test_lists_are_checked(sqs, fails):
    with fails("InvalidParameterValue", "MaxResults"):
        sqs.list_queues(MaxResults=1001)
    with fails("InvalidParameterValue", "token"):
        sqs.list_queues(MaxResults=1, NextToken="%%%")


def test_a_queue_of_another_account_is_closed(hearth, sqs, queue, fails):
    stranger = hearth.client("sqs", "111111111111", "secret")
    with fails("AccessDenied", "denied"):
        stranger.send_message(QueueUrl=queue, MessageBody="x")
    with fails("AccessDenied"):
        stranger.delete_queue(QueueUrl=queue)
    with fails("AccessDenied"):
        stranger.get_queue_url(QueueName=queue.rsplit("/", 1)[1], QueueOwnerAWSAccountId=ACCOUNT)
    with fails(NON_EXISTENT):
        stranger.get_queue_url(QueueName=queue.rsplit("/", 1)[1])


def test_permissions_open_a_queue_to_another_account(hearth, sqs, queue, arn_of, fails):
    stranger = hearth.client("sqs", "111111111111", "secret")
    sqs.add_permission(QueueUrl=queue, Label="in", AWSAccountIds=["111111111111"], Actions=["SendMessage"])
    arn = arn_of(queue)
    assert json.loads(attributes_of(sqs, queue, "Policy")["Policy"]) == {
        "Version": "2008-10-17",
        "Id": f"{arn}/SQSDefaultPolicy",
        "Statement": [
            {
                "Sid": "in",
                "Effect": "Allow",
                "Principal": {"AWS": "arn:aws:iam::111111111111:root"},
                "Action": "SQS:SendMessage",
                "Resource": arn,
            }
        ],
    }
    stranger.send_message(QueueUrl=queue, MessageBody="from outside")
    stranger.send_message_batch(QueueUrl=queue, Entries=[{"Id": "a", "MessageBody": "x"}])
    with fails("AccessDenied"):
        stranger.receive_message(QueueUrl=queue)
    sqs.remove_permission(QueueUrl=queue, Label="in")
    assert attributes_of(sqs, queue, "Policy") == {}
    with fails("AccessDenied"):
        stranger.send_message(QueueUrl=queue, MessageBody="x")


def test_permissions_are_checked(sqs, queue, fails):
    def add(label="l", accounts=("111111111111",), actions=("SendMessage",)):
        sqs.add_permission(QueueUrl=queue, Label=label, AWSAccountIds=list(accounts), Actions=list(actions))

    with fails("InvalidParameterValue", "Value SQS:CreateQueue for parameter ActionName is invalid. Reason: Only the"):
        add(actions=["CreateQueue"])
    with fails("InvalidParameterValue", "Please refer to the appropriate WSDL"):
        add(actions=["Nonsense"])
    with fails("InvalidParameterValue", "Value [12] for parameter PrincipalId is invalid. Reason: Unable to verify."):
        add(accounts=["12"])
    with fails("OverLimit", "8 Actions were found, maximum allowed is 7."):
        add(actions=["SendMessage"] * 8)
    add()
    with fails("InvalidParameterValue", "Value l for parameter Label is invalid. Reason: Already exists."):
        add()
    with fails("InvalidParameterValue", "can't find label"):
        sqs.remove_permission(QueueUrl=queue, Label="other")


def test_policies_are_kept_and_said_not_to_be_enforced(sqs, queue, arn_of):
    policy = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {"Effect": "Allow", "Principal": "*", "Action": "sqs:*", "Resource": arn_of(queue)},
            ],
        }
    )
    answer = sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
    assert answer["ResponseMetadata"]["HTTPHeaders"]["x-hearth-not-enforced"] == "policy"
    assert attributes_of(sqs, queue, "Policy") == {"Policy": policy}
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": ""})
    assert attributes_of(sqs, queue, "Policy") == {}


def test_tags(sqs, make_queue, fails):
    url = make_queue(tags={"team": "red"})
    assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"team": "red"}
    sqs.tag_queue(QueueUrl=url, Tags={"team": "blue", "empty": ""})
    assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"team": "blue", "empty": ""}
    sqs.untag_queue(QueueUrl=url, TagKeys=["team", "never"])
    sqs.untag_queue(QueueUrl=url, TagKeys=["empty"])
    assert "Tags" not in sqs.list_queue_tags(QueueUrl=url)
    sqs.tag_queue(QueueUrl=url, Tags={f"k{n}": "v" for n in range(50)})
    with fails("InvalidParameterValue", "Too many tags"):
        sqs.tag_queue(QueueUrl=url, Tags={"one-more": "v"})
    sqs.tag_queue(QueueUrl=url, Tags={"k1": "other"})
    with fails("InvalidParameterValue", "between 1 and 128"):
        sqs.tag_queue(QueueUrl=url, Tags={"k" * 129: "v"})


def test_redrive_policies(sqs, make_queue, redrive, arn_of, fails):
    dead, fifo_dead, source = make_queue(), make_queue(fifo=True), make_queue()

    def set_redrive(policy):
        sqs.set_queue_attributes(QueueUrl=source, Attributes={"RedrivePolicy": policy})

    set_redrive(redrive(dead, "3"))
    shown = attributes_of(sqs, source, "RedrivePolicy")["RedrivePolicy"]
    assert shown == json.dumps({"deadLetterTargetArn": arn_of(dead), "maxReceiveCount": 3}, separators=(",", ":"))
    assert sqs.list_dead_letter_source_queues(QueueUrl=dead)["queueUrls"] == [source]
    for policy, reason in [
        ("no", "it's not in JSON format"),
        (redrive(dead, 0), "Invalid value for maxReceiveCount: 0, valid values are from 1 to 1000 both inclusive."),
        (redrive(dead, 1001), "valid values are from 1 to 1000 both inclusive."),
        ("{}", "does not contain mandatory attribute"),
        (json.dumps({"deadLetterTargetArn": arn_of(dead) + "x", "maxReceiveCount": 1}), "target does not exist"),
        (redrive(fifo_dead), "must be same type of queue as the source"),
    ]:
        with fails("InvalidParameterValue", reason):
            set_redrive(policy)
    set_redrive("")
    assert attributes_of(sqs, source, "RedrivePolicy") == {}
    assert not sqs.list_dead_letter_source_queues(QueueUrl=dead).get("queueUrls")


def test_redrive_allow_policies(sqs, make_queue, redrive, arn_of, fails):
    dead, source = make_queue(), make_queue()

    def allow(**policy):
        sqs.set_queue_attributes(QueueUrl=dead, Attributes={"RedriveAllowPolicy": json.dumps(policy)})

    def use():
        sqs.set_queue_attributes(QueueUrl=source, Attributes={"RedrivePolicy": redrive(dead)})

    allow(redrivePermission="denyAll")
    with fails("InvalidParameterValue", "redrive allow policy"):
        use()
    allow(redrivePermission="byQueue", sourceQueueArns=[arn_of(source)])
    use()
    allow(redrivePermission="allowAll")
    use()
    with fails("InvalidParameterValue"):
        allow(redrivePermission="byQueue")
    with fails("InvalidParameterValue"):
        allow(redrivePermission="some")


def test_purging(hearth, sqs, queue, fails):
    sqs.send_message_batch(QueueUrl=queue, Entries=[{"Id": str(n), "MessageBody": "x"} for n in range(10)])
    sqs.receive_message(QueueUrl=queue)
    sqs.purge_queue(QueueUrl=queue)
    assert "Messages" not in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)
    assert attributes_of(sqs, queue, "ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible") == {
        "ApproximateNumberOfMessages": "0",
        "ApproximateNumberOfMessagesNotVisible": "0",
    }
    with fails("AWS.SimpleQueueService.PurgeQueueInProgress", "is allowed every 60 seconds") as refused:
        sqs.purge_queue(QueueUrl=queue)
    assert refused.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    advance(hearth, "61s")
    sqs.purge_queue(QueueUrl=queue)


def test_queues_survive_a_restart(hearth, sqs, queue):
    sqs.tag_queue(QueueUrl=queue, Tags={"kept": "yes"})
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "7"})
    hearth.stop(keep_data=True)
    hearth.start()
    assert attributes_of(sqs, queue, "VisibilityTimeout") == {"VisibilityTimeout": "7"}
    assert sqs.list_queue_tags(QueueUrl=queue)["Tags"] == {"kept": "yes"}
