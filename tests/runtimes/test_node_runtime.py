"""What a Node.js function sees and answers, compared with AWS's runtime interface client."""

import base64
import json
import re

import pytest
from runtime_process import NODE, Runtime, log_events

pytestmark = pytest.mark.skipif(NODE is None, reason="no Node.js on this machine")
ID = "00000000-0000-4000-8000-000000000001"


def node(source, name="index.js", handler="index.handler", files=None, **environment):
    return Runtime("node", {name: source, **(files or {})}, handler, **environment)


def test_async_handler():
    with node("exports.handler = async (event) => ({got: event.x, u: '\u00e9'});") as runtime:
        assert runtime.invoke({"x": 1}).body == '{"got":1,"u":"é"}'.encode()
        assert runtime.invoke({}).body == '{"u":"é"}'.encode()


def test_es_modules_by_name_and_by_package():
    module = "export const handler = async () => import.meta.url.slice(-9);"
    with node(module, name="index.mjs") as runtime:
        assert runtime.invoke({}).json() == "index.mjs"
    with node(module, files={"package.json": '{"type": "module"}'}) as runtime:
        assert runtime.invoke({}).json() == "/index.js"


def test_nested_paths_and_names():
    with node("exports.a = {b: async () => 'deep'};", name="lib/code.js", handler="lib/code.a.b") as runtime:
        assert runtime.invoke({}).json() == "deep"


def test_callback_waits_for_the_event_loop_unless_told_not_to():
    source = """
exports.handler = (event, context, callback) => {
  context.callbackWaitsForEmptyEventLoop = event.wait;
  let finished = false;
  setTimeout(() => { globalThis.late = true; }, 100);
  globalThis.late = false;
  callback(null, {get late() { return globalThis.late; }});
};
"""
    with node(source) as runtime:
        assert runtime.invoke({"wait": True}).json() == {"late": True}
        assert runtime.invoke({"wait": False}).json() == {"late": False}


def test_done_succeed_and_fail():
    source = """
exports.handler = (event, context) => {
  if (event.how === 'succeed') context.succeed('s');
  if (event.how === 'done') context.done(null, 'd');
  if (event.how === 'fail') context.fail(new TypeError('f'));
};
"""
    with node(source) as runtime:
        assert runtime.invoke({"how": "succeed"}).json() == "s"
        assert runtime.invoke({"how": "done"}).json() == "d"
        answer = runtime.invoke({"how": "fail"})
        assert (answer.kind, answer.json()["errorType"]) == ("error", "TypeError")
        # Nothing left to do and nothing said: the answer is null.
        assert runtime.invoke({"how": ""}).body == b"null"


def test_a_rejection():
    with node("exports.handler = async () => { const e = new RangeError('bad'); e.code = 7; throw e; };") as runtime:
        answer = runtime.invoke({})
        assert answer.kind == "error"
        assert answer.error_type == "RangeError"
        error = answer.json()
        assert list(error) == ["errorType", "errorMessage", "trace"]
        assert error["errorMessage"] == "bad"
        assert error["trace"][0] == "RangeError: bad"
        assert error["trace"][1].startswith("    at ")
        line = log_events(runtime.output())[0]
        match = re.fullmatch(r"\S+Z\t" + ID + r"\tERROR\tInvoke Error \t(\{.*\})", line)
        shown = json.loads(match.group(1))
        assert list(shown) == ["errorType", "errorMessage", "code", "stack"]


def test_what_is_no_error_can_be_thrown():
    with node("exports.handler = async () => { throw 'text'; };") as runtime:
        assert runtime.invoke({}).json() == {"errorType": "string", "errorMessage": "text", "trace": []}


def test_unhandled_rejection_and_uncaught_exception_end_the_process():
    rejection = """
exports.handler = async () => { Promise.reject(new Error('nobody')); await new Promise(r => setTimeout(r, 60000)); };
"""
    with node(rejection) as runtime:
        answer = runtime.invoke({})
        assert answer.kind == "error"
        assert answer.json()["errorType"] == "Runtime.UnhandledPromiseRejection"
        assert answer.json()["errorMessage"] == "Error: nobody"
        assert runtime.wait() == 128
    exception = "exports.handler = (e, c, cb) => { setTimeout(() => { throw new Error('late'); }, 1); };"
    with node(exception) as runtime:
        answer = runtime.invoke({})
        assert (answer.json()["errorType"], answer.json()["errorMessage"]) == ("Error", "late")
        assert runtime.wait() == 129


