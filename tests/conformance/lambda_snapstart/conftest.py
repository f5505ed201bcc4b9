"""Published versions with SnapStart that clean up after themselves, and a gate that functions wait at."""

import contextlib
import os
import sys

import pytest

import deployed
import hearth_up

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))


class Version:
    """One published version of a function with SnapStart."""

    def __init__(self, client, name, number):
        self.client = client
        self.name = name
        self.number = number

    def configuration(self):
        return self.client.get_function_configuration(FunctionName=self.name, Qualifier=self.number)

    def settled(self):
        """Its configuration, once it is Pending no more."""

        def look():
            found = self.configuration()
            return found if found["State"] != "Pending" else None

        return hearth_up.wait_for(look, f"{self.name}:{self.number} to be pending no more", interval_s=0.02)

    def invoke(self, event=None, **more):
        function = deployed.Function(self.client, self.name)
        return function.invoke(event if event is not None else {}, **{"Qualifier": self.number, **more})

    def clone(self, event=None):
        """Calls an environment that no call used before; it is gone afterwards (see LEAVE)."""
        for _ in range(10):
            call = self.invoke(event)
            assert self.invoke({"leave": True}).error == "Unhandled"
            if "Restore Duration" in call.log or "Init Duration" in call.log:
                break
            # On a busy machine the one that was to leave may not have been ready yet, and another left.
        return call


def log_lines(hearth, name):
    """Messages of all log streams of a function, stream by stream."""
    logs = hearth.client("logs")
    group = f"/aws/lambda/{name}"
    lines = []
    with contextlib.suppress(logs.exceptions.ResourceNotFoundException):
        for stream in logs.describe_log_streams(logGroupName=group)["logStreams"]:
            events = logs.get_log_events(
                logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True
            )["events"]
            lines += [event["message"] for event in events]
    return lines


def templates(hearth):
    return hearth.processes().get("hearth-template", [])


def images(hearth):
    """Without the files beside them that only make calls quicker."""
    names = os.listdir(os.path.join(hearth.data, "snapshots"))
    return [name for name in names if not name.endswith(".use")]


@pytest.fixture(scope="module")
def client(hearth):
    return hearth.client("lambda")


@pytest.fixture
def create(client, unique):
    """create(files, runtime=..., ...) -> name of a new function with SnapStart; deleted afterwards."""
    made = []

    def make(files, **configuration):
        settings = {"SnapStart": {"ApplyOn": "PublishedVersions"}, **configuration}
        made.append(deployed.function(client, unique("fn"), files, **settings).name)
        return made[-1]

    yield make
    for name in made:
        with contextlib.suppress(client.exceptions.ResourceNotFoundException):
            client.delete_function(FunctionName=name)


@pytest.fixture
def publish(client, create):
    """publish(files, runtime=..., ...) -> Version of a new function, pending no more."""

    def make(files, **configuration):
        name = create(files, **configuration)
        version = Version(client, name, client.publish_version(FunctionName=name)["Version"])
        version.settled()
        return version

    return make


class Gate:
    """Lets what waits in a function's code go on: GATE in front of the code, `pass_gate()` where it waits."""

    CODE = """
import os, time, urllib.request
def pass_gate():
    request = urllib.request.Request(
        os.environ["AWS_ENDPOINT_URL"] + "/2017-03-31/tags/arn%3Aaws%3Alambda%3A" + os.environ["AWS_REGION"]
        + "%3A000000000000%3Afunction%3A" + os.environ["AWS_LAMBDA_FUNCTION_NAME"],
        headers={"Authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/lambda/aws4_request, "
                                  "SignedHeaders=host, Signature=0",
                 "X-Amz-Date": time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())})
    while b"open" not in urllib.request.urlopen(request).read():
        time.sleep(0.02)
"""

    def __init__(self, client):
        self.client = client

    def open(self, name):
        arn = self.client.get_function_configuration(FunctionName=name)["FunctionArn"]
        self.client.tag_resource(Resource=arn, Tags={"gate": "open"})


@pytest.fixture
def gate(client):
    return Gate(client)
