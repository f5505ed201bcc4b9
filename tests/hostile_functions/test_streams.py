"""Streamed answers from runtimes that break the rules, and to callers that go away."""

import concurrent.futures
import json
import os
import sys

import pytest

import hearth_up
import streamed

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from raw_runtime import bootstrap  # noqa: E402

@pytest.fixture
def runtime(deploy):
    """runtime("...") deploys a function whose handle(id, event, api) is that text."""

    def make(handle, **configuration):
        return deploy(bootstrap(handle), runtime="provided.al2023", **configuration)

    return make


def stream(hearth, function, event=None):
    with streamed.Call(hearth, function.name, event, log_tail=True) as call:
        return call.read(), call


BREAK_OFF = {
    "no_chunk": "api.send(b'zz\\r\\nxx')",
    "chunk_beyond_all_bounds": "api.send(b'ffffffffffffffff\\r\\nxx')",
    "negative_chunk": "api.send(b'-1\\r\\nxx')",
    "trailer_without_colon": "api.send(b'0\\r\\n\\x00\\xff no trailer\\r\\n\\r\\n')",
    "trailer_without_name": "api.send(b'0\\r\\n: x\\r\\n\\r\\n')",
    "trailer_without_end": "api.send(b'0\\r\\n' + b'X: y\\r\\n' * 300000)",
    "hangs_up": "api.socket.close()",
    "hangs_up_in_a_chunk": "api.send(b'100\\r\\nxx'); api.socket.close()",
    "hangs_up_in_the_trailer": "api.send(b'0\\r\\nLambda-Runtime-Func'); api.socket.close()",
}


@pytest.mark.parametrize("way", BREAK_OFF)
def test_breaks_off(hearth, runtime, neighbour, way):
    function = runtime(
        f"""
        if event.get("well"):
            api.respond(id, "well")
            return
        api.stream(id)
        api.chunk(b"part")
        {BREAK_OFF[way]}
        raise OSError("done")
        """
    )
    for _ in range(3):
        body, call = stream(hearth, function)
        assert body in (b"part", b"partxx")
        assert call.end["ErrorCode"] == "Runtime.TruncatedResponse"
    assert function.invoke({"well": 1}).json() == "well"
    assert neighbour.invoke({}).json() == "well"


def test_dies_in_the_middle(hearth, runtime, neighbour):
    function = runtime('api.stream(id); api.chunk(b"part"); os._exit(3)')
    for _ in range(2):
        body, call = stream(hearth, function)
        # What it sent before its end may be lost with it.
        assert body in (b"", b"part")
        assert call.end["ErrorCode"] in ("Runtime.TruncatedResponse", "Runtime.ExitError")
    # Collected, it is the error of the exit.
    assert function.invoke({}).json()["errorType"] in ("Runtime.TruncatedResponse", "Runtime.ExitError")
    assert neighbour.invoke({}).json() == "well"


def test_never_ends(hearth, runtime):
    function = runtime('api.stream(id); api.chunk(b"part"); time.sleep(1000)', Timeout=1)
    body, call = stream(hearth, function)
    assert body == b"part"
    assert call.end["ErrorCode"] == "Sandbox.Timedout"
    assert "Task timed out after 1.00 seconds" in call.end["ErrorDetails"]


def test_everything_else_while_it_streams(hearth, runtime):
    function = runtime(
        """
        api.stream(id)
        seen = []
        other = Connection()
        seen.append(other.respond(id, "second"))
        seen.append(other.call("GET", RUNTIME + "invocation/next"))
        seen.append(other.call("POST", RUNTIME + "invocation/" + id + "/error", b"{}"))
        third = Connection()
        third.stream(id)
        third.chunk(b"mixed in")
        third.send(b"0\\r\\n\\r\\n")
        seen.append(third.answer())
        api.chunk(repr([(status, body.decode()) for status, _, body in seen]).encode())
        api.send(b"0\\r\\n\\r\\n")
        assert api.answer()[0] == 202
        """
    )
    body, call = stream(hearth, function)
    assert "ErrorCode" not in call.end
    seen = eval(body)  # noqa: S307 (our own repr)
    assert [status for status, _ in seen] == [403] * 4
    assert all(json.loads(text)["errorType"] == "InvalidStateTransition" for _, text in seen)
    assert "mixed" not in body.decode()


FLOOD_BYTES = 64 << 20


def test_a_caller_that_does_not_read(hearth, runtime, neighbour):
    """The function waits: what it can write is bounded by buffers, not by the machine's memory."""
    function = runtime(
        f"""
        api.stream(id)
        api.send(b"%x\\r\\n" % {FLOOD_BYTES})
        block, sent = b"x" * 65536, 0
        api.socket.settimeout(1)
        try:
            while sent < {FLOOD_BYTES}:
                sent += api.socket.send(block)
        except TimeoutError:
            pass
        print("stopped after", sent, flush=True)
        api.socket.settimeout(None)
        while sent < {FLOOD_BYTES}:
            sent += api.socket.send(block[:{FLOOD_BYTES} - sent])
        api.send(b"\\r\\n0\\r\\n\\r\\n")
        assert api.answer()[0] == 202
        """
    )
    with streamed.Call(hearth, function.name, log_tail=True) as call:
        stopped = hearth_up.wait_for(lambda: logged(hearth, function, "stopped after"), "it stopped")
        assert neighbour.invoke({}).json() == "well"
        assert int(stopped[0].split()[-1]) < FLOOD_BYTES // 2
        assert sum(len(chunk) for chunk in call) == FLOOD_BYTES
        assert "ErrorCode" not in call.end


def logged(hearth, function, words):
    events = hearth.client("logs").filter_log_events(
        logGroupName=f"/aws/lambda/{function.name}", filterPattern=f'"{words}"'
    )
    return [event["message"] for event in events["events"]]


def test_callers_that_go_away(hearth, runtime, neighbour):
    """The function runs to its end, as on AWS, and the environment serves on."""
    function = runtime(
        """
        api.stream(id)
        for _ in range(event["chunks"]):
            api.chunk(b"x" * 65536)
        api.send(b"0\\r\\n\\r\\n")
        print("ended with", api.answer()[0], flush=True)
        """
    )

    def gone(chunks):
        with streamed.Call(hearth, function.name, {"chunks": 300}) as call:
            for _, _ in zip(range(chunks), call):
                pass

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(gone, [0, 1, 2, 5, 0, 10, 3, 1]))
    hearth_up.wait_for(lambda: len(logged(hearth, function, "ended with 202")) == 8, "eight ends")
    body, call = stream(hearth, function, {"chunks": 1})
    assert len(body) == 65536 and "ErrorCode" not in call.end
    assert neighbour.invoke({}).json() == "well"
