"""kill -9 of cloud, host and keeper under mixed load: nothing acknowledged may be missing or half there.

The test keeps its own record of what was acknowledged. HEARTH_SOAK_COUNT sets the number of kills (10);
HEARTH_SEED replays the choice of victims and pauses.
"""

import concurrent.futures
import io
import json
import os
import random
import socket
import threading
import time
import zipfile

import botocore.exceptions
import pytest

import hearth_up

KILLS = int(os.environ.get("HEARTH_SOAK_COUNT", "10"))
SEED = int(os.environ.get("HEARTH_SEED", str(random.SystemRandom().randrange(2**32))))
WORKERS = 4
ROLE = "arn:aws:iam::111122223333:role/crash"
# Roles are made in an account of their own: an account with a role has its functions' roles checked.
FUNCTION_ACCOUNT, IAM_ACCOUNT = "111122223333", "444455556666"
RETRYABLE_CODES = ("InternalFailure", "ServiceException", "ServiceUnavailable", "InternalError",
                   "ServiceUnavailableException", "TooManyRequestsException")


def package(text):
    return zip_of("f.py", f"def handler(event, context):\n    return {text!r}\n")


def zip_of(name, content):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as zipped:
        zipped.writestr(name, content)
    return buffer.getvalue()


class Record:
    """What was acknowledged; one worker writes its own names, so an entry has one author."""

    def __init__(self):
        self.lock = threading.Lock()
        self.functions = {}  # name: {"answers": {qualifier: text}, "aliases": {alias: version}}
        self.uncertain = set()  # functions whose last call had no answer
        self.layers = {}  # ARN of a layer version: CodeSha256
        self.urls = {}  # function: its URL
        self.statements = {}  # function: Sid in its policy
        self.reserved = {}  # function: reserved concurrency
        self.roles = {}  # name: description
        self.keys = {}  # access key id: user
        self.events = {}  # stream: [message, ...]
        self.acknowledged = 0

    def note(self):
        with self.lock:
            self.acknowledged += 1


def unanswered(error):
    """True for a call whose outcome nobody knows: cut off, or a documented 5xx."""
    if isinstance(error, botocore.exceptions.ClientError):
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        assert status >= 500 or status == 429, f"not an answer for a crash: {error}"
        return True
    return isinstance(error, (botocore.exceptions.BotoCoreError, OSError))


class Worker(threading.Thread):
    def __init__(self, hearth, number, record, stop, seed):
        super().__init__()
        self.number, self.record, self.stop_event = number, record, stop
        self.random = random.Random(seed)
        account = dict(key=FUNCTION_ACCOUNT, secret="any")
        self.lambda_ = hearth.client("lambda", **account)
        self.logs = hearth.client("logs", **account)
        self.iam = hearth.client("iam", key=IAM_ACCOUNT, secret="any")
        self.count = 0
        self.failure = None

    def run(self):
        steps = [self.function, self.function, self.extras, self.role, self.access_key, self.log]
        while not self.stop_event.is_set():
            self.count += 1
            try:
                self.random.choice(steps)(f"w{self.number}-{self.count}")
            except Exception as error:  # judged below; a thread must not die in silence
                if not unanswered(error):
                    self.failure = error
                    return

    def function(self, name):
        record = self.record
        first, second = f"{name} one", f"{name} two"
        self.lambda_.create_function(
            FunctionName=name, Runtime="python3.12", Handler="f.handler", Role=ROLE,
            Code={"ZipFile": package(first)}, Timeout=60,
        )
        mine = record.functions[name] = {"answers": {"$LATEST": first}, "aliases": {}}
        record.note()
        version = self.lambda_.publish_version(FunctionName=name)["Version"]
        mine["answers"][version] = first
        record.note()
        self.lambda_.create_alias(FunctionName=name, Name="live", FunctionVersion=version)
        mine["aliases"]["live"] = version
        record.note()
        record.uncertain.add(name)
        self.lambda_.update_function_code(FunctionName=name, ZipFile=package(second))
        mine["answers"]["$LATEST"] = second
        record.uncertain.discard(name)
        record.note()
        if self.random.random() < 0.3:
            answer = self.lambda_.invoke(FunctionName=name, Qualifier="live")
            body = json.loads(answer["Payload"].read())
            # An environment that was killed under the call is an error of the function.
            if "FunctionError" not in answer:
                assert body == first

    def extras(self, name):
        """What a function has beside its code: a layer, a URL, a policy, reserved concurrency."""
        record, function = self.record, dict(FunctionName=name)
        layer = self.lambda_.publish_layer_version(
            LayerName=name, Content={"ZipFile": zip_of("python/word.py", f"WORD = {name!r}\n")}
        )
        record.layers[layer["LayerVersionArn"]] = layer["Content"]["CodeSha256"]
        record.note()
        self.lambda_.create_function(
            **function, Runtime="python3.12", Handler="f.handler", Role=ROLE, Timeout=60,
            Layers=[layer["LayerVersionArn"]],
            Code={"ZipFile": zip_of("f.py", "import word\ndef handler(event, context):\n    return word.WORD\n")},
        )
        record.functions[name] = {"answers": {"$LATEST": name}, "aliases": {}}
        record.note()
        url = self.lambda_.create_function_url_config(**function, AuthType="NONE")
        record.urls[name] = url["FunctionUrl"]
        record.note()
        self.lambda_.add_permission(
            **function, StatementId="all", Action="lambda:InvokeFunctionUrl", Principal="*",
            FunctionUrlAuthType="NONE",
        )
        record.statements[name] = "all"
        record.note()
        # At most 900 of an account can be reserved.
        if self.random.random() < 0.2:
            self.lambda_.put_function_concurrency(**function, ReservedConcurrentExecutions=1)
            record.reserved[name] = 1
            record.note()

    def role(self, name):
        trust = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"},
                           "Action": "sts:AssumeRole"}],
        }
        self.iam.create_role(
            RoleName=name, AssumeRolePolicyDocument=json.dumps(trust), Description=f"of {name}"
        )
        self.record.roles[name] = f"of {name}"
        self.record.note()

    def access_key(self, name):
        self.iam.create_user(UserName=name)
        key = self.iam.create_access_key(UserName=name)["AccessKey"]
        self.record.keys[key["AccessKeyId"]] = name
        self.record.note()

    def log(self, name):
        group = f"crash-{self.number}"
        try:
            self.logs.create_log_group(logGroupName=group)
        except self.logs.exceptions.ResourceAlreadyExistsException:
            pass
        self.logs.create_log_stream(logGroupName=group, logStreamName=name)
        for batch in range(3):
            now = int(time.time() * 1000)
            messages = [f"{name} {batch} {i}" for i in range(20)]
            self.logs.put_log_events(
                logGroupName=group, logStreamName=name,
                logEvents=[{"timestamp": now, "message": message} for message in messages],
            )
            self.record.events.setdefault((group, name), []).extend(messages)
            self.record.note()


