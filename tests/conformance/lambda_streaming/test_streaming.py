"""Answers that flow: InvokeWithResponseStream, and the Runtime API in mode streaming, at their best and worst."""

import json
import os
import subprocess

import pytest

import hearth_up
from streams import BOOTSTRAP, Stream, call

NODE_SDK = os.path.join(hearth_up.build_directory(), "runtimes", "node")


@pytest.fixture
def bytes_function(deploy):
    return deploy(BOOTSTRAP, runtime="provided.al2023", Timeout=20)


def log_of(client_of, function):
    logs = client_of("logs")
    group = f"/aws/lambda/{function}"
    names = [s["logStreamName"] for s in logs.describe_log_streams(logGroupName=group)["logStreams"]]
    return [e["message"] for name in names
            for e in logs.get_log_events(logGroupName=group, logStreamName=name, startFromHead=True)["events"]]


def test_the_head_and_the_events(hearth, bytes_function):
    stream = Stream(hearth, bytes_function.name, log=True)
    assert stream.status == 200
    assert stream.headers["Content-Type"] == "application/vnd.amazon.eventstream"
    assert stream.headers["X-Amz-Executed-Version"] == "$LATEST"
    assert stream.headers["x-amzn-RequestId"]
    chunks, complete = stream.rest()
    assert b"".join(chunks) == b"one two"
    request_id = stream.headers["x-amzn-RequestId"]
    assert list(complete) == ["LogResult"]
    assert f"START RequestId: {request_id} Version: $LATEST\n" in complete["LogResult"]
    assert f"REPORT RequestId: {request_id}\tDuration: " in complete["LogResult"]


@pytest.mark.parametrize(
    "how, body", [("empty", b""), ("length", b"fixed"), ("nothing", b""), ("query", b"queried"), ("ok", b"one two")])
def test_forms_of_streamed_answers(hearth, bytes_function, how, body):
    assert call(hearth, bytes_function.name, {"how": how}) == (body, {})
    assert call(hearth, bytes_function.name, {"how": "seen"})[0] == json.dumps({how: [202, None]}).encode()
    # The same to a caller who wants it as a whole.
    assert bytes_function.invoke({"how": how}).body == body


def test_bytes_arrive_before_the_end_and_a_timeout_ends_the_stream(hearth, deploy):
    function = deploy(BOOTSTRAP, runtime="provided.al2023", Timeout=2)
    stream = Stream(hearth, function.name, {"how": "hang"}, log=True)
    events = iter(stream)
    # This function never gets beyond its first chunk.
    assert next(events).payload == b"first"
    chunks, complete = stream.rest()
    assert chunks == []
    assert complete["ErrorCode"] == "Sandbox.Timedout"
    assert json.loads(complete["ErrorDetails"])["errorMessage"].endswith("Task timed out after 2.00 seconds")
    assert "Status: timeout" in complete["LogResult"]
    assert call(hearth, function.name)[0] == b"one two"


def test_an_error_before_the_answer(hearth, bytes_function):
    body, complete = call(hearth, bytes_function.name, {"how": "error"})
    assert (body, complete["ErrorCode"]) == (b"", "Unhandled")
    assert json.loads(complete["ErrorDetails"]) == {"errorType": "My.Error", "errorMessage": "early"}


def test_an_error_in_the_trailer(hearth, bytes_function):
    body, complete = call(hearth, bytes_function.name, {"how": "trailer"})
    assert (body, complete["ErrorCode"]) == (b"some", "My.Late")
    assert json.loads(complete["ErrorDetails"]) == {"errorType": "My.Late", "errorMessage": "late"}
    body, complete = call(hearth, bytes_function.name, {"how": "bad-trailer-body"})
    assert (body, complete["ErrorCode"]) == (b"some", "My.Late")
    collected = bytes_function.invoke({"how": "trailer"})
    assert (collected.error, collected.json()["errorType"]) == ("Unhandled", "My.Late")


