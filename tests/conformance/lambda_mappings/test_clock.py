"""Visibility, windows and dead letters, on the clock of the cloud."""

import json

import hearth_up

HEARTH_OPTIONS = ("--test-clock",)


def advance(hearth, by):
    with hearth.get(f"/_hearth/clock/advance?by={by}", "POST", b"") as answer:
        return json.load(answer)


def test_a_poison_message_ends_in_the_dead_letter_queue(hearth, queue, recorder, mapping):
    dead = queue()
    source = queue(
        RedrivePolicy=json.dumps({"deadLetterTargetArn": dead.arn, "maxReceiveCount": 3})
    )
    function = recorder()
    mapping(source, function)
    source.send("raise")
    for tries in (1, 2, 3):
        hearth_up.wait_for(lambda: len(function.events()) == tries, f"try {tries}")
        counts = [
            record["attributes"]["ApproximateReceiveCount"]
            for event in function.events()
            for record in event["Records"]
        ]
        assert counts == [str(n + 1) for n in range(tries)]
        source.wait_counts((0, 1))
        advance(hearth, "31s")
    dead.wait_counts((1, 0))
    source.wait_counts((0, 0))
    assert len(function.events()) == 3


def test_partial_failures_come_again(hearth, queue, recorder, mapping):
    source, function = queue(), recorder()
    mapping(source, function, FunctionResponseTypes=["ReportBatchItemFailures"])
    source.send("item")
    source.send("fine")
    function.wait_bodies(["item", "fine"])
    source.wait_counts((0, 1))
    advance(hearth, "31s")
    function.wait_bodies(["item", "item", "fine"])


def test_a_time_out_ends_in_the_dead_letter_queue(hearth, queue, recorder, mapping):
    dead = queue()
    source = queue(
        RedrivePolicy=json.dumps({"deadLetterTargetArn": dead.arn, "maxReceiveCount": 1})
    )
    function = recorder(Timeout=1)
    mapping(source, function)
    source.send("sleep")
    function.wait_bodies(["sleep"])
    source.wait_counts((0, 1))
    advance(hearth, "31s")
    dead.wait_counts((1, 0))


def test_a_window_gathers(hearth, queue, recorder, mapping):
    source, function = queue(VisibilityTimeout="300"), recorder()
    mapping(source, function, BatchSize=100, MaximumBatchingWindowInSeconds=60)
    for n in range(5):
        source.send(str(n))
    source.wait_counts((0, 5))
    assert function.events() == []
    advance(hearth, "61s")
    function.wait_bodies([str(n) for n in range(5)])
    assert len(function.events()) == 1


def test_a_function_without_concurrency(hearth, client, queue, recorder, mapping):
    source, function = queue(), recorder()
    client.put_function_concurrency(FunctionName=function.name, ReservedConcurrentExecutions=0)
    mapping(source, function)
    source.send("patience")
    source.wait_counts((0, 1))
    client.delete_function_concurrency(FunctionName=function.name)
    advance(hearth, "31s")
    hearth_up.wait_for(lambda: "patience" in function.bodies(), "the message")
    source.wait_counts((0, 0))


def test_delayed_messages(hearth, queue, recorder, mapping):
    source, function = queue(), recorder()
    mapping(source, function)
    source.send("later", DelaySeconds=600)
    assert function.bodies() == []
    advance(hearth, "601s")
    function.wait_bodies(["later"])