class Knocker(threading.Thread):
    """Connects again and again: while cloud or host are away, the keeper's socket must accept."""

    def __init__(self, port):
        super().__init__()
        self.port, self.stopped, self.refused, self.knocks = port, threading.Event(), 0, 0

    def run(self):
        while not self.stopped.wait(0.002):
            try:
                socket.create_connection(("127.0.0.1", self.port), 60).close()
                self.knocks += 1
            except ConnectionRefusedError:
                self.refused += 1
            except OSError:
                pass


def alive(pids):
    """Those of `pids` that still run; a zombie that nobody reaped has ended."""
    found = []
    for pid in pids:
        try:
            with open(f"/proc/{pid}/stat") as stat:
                if stat.read().rsplit(")", 1)[1].split()[0] not in "ZX":
                    found.append(pid)
        except OSError:
            pass
    return found


def check(hearth, record):
    account = dict(key=FUNCTION_ACCOUNT, secret="any")
    lambda_ = hearth.client("lambda", **account)
    for name, wanted in record.functions.items():
        for qualifier in wanted["answers"]:
            if qualifier == "$LATEST" and name in record.uncertain:
                continue
            found = lambda_.get_function_configuration(FunctionName=name, Qualifier=qualifier)
            assert found["Version"] == qualifier
        for alias, version in wanted["aliases"].items():
            assert lambda_.get_alias(FunctionName=name, Name=alias)["FunctionVersion"] == version

    for arn, sha256 in record.layers.items():
        assert lambda_.get_layer_version_by_arn(Arn=arn)["Content"]["CodeSha256"] == sha256
    for name, url in record.urls.items():
        assert lambda_.get_function_url_config(FunctionName=name)["FunctionUrl"] == url
    for name, statement in record.statements.items():
        policy = json.loads(lambda_.get_policy(FunctionName=name)["Policy"])
        assert [one["Sid"] for one in policy["Statement"]] == [statement]
    for name, reserved in record.reserved.items():
        found = lambda_.get_function_concurrency(FunctionName=name)
        assert found["ReservedConcurrentExecutions"] == reserved

    def invoke(item):
        name, wanted = item
        if name in record.uncertain:
            return
        for qualifier, text in wanted["answers"].items():
            answer = lambda_.invoke(FunctionName=name, Qualifier=qualifier)
            assert json.loads(answer["Payload"].read()) == text, (name, qualifier)

    sample = random.Random(SEED).sample(
        sorted(record.functions.items()), min(20, len(record.functions))
    )
    with concurrent.futures.ThreadPoolExecutor(4) as callers:
        list(callers.map(invoke, sample))

    iam = hearth.client("iam", key=IAM_ACCOUNT, secret="any")
    for name, description in record.roles.items():
        assert iam.get_role(RoleName=name)["Role"]["Description"] == description
    for key, user in record.keys.items():
        listed = iam.list_access_keys(UserName=user)["AccessKeyMetadata"]
        assert key in [entry["AccessKeyId"] for entry in listed]

    logs = hearth.client("logs", **account)
    for (group, stream), messages in record.events.items():
        found, token = [], {}
        while True:
            page = logs.get_log_events(
                logGroupName=group, logStreamName=stream, startFromHead=True, **token
            )
            found += [event["message"] for event in page["events"]]
            if token.get("nextToken") == page["nextForwardToken"]:
                break
            token = {"nextToken": page["nextForwardToken"]}
        # A batch whose answer was lost may be there too, but only whole and after the others.
        assert found[: len(messages)] == messages, (group, stream)
        assert len(found) % 20 == 0, (group, stream, len(found))