@pytest.mark.parametrize(
    "source, handler, error_type, message",
    [
        ("require('nothing-here');", "index.handler", "Runtime.ImportModuleError",
         "Error: Cannot find module 'nothing-here'\nRequire stack:\n"),
        ("", "absent.handler", "Runtime.ImportModuleError", "Error: Cannot find module 'absent'"),
        ("exports.x = 1;", "index.handler", "Runtime.HandlerNotFound",
         "index.handler is undefined or not exported"),
        ("exports.handler = 1;", "index.handler", "Runtime.HandlerNotFound", "index.handler is not a function"),
        ("exports.handler = (", "index.handler", "Runtime.UserCodeSyntaxError", "SyntaxError: Unexpected end of input"),
        ("", "../index.handler", "Runtime.MalformedHandlerName",
         "'../index.handler' is not a valid handler name."),
        ("", "index", "Runtime.MalformedHandlerName", "Bad handler"),
    ],
)
def test_init_errors(source, handler, error_type, message):
    with node(source, handler=handler) as runtime:
        answer = runtime.answer()
        assert answer.kind == "init"
        assert answer.error_type == error_type
        assert answer.json()["errorType"] == error_type
        assert answer.json()["errorMessage"].startswith(message)
        assert answer.json()["trace"][0].startswith(error_type + ": ")
        assert runtime.wait() != 0


def test_callbacks_are_gone_from_24_on():
    with node("exports.handler = (e, c, cb) => cb();", execution_env="AWS_Lambda_nodejs24.x") as runtime:
        assert runtime.answer().json()["errorType"] == "Runtime.CallbackHandlerDeprecated"


def test_a_promise_that_never_settles():
    source = "exports.handler = async () => { await new Promise(() => {}); };"
    with node(source) as runtime:
        answer = runtime.invoke({})
        assert answer.json()["errorType"] == "Runtime.NodeJsExit"
    with node(source, execution_env="AWS_Lambda_nodejs18.x") as runtime:
        assert runtime.invoke({}).body == b"null"


def test_text_console():
    source = """
exports.handler = async () => {
  console.log('a %s', 1, {b: 2}); console.error('e\\nf'); console.debug('d'); console.warn('w');
};
"""
    with node(source) as runtime:
        runtime.invoke({})
        events = [event.split("\t") for event in log_events(runtime.output())]
        assert [event[1:] for event in events] == [
            [ID, "INFO", "a 1 { b: 2 }"],
            [ID, "ERROR", "e\nf"],
            [ID, "DEBUG", "d"],
            [ID, "WARN", "w"],
        ]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", events[0][0])


def test_json_console_with_a_level():
    source = """
exports.handler = async () => {
  console.info('hidden'); console.warn({k: [1]}); console.error('failed', new TypeError('t'));
};
"""
    with node(source, AWS_LAMBDA_LOG_FORMAT="JSON", AWS_LAMBDA_LOG_LEVEL="WARN") as runtime:
        runtime.invoke({})
        warn, error = [json.loads(event) for event in log_events(runtime.output())]
        assert (warn["level"], warn["message"], warn["requestId"]) == ("WARN", {"k": [1]}, ID)
        assert (error["errorType"], error["errorMessage"]) == ("TypeError", "t")
        assert error["stackTrace"][0] == "TypeError: t"


def test_context():
    source = """
exports.handler = async (event, context) => [context.awsRequestId, context.functionName,
  context.functionVersion, context.memoryLimitInMB, context.logGroupName, context.logStreamName,
  context.invokedFunctionArn, context.clientContext.custom, context.getRemainingTimeInMillis() > 0,
  process.env._X_AMZN_TRACE_ID];
"""
    with node(source) as runtime:
        answer = runtime.invoke({}, **{"Lambda-Runtime-Client-Context": '{"custom": {"k": "v"}}'})
        assert answer.json() == [
            ID, "f", "$LATEST", "128", "/aws/lambda/f", "stream",
            "arn:aws:lambda:us-east-1:000000000000:function:f", {"k": "v"}, True,
            "Root=1-a-b;Parent=c;Sampled=0",
        ]


