"""Mixed load on four loop threads of a cloud built with the thread sanitizer: it must find nothing.

Part of `./dev soak tsan`; needs `./dev build tsan`. HEARTH_SOAK_COUNT operations in all, from eight
callers; the seed is printed.
"""

import collections
import io
import json
import os
import random
import threading
import zipfile

import pytest

import function_url
import hearth_up
import streamed

BUILD = os.path.join(hearth_up.ROOT, "build", "tsan")
COUNT = int(os.environ.get("HEARTH_SOAK_COUNT", "200"))
SEED = int(os.environ.get("HEARTH_SEED", "1"))
CALLERS = 8
SUPPRESSIONS = os.path.join(hearth_up.TESTS, "soak", "tsan.supp")
TRUST = json.dumps({
    "Version": "2012-10-17",
    "Statement": [{
        "Effect": "Allow",
        "Principal": {"Service": "lambda.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }],
})


STREAM_MJS = """
export const h = awslambda.streamifyResponse(async (event, stream) => {
    for (let i = 0; i < 20; ++i) { stream.write("x".repeat(20000)); }
    stream.end();
});
"""
STREAM_BYTES = 400_000


def package(source, name="f.py"):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, source)
    return file.getvalue()


class Load:
    """Operations by name; each either succeeds or fails the test."""

    def __init__(self, hearth, caller, role):
        self.random = random.Random(SEED * 1000 + caller)
        self.caller = caller
        self.role = role
        self.hearth = hearth
        self.functions = hearth.client("lambda")
        self.sts = hearth.client("sts")
        self.iam = hearth.client("iam")
        self.logs = hearth.client("logs")
        self.s3 = hearth.client("s3")
        self.sqs = hearth.client("sqs")
        self.made = 0

    def shared(self):
        return f"shared{self.random.randrange(3)}"

    def invoke(self):
        answer = self.functions.invoke(
            FunctionName=self.shared(), Payload=b'{"a": 1}', LogType=self.random.choice(["None", "Tail"])
        )
        assert json.load(answer["Payload"]) == {"a": 1}

    def life_of_a_function(self):
        self.made += 1
        name = f"own{self.caller}-{self.made}"
        self.functions.create_function(
            FunctionName=name, Runtime="python3.11", Role=self.role, Handler="f.h",
            Code={"ZipFile": package(f"def h(event, context):\n    return {self.made}\n")},
        )
        answer = self.functions.invoke(FunctionName=name)
        assert json.load(answer["Payload"]) == self.made
        self.functions.update_function_configuration(FunctionName=name, Timeout=9)
        self.functions.delete_function(FunctionName=name)

    def publish(self):
        self.functions.publish_version(FunctionName=self.shared())

    def read(self):
        self.functions.list_functions()
        self.functions.get_function(FunctionName=self.shared())

    def identity(self):
        self.sts.get_caller_identity()
        self.sts.get_session_token()

    def users(self):
        self.made += 1
        name = f"user{self.caller}-{self.made}"
        self.iam.create_user(UserName=name)
        self.iam.list_users()
        self.iam.delete_user(UserName=name)

    def log_groups(self):
        self.logs.describe_log_groups()

    def stream(self):
        with streamed.Call(self.hearth, "flows") as call:
            got = 0
            # Some callers go away in the middle.
            wanted = self.random.choice([STREAM_BYTES, STREAM_BYTES, 1])
            for chunk in call:
                got += len(chunk)
                if got >= wanted:
                    break
            assert got >= wanted

    def url(self):
        answer = self.hearth.urls[0].call("/a?b=c", "POST", b'{"a": 1}')
        assert (answer.status, answer.json()["rawPath"]) == (200, "/a"), answer.body

    def streamed_url(self):
        answer = self.hearth.urls[1].call()
        assert (answer.status, len(answer.body)) == (200, STREAM_BYTES)

    def layers(self):
        made = self.functions.publish_layer_version(
            LayerName=f"layer{self.caller}", Content={"ZipFile": package("x = 1", "python/x.py")}
        )
        version = {"LayerName": f"layer{self.caller}", "VersionNumber": made["Version"]}
        self.functions.add_layer_version_permission(
            **version, StatementId="all", Principal="*", Action="lambda:GetLayerVersion"
        )
        self.functions.list_layers()
        self.functions.delete_layer_version(**version)

    def concurrency(self):
        name = {"FunctionName": f"shared{self.caller % 3}"}
        self.functions.put_function_concurrency(**name, ReservedConcurrentExecutions=50)
        self.functions.get_account_settings()
        self.functions.delete_function_concurrency(**name)

    def permissions(self):
        name = {"FunctionName": self.shared(), "StatementId": f"of{self.caller}"}
        self.functions.add_permission(**name, Action="lambda:InvokeFunction", Principal="s3.amazonaws.com")
        self.functions.remove_permission(**name)

    def objects(self):
        key = f"{self.caller}/{self.random.randrange(8)}"
        body = self.random.randbytes(self.random.choice([0, 100, 5_000, 300_000]))
        self.s3.put_object(Bucket="shared", Key=key, Body=body)
        assert self.s3.get_object(Bucket="shared", Key=key)["Body"].read() == body
        self.s3.copy_object(
            Bucket="shared", Key=f"{key}-copy", CopySource={"Bucket": "shared", "Key": key}
        )
        if self.random.random() < 0.5:
            self.s3.delete_object(Bucket="shared", Key=key)

    def contended_object(self):
        # Of all callers at once: whichever was last, it is whole.
        self.s3.put_object(Bucket="shared", Key="one", Body=bytes([65 + self.caller]) * 9_000)
        body = self.s3.get_object(Bucket="shared", Key="one")["Body"].read()
        assert len(body) == 9_000 and len(set(body)) == 1

    def parts(self):
        name = {"Bucket": "shared", "Key": f"parts{self.caller}"}
        upload = self.s3.create_multipart_upload(**name)["UploadId"]
        tag = self.s3.upload_part(**name, UploadId=upload, PartNumber=1, Body=b"p" * 70_000)["ETag"]
        if self.random.random() < 0.3:
            self.s3.abort_multipart_upload(**name, UploadId=upload)
            return
        self.s3.complete_multipart_upload(
            **name, UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": tag}]}
        )

    def object_lists(self):
        self.s3.list_objects_v2(Bucket="shared", Delimiter="/")
        self.s3.delete_objects(
            Bucket="shared", Delete={"Objects": [{"Key": f"{self.caller}/{n}"} for n in range(3)]}
        )
        self.s3.list_buckets()

    def messages(self):
        url = self.hearth.queues[self.random.choice(["plain", "ordered.fifo"])]
        more = {}
        if url.endswith(".fifo"):
            self.made += 1
            more = {
                "MessageGroupId": str(self.random.randrange(3)),
                "MessageDeduplicationId": f"{self.caller}-{self.made}",
            }
        self.sqs.send_message(QueueUrl=url, MessageBody="hello", **more)
        for message in self.sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=self.random.choice([0, 1])
        ).get("Messages", []):
            self.sqs.change_message_visibility(
                QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=30
            )
            self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

    def queues_life(self):
        self.made += 1
        url = self.sqs.create_queue(QueueName=f"own{self.caller}-{self.made}")["QueueUrl"]
        self.sqs.send_message(QueueUrl=url, MessageBody="hello", DelaySeconds=1)
        self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
        self.sqs.purge_queue(QueueUrl=url)
        self.sqs.delete_queue(QueueUrl=url)

    def work(self):
        # A mapping takes it from there.
        self.sqs.send_message_batch(
            QueueUrl=self.hearth.queues["work"],
            Entries=[{"Id": str(n), "MessageBody": "{}"} for n in range(10)],
        )

    def event(self):
        self.functions.invoke(FunctionName=self.shared(), InvocationType="Event", Payload=b"{}")

    def own_endpoints(self):
        assert self.hearth.get("/_hearth/metrics").status == 200


OPERATIONS = [
    "invoke", "invoke", "invoke", "life_of_a_function", "publish", "read", "identity", "users",
    "log_groups", "own_endpoints", "stream", "stream", "url", "url", "streamed_url", "layers",
    "concurrency", "permissions", "objects", "objects", "objects", "contended_object", "parts",
    "object_lists", "messages", "messages", "messages", "queues_life", "work", "event",
]


def make_queues(hearth):
    """Queues for everyone; one feeds a function, one is told of new objects."""
    sqs = hearth.client("sqs")
    hearth.queues = {}
    for name, attributes in {
        "plain": {}, "ordered.fifo": {"FifoQueue": "true"}, "work": {}, "news": {},
    }.items():
        hearth.queues[name] = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    arn = {
        name: sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        for name, url in hearth.queues.items()
    }
    hearth.client("lambda").create_event_source_mapping(
        EventSourceArn=arn["work"], FunctionName="shared0", BatchSize=5
    )
    s3 = hearth.client("s3")
    s3.create_bucket(Bucket="shared")
    s3.put_bucket_notification_configuration(
        Bucket="shared",
        NotificationConfiguration={
            "QueueConfigurations": [{"QueueArn": arn["news"], "Events": ["s3:ObjectCreated:*"]}]
        },
    )


@pytest.mark.timeout(0)
def test_no_data_race_under_mixed_load():
    if not os.path.exists(os.path.join(BUILD, "hearth-cloud")):
        pytest.skip("build/tsan is not there: ./dev build tsan")
    print(f"{COUNT} operations, seed {SEED}")
    environment = {
        "TSAN_OPTIONS": f"halt_on_error=0 exitcode=0 history_size=4 suppressions={SUPPRESSIONS}"
    }
    options = ["--threads", "4", "--tls", "self"]
    with hearth_up.Hearth(
        build=BUILD, options=options, tls=True, environment=environment
    ) as hearth:
        role = hearth.client("iam").create_role(
            RoleName="runs-functions", AssumeRolePolicyDocument=TRUST
        )["Role"]["Arn"]
        for number in range(3):
            hearth.client("lambda").create_function(
                FunctionName=f"shared{number}", Runtime="python3.11", Role=role, Handler="f.h",
                Code={"ZipFile": package("def h(event, context):\n    print('hi')\n    return event\n")},
            )
        client = hearth.client("lambda")
        client.create_function(
            FunctionName="flows", Runtime="nodejs20.x", Role=role, Handler="f.h",
            Code={"ZipFile": package(STREAM_MJS, "f.mjs")},
        )
        make_queues(hearth)
        hearth.urls = [
            function_url.public(hearth, client, "shared0"),
            function_url.public(hearth, client, "flows", InvokeMode="RESPONSE_STREAM"),
        ]
        left = iter(range(COUNT))
        lock = threading.Lock()
        done, failures = collections.Counter(), []

        def call(caller):
            load = Load(hearth, caller, role)
            while not failures:
                with lock:
                    if next(left, None) is None:
                        return
                operation = load.random.choice(OPERATIONS)
                try:
                    getattr(load, operation)()
                    done[operation] += 1
                except Exception as error:  # noqa: BLE001  (whatever it is, the main thread tells)
                    failures.append(f"{operation}: {error!r}")

        callers = [threading.Thread(target=call, args=(number,)) for number in range(CALLERS)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        print(dict(done))
        status = hearth.stop(keep_data=True)
        log = hearth.log()
        at = log.find("WARNING: ThreadSanitizer")
    assert at < 0, log[at : at + 8000]
    assert failures == []
    assert status == 0