def test_nothing_acknowledged_is_lost_by_kill_9():
    print(f"seed {SEED}, {KILLS} kills")
    choice = random.Random(SEED)
    record = Record()
    hearth = hearth_up.Hearth()
    stop, knocker = threading.Event(), None
    try:
        kills = {"hearth-cloud": 0, "hearth-host": 0, "hearth": 0}
        for kill in range(KILLS):
            stop = threading.Event()
            workers = [
                Worker(hearth, f"{kill}-{i}", record, stop, choice.randrange(2**32))
                for i in range(WORKERS)
            ]
            knocker = Knocker(hearth.port)
            before = record.acknowledged
            for thread in [*workers, knocker]:
                thread.start()
            wanted = before + choice.randrange(10, 40)
            hearth_up.wait_for(
                lambda: record.acknowledged >= wanted or any(w.failure for w in workers),
                "the load to get on",
            )
            victim = choice.choice(list(kills))
            kills[victim] += 1
            family = [pid for pids in hearth.processes().values() for pid in pids]
            if victim == "hearth":
                # Connections are refused after this one, rightly.
                knocker.stopped.set()
                knocker.join()
                hearth.kill()
                killed = time.monotonic()
                hearth_up.wait_for(lambda: not alive(family), "every process to end")
                print(f"all ended {time.monotonic() - killed:.2f} s after the keeper")
            else:
                # The host has children of its own for moments, which bear its name.
                who = victim.removeprefix("hearth-")
                pid = hearth.kill(who)
                hearth_up.wait_for(
                    lambda: hearth.pids().get(who) not in (None, pid), f"a new {victim}"
                )
                hearth.wait_ready()
            stop.set()
            for worker in workers:
                worker.join()
            knocker.stopped.set()
            knocker.join()
            for worker in workers:
                if worker.failure:
                    raise worker.failure
            assert knocker.refused == 0, f"{knocker.refused} connections refused ({victim})"
            if victim == "hearth":
                hearth.start()
        check(hearth, record)
        print(f"{record.acknowledged} acknowledged, none lost; kills: {kills}")
        assert record.acknowledged > 10 * KILLS
        # And once more after a clean stop.
        assert hearth.stop(keep_data=True) == 0
        hearth.start()
        check(hearth, record)
    except BaseException:
        print(hearth.log()[-6000:])
        raise
    finally:
        # Else they go on for ever, and no process ends with a thread that runs.
        stop.set()
        if knocker is not None:
            knocker.stopped.set()
        hearth.stop()


@pytest.mark.parametrize("victim", ["hearth-cloud", "hearth-host"])
def test_a_call_that_was_cut_off_ends_and_the_next_one_works(victim):
    with hearth_up.Hearth() as hearth:
        lambda_ = hearth.client("lambda")
        code = io.BytesIO()
        with zipfile.ZipFile(code, "w") as zipped:
            zipped.writestr(
                "f.py",
                "import time\n"
                "def handler(event, context):\n"
                "    print('begun', flush=True)\n"
                "    time.sleep(event.get('seconds', 0))\n"
                "    return 'done'\n",
            )
        lambda_.create_function(
            FunctionName="slow", Runtime="python3.12", Handler="f.handler",
            Role="arn:aws:iam::000000000000:role/any", Timeout=300, Code={"ZipFile": code.getvalue()},
        )
        lambda_.get_waiter("function_active_v2").wait(FunctionName="slow")
        logs = hearth.client("logs")

        def begun():
            try:
                return logs.filter_log_events(
                    logGroupName="/aws/lambda/slow", filterPattern="begun"
                )["events"]
            except logs.exceptions.ResourceNotFoundException:
                return []

        with concurrent.futures.ThreadPoolExecutor(1) as caller:
            call = caller.submit(
                lambda_.invoke, FunctionName="slow", Payload=json.dumps({"seconds": 200})
            )
            hearth_up.wait_for(begun, "the call to run")
            hearth.kill(victim.removeprefix("hearth-"))
            try:
                answer = call.result(hearth_up.DEADLINE_S)
                assert "FunctionError" in answer
            except (botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError) as error:
                assert unanswered(error)

        def works():
            try:
                answer = lambda_.invoke(FunctionName="slow", Payload=b"{}")
                return json.loads(answer["Payload"].read()) == "done"
            except (botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError) as error:
                assert unanswered(error)
                return False

        hearth_up.wait_for(works, "the next call to work")
