"""Retention, seen by moving the cloud's clock."""

import json

from logs_test_support import messages, put

HEARTH_OPTIONS = ("--test-clock",)


def advance(hearth, by):
    with hearth.get(f"/_hearth/clock/advance?by={by}", "POST", b"") as answer:
        return json.load(answer)


def test_retention_deletes(hearth, logs, group, stream, now_ms):
    put(logs, group, stream, [(now_ms, "first")])
    logs.put_retention_policy(logGroupName=group, retentionInDays=1)
    assert messages(logs.filter_log_events(logGroupName=group)) == ["first"]
    advance(hearth, "23h")
    assert messages(logs.filter_log_events(logGroupName=group)) == ["first"]
    report = advance(hearth, "2h")
    assert report["fired_count"] >= 1
    assert any("logs-retention" in line for line in report["fired"])
    assert messages(logs.filter_log_events(logGroupName=group)) == []
    answer = logs.get_log_events(logGroupName=group, logStreamName=stream)
    assert messages(answer) == []
    # What is written now is young, although the cloud's clock is ahead of its timestamp.
    put(logs, group, stream, [(now_ms, "second")])
    assert messages(logs.filter_log_events(logGroupName=group)) == ["second"]
    advance(hearth, "2d")
    assert messages(logs.filter_log_events(logGroupName=group)) == []


def test_without_retention_nothing_goes(hearth, logs, group, stream, now_ms):
    put(logs, group, stream, [(now_ms, "kept")])
    advance(hearth, "3650d")
    assert messages(logs.filter_log_events(logGroupName=group)) == ["kept"]


def test_time_and_events_survive_a_restart(hearth, logs, group, stream, now_ms):
    put(logs, group, stream, [(now_ms, "kept")])
    logs.put_retention_policy(logGroupName=group, retentionInDays=30)
    advance(hearth, "29d")
    hearth.kill("cloud")
    hearth.wait_ready()
    assert messages(logs.filter_log_events(logGroupName=group)) == ["kept"]
    advance(hearth, "2d")
    assert messages(logs.filter_log_events(logGroupName=group)) == []
