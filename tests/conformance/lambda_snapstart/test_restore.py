"""What a function and its owner see of environments that go on from a snapshot."""

import concurrent.futures
import json
import os
import re

import pytest

import deployed
from conftest import images, log_lines

LEAVE = """
import os
def leave(event):
    if event.get("leave"):
        os._exit(7)
"""
LEAVE_JS = "const leave = (event) => { if (event.leave) process.exit(7); };\n"

PYTHON = LEAVE + """
import sys, time
print("init")
STARTED = time.time()
calls = 0
def handler(event, context):
    global calls
    leave(event)
    calls += 1
    print("handler")
    return {"calls": calls, "environment": dict(os.environ), "started": STARTED,
            "stream": context.log_stream_name, "pid": os.getpid()}
"""


def test_logs_as_text(hearth, publish):
    version = publish(PYTHON)
    call = version.invoke()
    assert call.json()["calls"] == 1
    number = r"\d+\.\d\d ms"
    assert re.search(
        rf"\tMax Memory Used: \d+ MB\tRestore Duration: {number}\tBilled Restore Duration: \d+ ms\t?\n", call.log
    )
    assert "Init Duration" not in call.log
    again = version.invoke()
    assert again.json()["calls"] == 2
    assert again.json()["started"] == call.json()["started"]
    assert "Restore Duration" not in again.log
    streams = [
        [event["message"].rstrip("\n") for event in found]
        for found in streams_of(hearth, version.name)
    ]
    saved, restored = sorted(streams, key=len)
    # The init has a stream of its own; clones have theirs.
    assert saved[0].startswith("INIT_START Runtime Version: ")
    assert saved[1:] == ["init"]
    assert restored[0].startswith("RESTORE_START Runtime Version: ")
    assert "Runtime Version ARN: arn:aws:lambda:us-east-1::runtime:" in restored[0]
    assert re.fullmatch(rf"RESTORE_REPORT Restore Duration: {number}", restored[1])
    assert restored[2].startswith("START RequestId: ")
    assert "init" not in restored


def streams_of(hearth, name):
    logs = hearth.client("logs")
    group = f"/aws/lambda/{name}"
    for stream in logs.describe_log_streams(logGroupName=group)["logStreams"]:
        yield logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True)[
            "events"
        ]


def test_logs_as_json(hearth, client, publish):
    version = publish(PYTHON, Environment={"Variables": {"MINE": "1"}})
    # Debian's boto3 does not know LoggingConfig.
    done = hearth.get(
        f"/2015-03-31/functions/{version.name}/configuration",
        "PUT",
        json.dumps({"LoggingConfig": {"LogFormat": "JSON"}}).encode(),
        {
            "Authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/lambda/aws4_request, "
            "SignedHeaders=host, Signature=0",
            "X-Amz-Date": "20260101T000000Z",
        },
    )
    assert done.status == 200
    version.number = client.publish_version(FunctionName=version.name)["Version"]
    assert version.settled()["SnapStart"]["OptimizationStatus"] == "On"
    assert version.invoke().json()["calls"] == 1
    events = [json.loads(line) for line in log_lines(hearth, version.name) if line.startswith("{")]
    found = {event["type"]: event["record"] for event in events if "record" in event}
    assert found["platform.initStart"]["initializationType"] == "snap-start"
    start = found["platform.restoreStart"]
    assert (start["functionName"], start["functionVersion"]) == (version.name, version.number)
    report = found["platform.restoreReport"]
    assert report["status"] == "success" and report["metrics"]["durationMs"] > 0
    metrics = found["platform.report"]["metrics"]
    assert metrics["restoreDurationMs"] == report["metrics"]["durationMs"]
    assert metrics["billedRestoreDurationMs"] >= metrics["restoreDurationMs"]
    assert "initDurationMs" not in metrics


def test_environment(publish):
    version = publish(PYTHON, Environment={"Variables": {"MINE": "x"}})
    answer = version.invoke().json()
    environment = answer["environment"]
    assert environment["AWS_LAMBDA_INITIALIZATION_TYPE"] == "snap-start"
    assert (environment["MINE"], environment["AWS_LAMBDA_FUNCTION_VERSION"]) == ("x", "1")
    # As on AWS: what differs from clone to clone is not in the environment.
    for absent in (
        "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
        "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME",
    ):
        assert absent not in environment
    assert environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"].startswith("http://127.0.0.1:")
    assert environment["AWS_CONTAINER_AUTHORIZATION_TOKEN"]
    assert answer["stream"] is None


