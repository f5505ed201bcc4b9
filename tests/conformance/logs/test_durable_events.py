"""What was acknowledged survives kill -9 of the cloud."""

import threading

import botocore.exceptions

from logs_test_support import messages, put


def test_acknowledged_events_survive_kills(hearth, logs, group, stream, now_ms):
    acknowledged, stop = [], threading.Event()

    def write():
        number = 0
        while not stop.is_set():
            events = [(now_ms + number, f"{number} {i}") for i in range(5)]
            try:
                put(logs, group, stream, events)
            except (botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError):
                # Unknown: it may be there or not; the next number tells them apart.
                pass
            else:
                acknowledged.append(number)
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(3):
            seen = len(acknowledged)
            while len(acknowledged) < seen + 20:
                assert writer.is_alive()
                stop.wait(0.01)
            hearth.kill("cloud")
            hearth.wait_ready()
    finally:
        stop.set()
        writer.join()
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group)
    found = [message for page in pages for message in messages(page)]
    batches = {}
    for message in found:
        number, i = message.split()
        batches.setdefault(int(number), []).append(int(i))
    # A batch is there once and whole, or not at all.
    assert all(batch == [0, 1, 2, 3, 4] for batch in batches.values())
    assert set(acknowledged) <= set(batches)
    assert list(batches) == sorted(batches)
