"""A client of the monitor's API: HTTP over a unix socket, as curl --unix-socket speaks it."""

import http.client
import json
import socket


class ApiClient(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=120)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)

    def ask(self, method, path, body=None):
        """Status and body; the fault's message where it is one."""
        if body is not None and not isinstance(body, (str, bytes)):
            body = json.dumps(body)
        self.request(method, path, body=body)
        response = self.getresponse()
        text = response.read().decode()
        if response.status == 204:
            assert not text
            return 204, None
        answer = json.loads(text)
        if response.status >= 400:
            assert list(answer) == ["fault_message"]
            return response.status, answer["fault_message"]
        return response.status, answer

    def get(self, path):
        status, answer = self.ask("GET", path)
        assert status == 200, answer
        return answer

    def put(self, path, body):
        status, answer = self.ask("PUT", path, body)
        assert status == 204, answer

    def patch(self, path, body):
        status, answer = self.ask("PATCH", path, body)
        assert status == 204, answer

    def fault(self, method, path, body=None):
        status, answer = self.ask(method, path, body)
        assert status == 400, (status, answer)
        return answer