@pytest.mark.parametrize("how", ["bad-trailer", "bad-chunk", "endless-trailer", "close"])
def test_what_breaks_off(hearth, bytes_function, how):
    body, complete = call(hearth, bytes_function.name, {"how": how}, log=True)
    assert body == b"some"
    assert complete["ErrorCode"] == "Runtime.TruncatedResponse"
    assert "ErrorDetails" not in complete
    assert "Error Type: Runtime.TruncatedResponse" in complete["LogResult"]
    # The environment itself is as before.
    seen = json.loads(call(hearth, bytes_function.name, {"how": "seen"})[0])
    assert seen[how] in ([400, "TruncatedHTTPRequest"], [0, "ConnectionResetError"])
    collected = bytes_function.invoke({"how": how})
    assert (collected.error, collected.json()["errorType"]) == ("Unhandled", "Runtime.TruncatedResponse")


def test_a_runtime_that_dies_in_the_middle(hearth, bytes_function):
    stream = Stream(hearth, bytes_function.name, {"how": "die"}, log=True)
    chunks, complete = stream.rest()
    assert b"".join(chunks) == b"somenot all of it"
    assert complete["ErrorCode"] == "Runtime.TruncatedResponse"
    assert "Error: Runtime exited with error: exit status 3\nRuntime.ExitError\n" in complete["LogResult"]
    assert "Error Type: Runtime.ExitError" in complete["LogResult"]
    assert call(hearth, bytes_function.name) == (b"one two", {})


def test_an_answer_as_a_whole_is_one_chunk(hearth, bytes_function):
    stream = Stream(hearth, bytes_function.name, {"how": "buffered", "bytes": 1_000_000})
    chunks, complete = stream.rest()
    assert chunks == [b'"' + b"x" * 1_000_000 + b'"']
    assert complete == {}


def test_a_mode_that_there_is_not(hearth, bytes_function):
    body, complete = call(hearth, bytes_function.name, {"how": "mode"})
    assert (body, complete["ErrorCode"]) == (b"", "Unhandled")
    assert json.loads(complete["ErrorDetails"])["errorType"] == "Runtime.InvalidResponseModeHeader"
    assert json.loads(call(hearth, bytes_function.name, {"how": "seen"})[0]) == {
        "mode": [400, "InvalidFunctionResponseMode"]}


def test_calls_out_of_turn_are_refused_while_an_answer_flows(hearth, bytes_function):
    body, complete = call(hearth, bytes_function.name, {"how": "states"})
    assert complete == {}
    assert body.startswith(b"some")
    message = "State transition from InvocationResponse to %s failed for runtime. Error: State transition is not allowed"
    assert json.loads(body[4:]) == [
        [403, message % "Ready"], [403, message % "InvocationResponse"],
        [403, message % "InvocationErrorResponse"], [403, message % "InvocationResponse"]]


def test_limits(hearth, bytes_function):
    body, complete = call(hearth, bytes_function.name, {"how": "flood", "megabytes": 7})
    assert (len(body), complete) == (7 << 20, {})
    collected = bytes_function.invoke({"how": "flood", "megabytes": 7})
    assert (collected.error, collected.json()) == ("Unhandled", {
        "errorType": "Function.ResponseSizeTooLarge",
        "errorMessage": "Response payload size exceeded maximum allowed payload size (6291556 bytes)."})
    body, complete = call(hearth, bytes_function.name, {"how": "flood", "megabytes": 201})
    assert complete["ErrorCode"] == "Function.ResponseSizeTooLarge"
    assert 190 << 20 < len(body) <= 200 << 20
    assert call(hearth, bytes_function.name) == (b"one two", {})


def test_many_tiny_chunks(hearth, bytes_function):
    body, complete = call(hearth, bytes_function.name, {"how": "tiny", "count": 100_000})
    assert (body, complete) == (b"x" * 100_000, {})


def cloud_memory(hearth):
    """The most it ever had, in bytes."""
    with open(f"/proc/{hearth.pids()['cloud']}/status") as status:
        return int(next(line.split()[1] for line in status if line.startswith("VmHWM:"))) << 10


def test_a_reader_that_never_reads_costs_a_buffer(hearth, deploy):
    function = deploy(BOOTSTRAP, runtime="provided.al2023", Timeout=3)
    call(hearth, function.name)
    before = cloud_memory(hearth)
    stream = Stream(hearth, function.name, {"how": "flood", "megabytes": 200}, read=False)
    # Its environment is busy until the function's timeout; others are served.
    other = deploy(BOOTSTRAP, runtime="provided.al2023")
    assert call(hearth, other.name) == (b"one two", {})
    stream.begin()
    chunks, complete = stream.rest()
    assert cloud_memory(hearth) - before < 64 << 20
    assert sum(map(len, chunks)) <= 200 << 20
    stream.close()


