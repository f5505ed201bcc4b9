"""A fake Runtime API and one bootstrap as a plain process."""

import http.server
import json
import os
import queue
import shutil
import subprocess
import tempfile
import threading

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DEADLINE_S = 60
NODE = shutil.which("node", path="/usr/bin:/usr/local/bin") or shutil.which("node")


def read_chunks(file):
    """The chunks of a body and its trailers; ConnectionError when it breaks off."""
    chunks, trailers = [], {}
    while True:
        line = file.readline()
        if not line:
            raise ConnectionError
        size = int(line, 16)
        if size == 0:
            break
        chunk = file.read(size)
        if len(chunk) < size or file.read(2) != b"\r\n":
            raise ConnectionError
        chunks.append(chunk)
    while (line := file.readline()) not in (b"\r\n", b""):
        name, _, value = line.decode().partition(":")
        trailers[name.lower()] = value.strip()
    return chunks, trailers


# The event that a runtime makes itself familiar with before it is saved; of no interest to tests.
REHEARSAL = ({"Lambda-Runtime-Aws-Request-Id": "rehearsal", "Lambda-Runtime-Deadline-Ms": "0"}, b"[1]")


class Answer:
    def __init__(self, kind, headers, body, chunks=(), trailers=None):
        self.kind = kind  # "response", "error", "init" or "restore"
        self.error_type = headers.get("Lambda-Runtime-Function-Error-Type")
        self.body = body
        self.mode = headers.get("Lambda-Runtime-Function-Response-Mode")
        self.content_type = headers.get("Content-Type")
        # Of a streamed answer; None: it broke off.
        self.chunks = list(chunks)
        self.trailers = trailers

    def json(self):
        return json.loads(self.body)


class FakeRuntimeApi:
    def __init__(self):
        self.events = queue.Queue()
        self.answers = queue.Queue()
        # Of the GETs, in order.
        self.paths = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                if self.path.endswith("/restore/rehearsal"):
                    event = REHEARSAL
                else:
                    outer.paths.append(self.path)
                    event = outer.events.get()
                if event is None:
                    self.close_connection = True
                    return
                headers, body = event
                self.send_response(200)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self):
                chunks, trailers = [], {}
                if self.headers.get("Transfer-Encoding") == "chunked":
                    try:
                        chunks, trailers = read_chunks(self.rfile)
                    except ConnectionError:
                        trailers = None
                        self.close_connection = True
                    body = b"".join(chunks)
                else:
                    body = self.rfile.read(int(self.headers["Content-Length"]))
                kind = self.path.rsplit("/", 1)[1]
                for phase in ("init", "restore"):
                    if "/%s/" % phase in self.path:
                        kind = phase
                if "/rehearsal/" not in self.path:
                    outer.answers.put(Answer(kind, self.headers, body, chunks, trailers))
                if self.close_connection:
                    return
                reply = b'{"status":"OK"}\n'
                self.send_response(202)
                self.send_header("Content-Length", str(len(reply)))
                self.end_headers()
                self.wfile.write(reply)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        # A runtime that is killed resets its connection; that is no news.
        self.server.handle_error = lambda *_: None
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def close(self):
        self.events.put(None)
        self.server.shutdown()
        self.server.server_close()


class Runtime:
    """with Runtime("python", {"app.py": "..."}, "app.handler") as runtime: runtime.invoke({})"""

    def __init__(self, language, files, handler, execution_env=None, **environment):
        self.directory = tempfile.mkdtemp(prefix="hearth-runtime-")
        for name, text in files.items():
            path = os.path.join(self.directory, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w") as file:
                file.write(text)
        self.api = FakeRuntimeApi()
        self.count = 0
        runtimes = os.path.join(ROOT, "src", "runtimes")
        argv = {
            "python": ["/usr/bin/python3", "-S", "-B", os.path.join(runtimes, "python", "start.py")],
            "node": [NODE, os.path.join(runtimes, "node", "index.cjs")],
        }[language]
        self.process = subprocess.Popen(
            argv,
            cwd=self.directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={
                "PATH": "/usr/bin:/bin",
                "TZ": ":UTC",
                "LAMBDA_TASK_ROOT": self.directory,
                "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:%d" % self.api.server.server_port,
                "AWS_LAMBDA_FUNCTION_NAME": "f",
                "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
                "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
                "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/f",
                "AWS_LAMBDA_LOG_STREAM_NAME": "stream",
                "AWS_EXECUTION_ENV": execution_env
                or {"python": "AWS_Lambda_python3.11", "node": "AWS_Lambda_nodejs20.x"}[language],
                "_HANDLER": handler,
                **environment,
            },
        )

    def invoke(self, event, raw=None, **headers):
        self.count += 1
        request_id = "00000000-0000-4000-8000-%012d" % self.count
        self.api.events.put(
            (
                {
                    "Lambda-Runtime-Aws-Request-Id": request_id,
                    "Lambda-Runtime-Deadline-Ms": "99999999999999",
                    "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:us-east-1:000000000000:function:f",
                    "Lambda-Runtime-Trace-Id": "Root=1-a-b;Parent=c;Sampled=0",
                    **headers,
                },
                raw if raw is not None else json.dumps(event).encode(),
            )
        )
        return self.answer()

    def restore(self):
        """The answer to restore/next: this is a copy, go on."""
        self.api.events.put(({}, b""))

    def rehearse(self):
        """An event that nobody sent, for a copy that waits for its first one."""
        self.api.events.put(REHEARSAL)

    def answer(self):
        return self.api.answers.get(timeout=DEADLINE_S)

    def wait(self):
        return self.process.wait(timeout=DEADLINE_S)

    def output(self):
        """All it printed; ends it."""
        self.process.kill()
        text = self.process.communicate(timeout=DEADLINE_S)[0]
        return text

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()
        self.api.close()
        shutil.rmtree(self.directory)


def log_events(output):
    """Lines and frames of the log, as the cloud takes them apart."""
    events = []
    while output:
        frame = output.find(b"\xa5\x5a\x00\x03")
        newline = output.find(b"\n")
        if frame >= 0 and (newline < 0 or frame < newline):
            if frame:
                events.append(output[:frame].decode())
            length = int.from_bytes(output[frame + 4 : frame + 8], "big")
            events.append(output[frame + 16 : frame + 16 + length].decode())
            output = output[frame + 16 + length :]
        elif newline < 0:
            events.append(output.decode())
            break
        else:
            events.append(output[:newline].decode())
            output = output[newline + 1 :]
    return events