# ------------------------------------------------------------------------------------------------ streaming


def streaming(body, **options):
    return node("exports.handler = awslambda.streamifyResponse(%s);" % body, **options)


def trailer_error(answer):
    body = json.loads(base64.b64decode(answer.trailers["lambda-runtime-function-error-body"]))
    assert body["errorType"] == answer.trailers["lambda-runtime-function-error-type"]
    return body["errorType"], body["errorMessage"]


def test_a_streaming_handler_answers_in_chunks():
    source = """async (event, stream) => {
  stream.write('{"a":');
  await new Promise((resolve) => setTimeout(resolve, 20));
  stream.write('1}');
  stream.end();
}"""
    with streaming(source) as runtime:
        for _ in range(3):
            answer = runtime.invoke({})
            assert (answer.kind, answer.mode, answer.content_type) == (
                "response", "streaming", "application/octet-stream")
            assert answer.chunks == [b'{"a":', b"1}"]
            assert answer.trailers == {}


def test_what_a_stream_takes():
    source = """async (event, stream) => {
  stream.setContentType('text/plain');
  stream.write('text ');
  stream.write(Buffer.from('buffer '));
  stream.write(new Uint8Array([98, 121, 116, 101, 115, 32]));
  stream.write({a: [1, null]});
  let late;
  try { stream.setContentType('x'); } catch (error) { late = error.message; }
  stream.end(' ' + late);
}"""
    with streaming(source) as runtime:
        answer = runtime.invoke({})
        assert answer.content_type == "text/plain"
        assert answer.body == b'text buffer bytes {"a":[1,null]} Cannot set content-type, too late.'


def test_an_http_response_has_a_prelude():
    source = """async (event, stream) => {
  const http = awslambda.HttpResponseStream.from(stream, {statusCode: 201, headers: {x: 'y'}});
  http.write('body');
  http.end();
}"""
    with streaming(source) as runtime:
        answer = runtime.invoke({})
        assert answer.content_type == "application/vnd.awslambda.http-integration-response"
        assert answer.body == b'{"statusCode":201,"headers":{"x":"y"}}' + bytes(8) + b"body"


def test_a_pipeline_is_slowed_down_by_its_reader():
    source = """async (event, stream) => {
  const { pipeline } = require('stream/promises');
  const { Readable } = require('stream');
  async function* source() { for (let i = 0; i < 100; i++) yield Buffer.alloc(65536, 97 + i % 26); }
  await pipeline(Readable.from(source()), stream);
}"""
    with streaming(source) as runtime:
        body = runtime.invoke({}).body
        assert len(body) == 100 * 65536
        assert body[::65536] == bytes(97 + i % 26 for i in range(100))
        assert runtime.invoke({}).body == body


def test_errors_of_streams():
    source = """async (event, stream) => {
  if (event.how === 'before') throw new TypeError('b');
  stream.write('some');
  if (event.how === 'middle') { await null; throw new RangeError('m'); }
  if (event.how === 'destroy') {
    await new Promise((resolve) => setTimeout(resolve, 20));
    stream.destroy(new Error('d')); throw new Error('d');
  }
  stream.end();
}"""
    with streaming(source) as runtime:
        answer = runtime.invoke({"how": "before"})
        assert (answer.mode, answer.body, trailer_error(answer)) == ("streaming", b"", ("TypeError", "b"))
        answer = runtime.invoke({"how": "middle"})
        assert (answer.body, trailer_error(answer)) == (b"some", ("RangeError", "m"))
        assert runtime.invoke({"how": "destroy"}).trailers is None
        answer = runtime.invoke({})
        assert (answer.body, answer.trailers) == (b"some", {})


def test_a_streaming_handler_must_be_async():
    with streaming("(event, stream) => { stream.write('x'); }") as runtime:
        answer = runtime.invoke({})
        assert trailer_error(answer) == ("Error", "Streaming does not support non-async handlers.")