def test_credentials_in_python(publish):
    version = publish(LEAVE + """
import boto3
sts = boto3.client("sts")
def handler(event, context):
    leave(event)
    found = boto3.Session().get_credentials().get_frozen_credentials()
    return {"arn": sts.get_caller_identity()["Arn"], "key": found.access_key}
""")
    calls = [version.clone().json() for _ in range(3)]
    assert {call["arn"] for call in calls} == {f"arn:aws:sts::000000000000:assumed-role/test/{version.name}"}
    assert len({call["key"] for call in calls}) == 3, "each clone has credentials of its own"


def test_credentials_in_node(publish):
    version = publish(LEAVE_JS + """
const { STSClient, GetCallerIdentityCommand } = require('@aws-sdk/client-sts');
const sts = new STSClient({});
exports.handler = async (event) => {
  leave(event);
  const answer = await sts.send(new GetCallerIdentityCommand({}));
  return { arn: answer.Arn, key: (await sts.config.credentials()).accessKeyId };
};
""", runtime="nodejs20.x", handler="index.handler")
    settled = version.configuration()
    if "ImportModuleError" in settled.get("StateReason", ""):
        pytest.skip("this build's Node runtime has no SDK (npm was not reachable)")
    assert settled["SnapStart"]["OptimizationStatus"] == "On"
    calls = [version.clone().json() for _ in range(2)]
    assert {call["arn"] for call in calls} == {f"arn:aws:sts::000000000000:assumed-role/test/{version.name}"}
    assert len({call["key"] for call in calls}) == 2


def test_hooks_in_python(publish):
    version = publish(LEAVE + """
from snapshot_restore_py import register_after_restore, register_before_snapshot
said = []
register_before_snapshot(said.append, "before")
register_before_snapshot(said.append, "before, registered last")
register_after_restore(said.append, "after")
@register_after_restore
def last():
    said.append("after, registered last")
def handler(event, context):
    leave(event)
    return said
""")
    expected = ["before, registered last", "before", "after", "after, registered last"]
    assert [version.clone().json() for _ in range(2)] == [expected] * 2


def test_hooks_in_node(publish):
    version = publish(LEAVE_JS + """
const said = [];
awslambda.registerBeforeSnapshot(async () => { said.push('before'); });
awslambda.registerBeforeSnapshot(() => { said.push('before, registered last'); });
awslambda.registerAfterRestore(() => { said.push('after'); });
awslambda.registerAfterRestore(async () => { said.push('after, registered last'); });
exports.handler = async (event) => { leave(event); return said; };
""", runtime="nodejs20.x", handler="index.handler")
    expected = ["before, registered last", "before", "after", "after, registered last"]
    assert [version.clone().json() for _ in range(2)] == [expected] * 2


AFTER_HOOKS = {
    "python": ("""
from snapshot_restore_py import register_after_restore
import time
@register_after_restore
def hook():
    %s
def handler(event, context):
    return 1
""", {}, "raise ValueError('not today')", "time.sleep(3600)"),
    "node": ("""
awslambda.registerAfterRestore(async () => { %s });
exports.handler = async () => 1;
""", {"runtime": "nodejs20.x", "handler": "index.handler"},
        "throw new TypeError('not today')", "await new Promise((done) => setTimeout(done, 3600000))"),
}


@pytest.mark.parametrize("language", AFTER_HOOKS)
def test_a_hook_that_fails_after_the_restore(hearth, client, publish, language):
    source, settings, failing, _ = AFTER_HOOKS[language]
    version = publish(source % failing, **settings)
    assert version.configuration()["SnapStart"]["OptimizationStatus"] == "On"
    for _ in range(2):
        with pytest.raises(client.exceptions.ClientError) as refused:
            version.invoke()
        answer = refused.value.response
        assert answer["Error"]["Code"] == "SnapStartException"
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 400
    lines = log_lines(hearth, version.name)
    assert any("not today" in line for line in lines)
    kind = "ValueError" if language == "python" else "TypeError"
    reports = [line for line in lines if line.startswith("RESTORE_REPORT")]
    assert len(reports) == 2
    for report in reports:
        assert f"\tStatus: error\tError Type: {kind}" in report


