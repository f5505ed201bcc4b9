"""Terraform: apply, an empty plan, a change, an empty plan, destroy.

By hand, because the provider is 700 MB: HEARTH_TERRAFORM_MIRROR names a directory that
`terraform providers mirror` filled with hashicorp/aws; without it, or without terraform, it is skipped.
"""

import io
import json
import os
import shutil
import subprocess
import zipfile

import hearth_up
import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
MIRROR = os.environ.get("HEARTH_TERRAFORM_MIRROR", "")

pytestmark = pytest.mark.skipif(
    not (shutil.which("terraform") and os.path.isdir(MIRROR)),
    reason="terraform and HEARTH_TERRAFORM_MIRROR are not both there",
)


def zip_of(name, content):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


def runner(hearth, tmp_path, folder):
    """Runs terraform on a copy of the folder; gives back what it printed."""
    shutil.copy(os.path.join(HERE, folder, "main.tf"), tmp_path)
    settings = tmp_path / "settings"
    settings.write_text(f'provider_installation {{ filesystem_mirror {{ path = "{MIRROR}" }} }}')
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "TF_CLI_CONFIG_FILE": str(settings),
        "TF_IN_AUTOMATION": "1",
        "TF_VAR_endpoint": hearth.endpoint,
    }

    def terraform(*arguments, status=0, **variables):
        done = subprocess.run(
            ["terraform", *arguments, "-no-color"],
            cwd=tmp_path,
            env={**environment, **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=5 * hearth_up.DEADLINE_S,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout

    return terraform


def test_life_of_a_stack(hearth, tmp_path):
    (tmp_path / "code.zip").write_bytes(
        zip_of("index.py", "import words\ndef handler(event, context):\n    return words.ANSWER\n")
    )
    (tmp_path / "layer.zip").write_bytes(zip_of("python/words.py", "ANSWER = 'by terraform'\n"))
    terraform = runner(hearth, tmp_path, "terraform")
    client = hearth.client("lambda")
    terraform("init")
    terraform("apply", "-auto-approve")
    # -detailed-exitcode: 0 is an empty plan, 2 one with changes.
    terraform("plan", "-detailed-exitcode")
    answer = client.invoke(FunctionName="terraform-function", Qualifier="live")
    assert json.loads(answer["Payload"].read()) == "by terraform"
    assert answer["ExecutedVersion"] == "1"
    host = terraform("output", "-raw", "url").split("/")[2]
    with hearth.get("/", headers={"Host": host}) as shown:
        assert shown.read() == b"by terraform"
    assert client.get_function_concurrency(FunctionName="terraform-function")["ReservedConcurrentExecutions"] == 10

    terraform("plan", "-detailed-exitcode", status=2, TF_VAR_timeout="9")
    terraform("apply", "-auto-approve", TF_VAR_timeout="9")
    terraform("plan", "-detailed-exitcode", TF_VAR_timeout="9")
    live = client.get_function_configuration(FunctionName="terraform-function", Qualifier="live")
    assert (live["Version"], live["Timeout"]) == ("2", 9)

    terraform("destroy", "-auto-approve", TF_VAR_timeout="9")
    assert client.list_functions()["Functions"] == []
    assert client.list_layers()["Layers"] == []


def test_life_of_buckets(hearth, tmp_path):
    terraform = runner(hearth, tmp_path, "terraform_s3")
    s3 = hearth.client("s3")
    terraform("init")
    terraform("apply", "-auto-approve")
    terraform("plan", "-detailed-exitcode")
    assert terraform("output", "-raw", "body") == "<h1>hello</h1>"
    listed = s3.list_objects_v2(Bucket="terraform-bucket")["Contents"]
    assert [entry["Key"] for entry in listed] == ["copied", "site/index with spaces+.html"]

    terraform("destroy", "-auto-approve")
    left = [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
    assert not {"terraform-bucket", "terraform-log"} & set(left)


WORKER = """
def handler(event, context):
    for record in event.get("Records", []):
        print("seen", record.get("s3", record))
"""


def test_life_of_queues_and_events(hearth, tmp_path):
    (tmp_path / "code.zip").write_bytes(zip_of("index.py", WORKER))
    terraform = runner(hearth, tmp_path, "terraform_messaging")
    changed = {
        "TF_VAR_batch_size": "3",
        "TF_VAR_visibility": "90",
        "TF_VAR_retries": "0",
        "TF_VAR_suffix": ".fq",
        "TF_VAR_enabled": "false",
    }
    queues, functions, s3 = (hearth.client(name) for name in ("sqs", "lambda", "s3"))
    terraform("init")
    terraform("apply", "-auto-approve")
    terraform("plan", "-detailed-exitcode")

    # What was applied works: the mapping empties the queue that the bucket fills, and the function's end is told.
    results = terraform("output", "-raw", "results")
    s3.put_object(Bucket="terraform-reads", Key="reads/a.fastq", Body=b"ACGT")
    hearth_up.wait_for(
        lambda: "reads/a.fastq" in hearth.hearth("logs", "terraform-worker", check=False).stdout,
        "the object in the log of the function",
    )
    functions.invoke(FunctionName="terraform-worker", InvocationType="Event", Payload=b"{}")
    told = queues.receive_message(QueueUrl=results, WaitTimeSeconds=20)["Messages"]
    assert json.loads(told[0]["Body"])["requestContext"]["condition"] == "Success"

    terraform("plan", "-detailed-exitcode", status=2, **changed)
    terraform("apply", "-auto-approve", **changed)
    terraform("plan", "-detailed-exitcode", **changed)
    reads = terraform("output", "-raw", "reads")
    attributes = queues.get_queue_attributes(QueueUrl=reads, AttributeNames=["VisibilityTimeout"])
    assert attributes["Attributes"] == {"VisibilityTimeout": "90"}
    (mapping,) = functions.list_event_source_mappings(
        EventSourceArn="arn:aws:sqs:us-east-1:000000000000:terraform-reads"
    )["EventSourceMappings"]
    assert (mapping["BatchSize"], mapping["State"]) == (3, "Disabled")

    terraform("destroy", "-auto-approve", **changed)
    assert "QueueUrls" not in queues.list_queues(QueueNamePrefix="terraform-")
    assert functions.list_event_source_mappings()["EventSourceMappings"] == []
