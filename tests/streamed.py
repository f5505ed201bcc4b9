"""InvokeWithResponseStream by hand: the installed boto3 does not know it.

    with streamed.Call(hearth, "name", {"a": 1}) as call:
        for chunk in call:         # bytes, as they come
            ...
        call.end                   # {"ErrorCode": ...} of InvokeComplete
"""

import http.client
import json

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import botocore.eventstream

import hearth_up


class Call:
    def __init__(self, hearth, function, event=None, account="000000000000", log_tail=False, qualifier=None):
        path = f"/2021-11-15/functions/{function}/response-streaming-invocations"
        path += f"?Qualifier={qualifier}" if qualifier else ""
        body = json.dumps(event if event is not None else {}).encode()
        headers = {"X-Amz-Log-Type": "Tail"} if log_tail else {}
        request = botocore.awsrequest.AWSRequest(
            "POST", f"http://127.0.0.1:{hearth.port}{path}", headers=headers, data=body
        )
        credentials = botocore.credentials.Credentials(account, "any")
        botocore.auth.SigV4Auth(credentials, "lambda", hearth_up.REGION).add_auth(request)
        self.connection = http.client.HTTPConnection("127.0.0.1", hearth.port, timeout=hearth_up.DEADLINE_S)
        self.connection.request("POST", path, body, dict(request.headers))
        self.response = self.connection.getresponse()
        self.status = self.response.status
        self.headers = self.response.headers
        self.end = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.hang_up()

    def hang_up(self):
        self.connection.close()
        self.response.close()

    def __iter__(self):
        assert self.status == 200, self.response.read()
        buffer = botocore.eventstream.EventStreamBuffer()
        while True:
            data = self.response.read1(65536)
            if not data:
                return
            buffer.add_data(data)
            for event in buffer:
                kind = event.headers[":event-type"]
                if kind == "PayloadChunk":
                    yield event.payload
                else:
                    assert kind == "InvokeComplete", event.headers
                    self.end = json.loads(event.payload or b"{}")

    def read(self):
        """All bytes; `end` is there afterwards, unless the answer was cut off."""
        return b"".join(self)

    def error(self):
        """The error of a call that failed before it began."""
        return json.loads(self.response.read())