def test_a_hook_that_takes_too_long(hearth, client, publish):
    """AWS allows 10 seconds, whatever the function's timeout is."""
    versions = [publish(AFTER_HOOKS[language][0] % AFTER_HOOKS[language][3], **AFTER_HOOKS[language][1])
                for language in AFTER_HOOKS]

    def refusal(version):
        with pytest.raises(client.exceptions.ClientError) as refused:
            version.invoke()
        return refused.value.response

    with concurrent.futures.ThreadPoolExecutor() as pool:
        answers = list(pool.map(refusal, versions))
    for version, answer in zip(versions, answers):
        assert answer["Error"]["Code"] == "SnapStartTimeoutException"
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 408
        report = [line for line in log_lines(hearth, version.name) if line.startswith("RESTORE_REPORT")]
        assert len(report) == 1 and "\tStatus: timeout" in report[0]


def test_runtimes_of_ones_own(publish):
    """Frozen in invocation/next: such a runtime need not know of snapshots."""
    version = publish(
        {"bootstrap": deployed.program("echo-bootstrap")}, runtime="provided.al2023", handler="echo"
    )
    assert version.configuration()["SnapStart"]["OptimizationStatus"] == "On"
    call = version.invoke({"a": [1, 2]})
    assert call.json() == {"a": [1, 2]}
    assert "Restore Duration" in call.log


def test_files_in_tmp(publish):
    """They are part of the snapshot; each clone has its own copy."""
    version = publish(LEAVE + """
import stat
os.makedirs("/tmp/a/b")
with open("/tmp/a/b/file", "w") as file:
    file.write("saved" * 100_000)
os.utime("/tmp/a/b/file", (10**9, 10**9))
os.chmod("/tmp/a/b/file", 0o640)
os.symlink("b/file", "/tmp/a/link")
os.symlink("/etc", "/tmp/out")
os.mkdir("/tmp/closed")
os.chmod("/tmp/closed", 0)
OPEN = open("/tmp/open", "w+")
OPEN.write("one,")
OPEN.flush()
os.utime("/tmp/a", (10**9, 10**9))
def handler(event, context):
    leave(event)
    facts = os.stat("/tmp/a/b/file")
    OPEN.write("two")
    OPEN.flush()
    answer = {
        "names": sorted(os.listdir("/tmp")),
        "content": open("/tmp/a/link").read() == "saved" * 100_000,
        "facts": [facts.st_mtime, stat.S_IMODE(facts.st_mode), facts.st_uid == os.getuid()],
        "folder": os.stat("/tmp/a").st_mtime,
        "link": os.readlink("/tmp/out"),
        "closed": stat.S_IMODE(os.stat("/tmp/closed").st_mode),
        "open": open("/tmp/open").read(),
    }
    open("/tmp/mine", "w").close()
    open("/tmp/a/b/file", "w").close()
    return answer
""")
    assert version.configuration()["SnapStart"]["OptimizationStatus"] == "On"
    for _ in range(2):
        assert version.clone().json() == {
            "names": ["a", "closed", "open", "out"],
            "content": True,
            "facts": [1e9, 0o640, True],
            "folder": 1e9,
            "link": "/etc",
            "closed": 0,
            "open": "one,two",
        }


def test_secrets_of_one_clone_stay_there(hearth, publish):
    """Neither the image nor another clone ever holds what one clone was given."""
    version = publish(LEAVE + """
import re
kept = []
def memory():
    with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as mem:
        for line in maps:
            ends, rights = line.split()[:2]
            start, end = (int(part, 16) for part in ends.split("-"))
            if rights.startswith("r") and "[v" not in line:
                try:
                    mem.seek(start)
                    yield mem.read(end - start)
                except OSError:
                    pass
def handler(event, context):
    leave(event)
    if "secret" in event:
        kept.append(event["secret"] + "planted")
        open("/tmp/secret", "w").write(kept[0])
        return len(kept)
    # A pattern that does not look like what it finds.
    wanted = re.compile(event["pattern"].encode())
    return {"found": any(wanted.search(part) for part in memory()), "tmp": os.listdir("/tmp")}
""", MemorySize=512)
    secret = "k7Qz" * 8
    assert version.clone({"secret": secret}).json() == 1
    pattern = {"pattern": "(?:k[7]Qz){8}planted"}
    assert version.clone(pattern).json() == {"found": False, "tmp": []}
    # The search finds what is there.
    assert version.invoke({"secret": secret}).json() == 1
    assert version.invoke(pattern).json() == {"found": True, "tmp": ["secret"]}
    for image in images(hearth):
        with open(os.path.join(hearth.data, "snapshots", image), "rb") as file:
            assert secret.encode() not in file.read()
