"""Following a group: the aws command's tail, and Hearth's own stream."""

import json
import subprocess
import threading

import hearth_up
from logs_test_support import put


def test_aws_logs_tail_follows(hearth, logs, group, stream, now_ms):
    put(logs, group, stream, [(now_ms, "first line")])
    tail = subprocess.Popen(
        [
            hearth_up.AWS, "--endpoint-url", hearth.endpoint, "logs", "tail", group,
            "--follow", "--since", "10m", "--format", "short",
        ],
        env=dict(hearth.aws_environment(), PYTHONUNBUFFERED="1"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    kill = threading.Timer(120, tail.kill)
    kill.start()
    try:
        assert "first line" in tail.stdout.readline()
        put(logs, group, stream, [(now_ms + 1, "second line")])
        assert "second line" in tail.stdout.readline()
    finally:
        kill.cancel()
        tail.kill()
        tail.wait()


def follow(hearth, query):
    return hearth.get(f"/_hearth/logs?{query}", timeout=60)


def test_own_stream_is_pushed(hearth, logs, group, stream, now_ms):
    put(logs, group, stream, [(now_ms, "one"), (now_ms, "two")])
    with follow(hearth, f"group={group}&follow=1") as answer:
        assert json.loads(answer.readline()) == {
            "timestamp": now_ms, "stream": stream, "message": "one",
        }
        assert json.loads(answer.readline())["message"] == "two"
        put(logs, group, stream, [(now_ms + 1, "three")])
        assert json.loads(answer.readline())["message"] == "three"
        # Late, but not lost.
        put(logs, group, stream, [(now_ms - 1, "late")])
        assert json.loads(answer.readline())["message"] == "late"


def test_own_stream_without_following(hearth, logs, group, stream, now_ms):
    put(logs, group, stream, [(now_ms, "a 1"), (now_ms + 1, "b 2"), (now_ms + 2, "a 3")])
    with follow(hearth, f"group={group}&filter=a&since={now_ms + 1}") as answer:
        assert [json.loads(line)["message"] for line in answer] == ["a 3"]


def test_a_group_that_is_not_there_yet_is_waited_for(hearth, logs, unique, now_ms):
    name = unique("/test/later")
    with follow(hearth, f"group={name}&follow=1") as answer:
        logs.create_log_group(logGroupName=name)
        logs.create_log_stream(logGroupName=name, logStreamName="s")
        put(logs, name, "s", [(now_ms, "hello")])
        assert json.loads(answer.readline())["message"] == "hello"
    logs.delete_log_group(logGroupName=name)
