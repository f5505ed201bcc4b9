"""Internal extensions are part of the snapshot: each environment has its own, and tells it of its calls alone."""

import hearth_up

from conftest import Version, log_lines
from test_refused import HANDLER, assert_off
from test_restore import LEAVE, LEAVE_JS
from test_spares import described, evict, states, version_of

API = """
import http.client, json, os, signal, sys, threading
api = os.environ["AWS_LAMBDA_RUNTIME_API"]
def call(method, path, body=None, headers={}):
    connection = http.client.HTTPConnection(api)
    connection.request(method, path, body and json.dumps(body), headers)
    answer = connection.getresponse()
    return answer.status, dict(answer.getheaders()), answer.read()
def register(name, events):
    answer = call("POST", "/2020-01-01/extension/register", {"events": events}, {"Lambda-Extension-Name": name})
    return answer[1]["Lambda-Extension-Identifier"]
def next_event(identifier):
    return json.loads(call("GET", "/2020-01-01/extension/event/next", None,
                           {"Lambda-Extension-Identifier": identifier})[2])
"""

PYTHON = LEAVE + API + """
told = threading.Condition()
class Follower:
    def __init__(self, name, events):
        self.seen = []
        self.id = register(name, events)
        threading.Thread(target=self.follow, daemon=True).start()
    def follow(self):
        while True:
            event = next_event(self.id)
            with told:
                self.seen.append(event["requestId"])
                told.notify_all()
first, silent, second = Follower("first", ["INVOKE"]), Follower("silent", []), Follower("second", ["INVOKE"])
def handler(event, context):
    leave(event)
    mine = context.aws_request_id
    with told:
        assert told.wait_for(lambda: mine in first.seen and mine in second.seen, 30)
    late = call("POST", "/2020-01-01/extension/register", {"events": []}, {"Lambda-Extension-Name": "late"})
    return {"first": first.seen, "second": second.seen, "silent": silent.seen,
            "ids": [first.id, silent.id, second.id], "late": late[0]}
"""


def check(version):
    assert version.configuration()["SnapStart"]["OptimizationStatus"] == "On"
    ids = set()
    for _ in range(3):
        call = version.clone()
        assert "Restore Duration" in call.log
        answer = call.json()
        assert answer["first"] == answer["second"] == [call.request_id], "what another environment was told"
        assert answer["silent"] == []
        ids.add(tuple(answer["ids"]))
    assert len(ids) == 1, "their identifiers are what the process remembers"
    return version.invoke()


def test_python(publish):
    call = check(publish(PYTHON))
    assert call.json()["late"] == 403, "init is over"


def test_all_calls_of_one_environment(publish):
    version = publish(PYTHON)
    streams = {}
    for _ in range(6):
        call = version.invoke()
        answer = call.json()
        # On a busy machine a call may come before the extensions of the last one are done, and go elsewhere.
        seen = streams.setdefault(answer["first"][0], [])
        seen.append(call.request_id)
        assert answer["first"] == answer["second"] == seen
    assert sum(map(len, streams.values())) == 6


def test_with_hooks(publish):
    version = publish(PYTHON.replace("def handler", """
from snapshot_restore_py import register_after_restore, register_before_snapshot
register_before_snapshot(lambda: None)
register_after_restore(lambda: None)
def handler"""))
    check(version)


def test_spares_and_a_restart(unique):
    with hearth_up.Hearth(options=("--spares", "1")) as hearth:
        version = version_of(hearth, unique, PYTHON)

        def call_first_of_environment():
            call = version.invoke()
            assert "Restore Duration" in call.log
            assert call.json()["first"] == call.json()["second"] == [call.request_id]

        call_first_of_environment()
        hearth_up.wait_for(lambda: "spare" in states(hearth, version.name), "a spare")
        # It is idle when its extensions are done with the call.
        hearth_up.wait_for(lambda: evict(hearth, version.name, "&spares=keep") == 1, "the used one to go")
        call_first_of_environment()
        assert described(hearth, version.name)["spare_hits"] == 1
        hearth.stop(keep_data=True)
        hearth.start()
        version = Version(hearth.client("lambda"), version.name, version.number)
        call_first_of_environment()


def test_the_runtime_hears_of_the_end(hearth, publish):
    version = publish(PYTHON.replace("def handler", """
def ending(number, frame):
    print("ending by", number, flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, ending)
def handler"""))
    assert "Restore Duration" in version.invoke().log
    version.client.delete_function(FunctionName=version.name)
    hearth_up.wait_for(
        lambda: any("ending by 15" in line for line in log_lines(hearth, version.name)), "the runtime to be told")


def test_node_with_a_kept_connection(publish):
    version = publish({"index.mjs": LEAVE_JS + """
import http from 'node:http';
const ask = (agent, method, path, headers, body) => new Promise((done, fail) => {
  const request = http.request('http://' + process.env.AWS_LAMBDA_RUNTIME_API + '/2020-01-01/extension/' + path,
    { agent, method, headers }, (answer) => {
      let text = '';
      answer.on('data', (part) => { text += part; });
      answer.on('end', () => done({ headers: answer.headers, body: JSON.parse(text) }));
    });
  request.on('error', fail);
  request.end(body);
});
const follower = async (name, events) => {
  const one = { seen: [], agent: new http.Agent({ keepAlive: true, maxSockets: 1 }) };
  const answer = await ask(one.agent, 'POST', 'register', { 'Lambda-Extension-Name': name }, JSON.stringify({ events }));
  one.id = answer.headers['lambda-extension-identifier'];
  (async () => {
    for (;;) {
      const event = await ask(one.agent, 'GET', 'event/next', { 'Lambda-Extension-Identifier': one.id });
      one.seen.push(event.body.requestId);
      (one.wake || (() => {}))();
    }
  })();
  return one;
};
const first = await follower('first', ['INVOKE']);
const silent = await follower('silent', []);
const second = await follower('second', ['INVOKE']);
const told = async (one, id) => { while (!one.seen.includes(id)) await new Promise((done) => { one.wake = done; }); };
export const handler = async (event, context) => {
  leave(event);
  await told(first, context.awsRequestId);
  await told(second, context.awsRequestId);
  return { first: first.seen, second: second.seen, silent: silent.seen, ids: [first.id, silent.id, second.id] };
};
"""}, runtime="nodejs20.x", handler="index.handler")
    check(version)


def test_one_that_subscribed_to_telemetry_starts_cold(hearth, publish):
    version = publish(API + """
import http.server
class Sink(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()
    def log_message(self, *arguments):
        pass
server = http.server.HTTPServer(("0.0.0.0", 4243), Sink)
threading.Thread(target=server.serve_forever, daemon=True).start()
identifier = register("listener", ["INVOKE"])
status = call("PUT", "/2022-07-01/telemetry", {"schemaVersion": "2022-12-13", "types": ["platform"],
     "destination": {"protocol": "HTTP", "URI": "http://sandbox.localdomain:4243"}},
     {"Lambda-Extension-Identifier": identifier})[0]
assert status == 200, status
def follow():
    while True:
        next_event(identifier)
threading.Thread(target=follow, daemon=True).start()
""" + HANDLER)
    assert_off(hearth, version, "telemetry")
