"""`--cpu exact`: streams get the bandwidth that AWS gives them."""

import time

from streams import BOOTSTRAP, call

HEARTH_OPTIONS = ("--cpu", "exact")


def test_a_stream_flows_at_the_rate_of_aws_after_its_burst(hearth, deploy):
    function = deploy(BOOTSTRAP, runtime="provided.al2023", Timeout=60, MemorySize=1769)
    assert call(hearth, function.name) == (b"one two", {})
    started = time.monotonic()
    body, complete = call(hearth, function.name, {"how": "flood", "megabytes": 8})
    assert (len(body), complete) == (8 << 20, {})
    # 6 MiB at once, and 2 MiB a second for the rest; the last read may be of 64 KiB.
    assert time.monotonic() - started >= 0.9
    # Collected answers are not slowed down, and no time passes for them.
    assert function.invoke({"how": "flood", "megabytes": 5}).error is None


def test_functions_run_with_a_quota_or_without_one(deploy):
    assert deploy("def handler(event, context): return 1", MemorySize=128).invoke({}).body == b"1"