def test_large_payloads_both_ways():
    with node("exports.handler = async (event) => event;") as runtime:
        event = {"x": "y" * 5_000_000}
        assert runtime.invoke(event).json() == event


# ------------------------------------------------------------------------------------------------ SnapStart

HOOKS = """
const said = [];
const early = Math.random;
awslambda.registerBeforeSnapshot(async () => { said.push('before'); });
awslambda.registerBeforeSnapshot(() => { said.push('before, registered last'); });
awslambda.registerAfterRestore(() => { said.push('after'); });
awslambda.registerAfterRestore(async () => { said.push('after, registered last'); });
exports.handler = async () => {
  const numbers = Array.from({length: 1000}, early);
  return {said, least: Math.min(...numbers), most: Math.max(...numbers), different: new Set(numbers).size};
};
"""


def test_snapshot_hooks_run_in_order_and_random_numbers_stay_random():
    with node(HOOKS, AWS_LAMBDA_INITIALIZATION_TYPE="snap-start") as runtime:
        runtime.restore()
        answer = runtime.invoke({}).json()
        assert answer["said"] == ["before, registered last", "before", "after", "after, registered last"]
        assert 0 <= answer["least"] < 0.1 and 0.9 < answer["most"] < 1
        assert answer["different"] == 1000
        assert runtime.api.paths[:2] == [
            "/2018-06-01/runtime/restore/next", "/2018-06-01/runtime/invocation/next"]


UNHOOKED = """
const seen = [];
exports.handler = async (event) => { seen.push(event); return seen; };
"""


@pytest.mark.parametrize("ahead", [False, True], ids=["for a call", "ahead"])
def test_without_hooks_a_copy_waits_for_its_event(ahead):
    with node(UNHOOKED, AWS_LAMBDA_INITIALIZATION_TYPE="snap-start") as runtime:
        if ahead:
            runtime.rehearse()
        assert runtime.invoke({"n": 1}).json() == [{"n": 1}]
        assert runtime.invoke({"n": 2}).json() == [{"n": 1}, {"n": 2}]
        plain = "/2018-06-01/runtime/invocation/next"
        assert runtime.api.paths[:2] == [plain + "?rehearse", plain]


DRAWS = """
const crypto = require('crypto');
const draw = () => [crypto.randomUUID(), crypto.webcrypto.randomUUID(), crypto.randomUUID({disableEntropyCache: true}),
                    Math.random()];
const drawn = draw();
const timer = setInterval(() => drawn.push(...draw()), 1);
exports.handler = async () => {
  clearInterval(timer);
  for (let i = 0; i < 200; ++i) {
    drawn.push(...draw());
  }
  let wrong = '';
  try {
    crypto.randomUUID('no options');
  } catch (error) {
    wrong = error.code;
  }
  return {count: drawn.length, different: new Set(drawn).size, wrong, name: crypto.randomUUID.name,
          shape: /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(drawn[0])};
};
"""


def test_without_hooks_it_waits_for_its_first_event_and_draws_afresh():
    with node(DRAWS, AWS_LAMBDA_INITIALIZATION_TYPE="snap-start") as runtime:
        answer = runtime.invoke({}).json()
        assert answer["count"] > 800
        assert answer["different"] == answer["count"]
        assert answer["wrong"] == "ERR_INVALID_ARG_TYPE"
        assert answer["name"] == "randomUUID" and answer["shape"]
        assert runtime.api.paths[0] == "/2018-06-01/runtime/invocation/next?rehearse"


@pytest.mark.parametrize("when, kind, status", [("BeforeSnapshot", "init", 64), ("AfterRestore", "restore", 65)])
def test_a_hook_that_fails(when, kind, status):
    source = """
awslambda.register%s(async () => { throw new TypeError('no'); });
exports.handler = async () => 1;
""" % when
    with node(source, AWS_LAMBDA_INITIALIZATION_TYPE="snap-start") as runtime:
        runtime.restore()
        answer = runtime.answer()
        assert answer.kind == kind
        assert answer.error_type == "TypeError"
        assert answer.json()["errorMessage"] == "no"
        assert runtime.wait() == status