def test_a_client_that_goes_away(hearth, client, bytes_function):
    stream = Stream(hearth, bytes_function.name, {"how": "flood", "megabytes": 40})
    next(iter(stream))
    stream.close()
    # The function runs to its end all the same, and its environment serves the next call.
    hearth_up.wait_for(
        lambda: any("flooded" in line for line in log_of(hearth.client, bytes_function.name)), "the function's end")
    assert json.loads(call(hearth, bytes_function.name, {"how": "seen"})[0]) == {"flood": [202, None]}


def test_refusals_are_ordinary_errors(hearth, client, deploy, unique):
    stream = Stream(hearth, unique("none"))
    assert (stream.status, stream.headers["x-amzn-ErrorType"]) == (404, "ResourceNotFoundException")
    function = deploy("def handler(event, context): return 1")
    stream = Stream(hearth, function.name, {}, **{"X-Amz-Invocation-Type": "DryRun"})
    assert (stream.status, stream.answer.read()) == (204, b"")
    stream = Stream(hearth, function.name, {}, **{"X-Amz-Invocation-Type": "Event"})
    assert stream.status == 400


def test_python_answers_as_a_whole(hearth, deploy):
    function = deploy("def handler(event, context):\n    if event: raise ValueError('v')\n    return {'a': 1}")
    assert call(hearth, function.name, {}) == (b'{"a": 1}', {})
    body, complete = call(hearth, function.name, {"x": 1})
    assert (body, complete["ErrorCode"]) == (b"", "Unhandled")
    assert json.loads(complete["ErrorDetails"])["errorType"] == "ValueError"


SDK_JOB = """
const { createRequire } = require("node:module");
const lambda = createRequire(process.argv[1] + "/index.js")("@aws-sdk/client-lambda");
(async () => {
  const client = new lambda.LambdaClient({ endpoint: process.env.AWS_ENDPOINT_URL, region: "us-east-1", maxAttempts: 1 });
  const answer = await client.send(new lambda.InvokeWithResponseStreamCommand({
    FunctionName: process.argv[2], Payload: process.argv[3], LogType: "Tail" }));
  const seen = { status: answer.$metadata.httpStatusCode, version: answer.ExecutedVersion, body: "", complete: null };
  for await (const event of answer.EventStream) {
    if (event.PayloadChunk) seen.body += Buffer.from(event.PayloadChunk.Payload).toString();
    if (event.InvokeComplete) seen.complete = event.InvokeComplete;
  }
  console.log(JSON.stringify(seen));
})();
"""


def test_node_functions_and_the_sdk(hearth, deploy):
    if not os.path.isdir(os.path.join(NODE_SDK, "node_modules", "@aws-sdk", "client-lambda")):
        pytest.skip("this build's Node runtime has no SDK (npm was not reachable)")
    source = """
const { pipeline } = require('node:stream/promises');
const { Readable } = require('node:stream');
exports.handler = awslambda.streamifyResponse(async (event, stream, context) => {
  stream.setContentType('text/plain');
  stream.write('hello ');
  if (event.fail) throw new RangeError('r');
  await pipeline(Readable.from(['from ', 'a ', 'pipeline']), stream);
});
"""
    function = deploy(source, runtime="nodejs20.x", handler="index.handler", MemorySize=256, Timeout=20)

    def job(event):
        done = subprocess.run(
            ["/usr/bin/node", "-e", SDK_JOB, NODE_SDK, function.name, json.dumps(event)],
            env={**hearth.aws_environment(), "PATH": "/usr/bin:/bin"}, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    seen = job({})
    assert (seen["status"], seen["version"], seen["body"]) == (200, "$LATEST", "hello from a pipeline")
    assert list(seen["complete"]) == ["LogResult"]
    seen = job({"fail": True})
    assert (seen["body"], seen["complete"]["ErrorCode"]) == ("hello ", "RangeError")
    assert json.loads(seen["complete"]["ErrorDetails"])["errorMessage"] == "r"
    assert function.invoke({}).body == b"hello from a pipeline"
