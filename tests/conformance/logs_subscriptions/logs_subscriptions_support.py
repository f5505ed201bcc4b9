"""What the listening function was called with, read from its own lines."""

import base64
import gzip
import json
import time

import hearth_up

# Its lines hold what it got as it came, so that decoding is the test's.
LISTENER = '''
def handler(event, context):
    print("GOT " + event["awslogs"]["data"])
'''


def write(logs, group, *messages, stream="stream"):
    now = int(time.time() * 1000)
    logs.put_log_events(
        logGroupName=group,
        logStreamName=stream,
        logEvents=[{"timestamp": now, "message": message} for message in messages],
    )


def subscribe(logs, group, function, pattern="", name="f", **more):
    logs.put_subscription_filter(
        logGroupName=group,
        filterName=name,
        filterPattern=pattern,
        destinationArn=function,
        **more,
    )


def received(logs, group):
    """The messages of CloudWatch Logs about that group, so far."""
    found = []
    try:
        pages = logs.get_paginator("filter_log_events").paginate(
            logGroupName="/aws/lambda/listener"
        )
        for page in pages:
            for event in page["events"]:
                if event["message"].startswith("GOT "):
                    data = event["message"][4:].strip()
                    message = json.loads(gzip.decompress(base64.b64decode(data)))
                    if message["logGroup"] == group:
                        found.append(message)
    except logs.exceptions.ResourceNotFoundException:
        pass
    return found


def wait_for_events(logs, group, count):
    """At least that many events, of all messages."""

    def enough():
        messages = received(logs, group)
        return messages if sum(len(m["logEvents"]) for m in messages) >= count else None

    return hearth_up.wait_for(enough, f"{count} events of {group}", interval_s=0.1)
