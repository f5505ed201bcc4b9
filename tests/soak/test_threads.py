"""Mixed load on four loop threads of a cloud built with the thread sanitizer: it must find nothing.

Part of `./dev soak tsan`; needs `./dev build tsan`. HEARTH_SOAK_COUNT operations in all, from eight
callers; the seed is printed.
"""

import collections
import io
import json
import os
import random
import threading
import zipfile

import pytest

import function_url
import hearth_up
import streamed

BUILD = os.path.join(hearth_up.ROOT, "build", "tsan")
COUNT = int(os.environ.get("HEARTH_SOAK_COUNT", "200"))
SEED = int(os.environ.get("HEARTH_SEED", "1"))
CALLERS = 8
SUPPRESSIONS = os.path.join(hearth_up.TESTS, "soak", "tsan.supp")
TRUST = json.dumps({
    "Version": "2012-10-17",
    "Statement": [{
        "Effect": "Allow",
        "Principal": {"Service": "lambda.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }],
})


STREAM_MJS = """
export const h = awslambda.streamifyResponse(async (event, stream) => {
    for (let i = 0; i < 20; ++i) { stream.write("x".repeat(20000)); }
    stream.end();
});
"""
STREAM_BYTES = 400_000


def package(source, name="f.py"):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, source)
    return file.getvalue()


class Load:
    """Operations by name; each either succeeds or fails the test."""

    def __init__(self, hearth, caller, role):
        self.random = random.Random(SEED * 1000 + caller)
        self.caller = caller
        self.role = role
        self.hearth = hearth
        self.functions = hearth.client("lambda")
        self.sts = hearth.client("sts")
        self.iam = hearth.client("iam")
        self.logs = hearth.client("logs")
        self.made = 0

    def shared(self):
        return f"shared{self.random.randrange(3)}"

    def invoke(self):
        answer = self.functions.invoke(
            FunctionName=self.shared(), Payload=b'{"a": 1}', LogType=self.random.choice(["None", "Tail"])
        )
        assert json.load(answer["Payload"]) == {"a": 1}

    def life_of_a_function(self):
        self.made += 1
        name = f"own{self.caller}-{self.made}"
        self.functions.create_function(
            FunctionName=name, Runtime="python3.11", Role=self.role, Handler="f.h",
            Code={"ZipFile": package(f"def h(event, context):\n    return {self.made}\n")},
        )
        answer = self.functions.invoke(FunctionName=name)
        assert json.load(answer["Payload"]) == self.made
        self.functions.update_function_configuration(FunctionName=name, Timeout=9)
        self.functions.delete_function(FunctionName=name)

    def publish(self):
        self.functions.publish_version(FunctionName=self.shared())

    def read(self):
        self.functions.list_functions()
        self.functions.get_function(FunctionName=self.shared())

    def identity(self):
        self.sts.get_caller_identity()
        self.sts.get_session_token()

    def users(self):
        self.made += 1
        name = f"user{self.caller}-{self.made}"
        self.iam.create_user(UserName=name)
        self.iam.list_users()
        self.iam.delete_user(UserName=name)

    def log_groups(self):
        self.logs.describe_log_groups()

    def stream(self):
        with streamed.Call(self.hearth, "flows") as call:
            got = 0
            # Some callers go away in the middle.
            wanted = self.random.choice([STREAM_BYTES, STREAM_BYTES, 1])
            for chunk in call:
                got += len(chunk)
                if got >= wanted:
                    break
            assert got >= wanted

    def url(self):
        answer = self.hearth.urls[0].call("/a?b=c", "POST", b'{"a": 1}')
        assert (answer.status, answer.json()["rawPath"]) == (200, "/a"), answer.body

    def streamed_url(self):
        answer = self.hearth.urls[1].call()
        assert (answer.status, len(answer.body)) == (200, STREAM_BYTES)

    def layers(self):
        made = self.functions.publish_layer_version(
            LayerName=f"layer{self.caller}", Content={"ZipFile": package("x = 1", "python/x.py")}
        )
        version = {"LayerName": f"layer{self.caller}", "VersionNumber": made["Version"]}
        self.functions.add_layer_version_permission(
            **version, StatementId="all", Principal="*", Action="lambda:GetLayerVersion"
        )
        self.functions.list_layers()
        self.functions.delete_layer_version(**version)

    def concurrency(self):
        name = {"FunctionName": f"shared{self.caller % 3}"}
        self.functions.put_function_concurrency(**name, ReservedConcurrentExecutions=50)
        self.functions.get_account_settings()
        self.functions.delete_function_concurrency(**name)

    def permissions(self):
        name = {"FunctionName": self.shared(), "StatementId": f"of{self.caller}"}
        self.functions.add_permission(**name, Action="lambda:InvokeFunction", Principal="s3.amazonaws.com")
        self.functions.remove_permission(**name)

    def own_endpoints(self):
        assert self.hearth.get("/_hearth/metrics").status == 200


OPERATIONS = [
    "invoke", "invoke", "invoke", "life_of_a_function", "publish", "read", "identity", "users",
    "log_groups", "own_endpoints", "stream", "stream", "url", "url", "streamed_url", "layers",
    "concurrency", "permissions",
]


@pytest.mark.timeout(0)
def test_no_data_race_under_mixed_load():
    if not os.path.exists(os.path.join(BUILD, "hearth-cloud")):
        pytest.skip("build/tsan is not there: ./dev build tsan")
    print(f"{COUNT} operations, seed {SEED}")
    environment = {
        "TSAN_OPTIONS": f"halt_on_error=0 exitcode=0 history_size=4 suppressions={SUPPRESSIONS}"
    }
    options = ["--threads", "4", "--tls", "self"]
    with hearth_up.Hearth(
        build=BUILD, options=options, tls=True, environment=environment
    ) as hearth:
        role = hearth.client("iam").create_role(
            RoleName="runs-functions", AssumeRolePolicyDocument=TRUST
        )["Role"]["Arn"]
        for number in range(3):
            hearth.client("lambda").create_function(
                FunctionName=f"shared{number}", Runtime="python3.11", Role=role, Handler="f.h",
                Code={"ZipFile": package("def h(event, context):\n    print('hi')\n    return event\n")},
            )
        client = hearth.client("lambda")
        client.create_function(
            FunctionName="flows", Runtime="nodejs20.x", Role=role, Handler="f.h",
            Code={"ZipFile": package(STREAM_MJS, "f.mjs")},
        )
        hearth.urls = [
            function_url.public(hearth, client, "shared0"),
            function_url.public(hearth, client, "flows", InvokeMode="RESPONSE_STREAM"),
        ]
        left = iter(range(COUNT))
        lock = threading.Lock()
        done, failures = collections.Counter(), []

        def call(caller):
            load = Load(hearth, caller, role)
            while not failures:
                with lock:
                    if next(left, None) is None:
                        return
                operation = load.random.choice(OPERATIONS)
                try:
                    getattr(load, operation)()
                    done[operation] += 1
                except Exception as error:  # noqa: BLE001  (whatever it is, the main thread tells)
                    failures.append(f"{operation}: {error!r}")

        callers = [threading.Thread(target=call, args=(number,)) for number in range(CALLERS)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        print(dict(done))
        status = hearth.stop(keep_data=True)
        log = hearth.log()
        at = log.find("WARNING: ThreadSanitizer")
    assert at < 0, log[at : at + 8000]
    assert failures == []
    assert status == 0
