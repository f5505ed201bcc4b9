"""Extensions as sources: scripts for /opt/extensions, and what functions with internal ones need."""

# What all of them start with: calls of the Extensions API, and say(), whose lines tests find in the log.
COMMON = '''
import http.client, json, os, sys

API = os.environ["AWS_LAMBDA_RUNTIME_API"]
NAME = os.path.basename(sys.argv[0])

def call(method, path, body=None, headers=None):
    connection = http.client.HTTPConnection(API)
    text = body if isinstance(body, (str, bytes, type(None))) else json.dumps(body)
    connection.request(method, path, text, headers or {})
    answer = connection.getresponse()
    data = answer.read()
    return answer.status, dict(answer.getheaders()), json.loads(data) if data[:1] in (b"{", b'"') else data.decode()

def register(events, name=NAME, **headers):
    return call("POST", "/2020-01-01/extension/register", {"events": events},
                {"Lambda-Extension-Name": name, **headers})

def next_event(identifier):
    return call("GET", "/2020-01-01/extension/event/next", None, {"Lambda-Extension-Identifier": identifier})

def say(what, **values):
    print("SAY " + json.dumps({"extension": NAME, "what": what, **values}), flush=True)
'''

SCRIPT = "#!/usr/bin/env python3\n" + COMMON

# Registers for everything and tells of each event.
LOYAL = (
    SCRIPT
    + """
status, headers, answer = register(["INVOKE", "SHUTDOWN"], **{"Lambda-Extension-Accept-Feature": "accountId"})
identifier = headers["Lambda-Extension-Identifier"]
say("registered", status=status, answer=answer, pid=os.getpid(), cwd=os.getcwd(), environment=dict(os.environ))
while True:
    status, headers, event = next_event(identifier)
    say("event", status=status, event=event, event_id=headers.get("Lambda-Extension-Event-Identifier"))
    if event["eventType"] == "SHUTDOWN":
        break
"""
)

# Receives telemetry and tells of it when the function is done.
SUBSCRIBER = (
    SCRIPT
    + """
import http.server, queue, threading

received = queue.Queue()

class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        for event in json.loads(self.rfile.read(int(self.headers["Content-Length"]))):
            received.put(event)
        self.send_response(200)
        self.end_headers()
    do_PUT = do_POST
    def log_message(self, *values):
        pass

server = http.server.ThreadingHTTPServer(("sandbox.localdomain", 8080), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
status, headers, answer = register(["INVOKE", "SHUTDOWN"])
identifier = headers["Lambda-Extension-Identifier"]
status, headers, answer = call("PUT", "SUBSCRIBE_PATH", SUBSCRIBE_BODY, {"Lambda-Extension-Identifier": identifier})
say("subscribed", status=status, answer=answer)

def tell():
    while True:
        say("telemetry", event=received.get())

threading.Thread(target=tell, daemon=True).start()
while True:
    status, headers, event = next_event(identifier)
    if event["eventType"] == "SHUTDOWN":
        break
"""
)


def subscriber(types=("platform", "function"), schema="2022-12-13", path="/2022-07-01/telemetry", **more):
    body = {
        "schemaVersion": schema,
        "types": list(types),
        "buffering": {"maxItems": 1000, "maxBytes": 262144, "timeoutMs": 25},
        "destination": {"protocol": "HTTP", "URI": "http://sandbox.localdomain:8080/x"},
        **more,
    }
    return SUBSCRIBER.replace("SUBSCRIBE_PATH", path).replace("SUBSCRIBE_BODY", repr(body))
