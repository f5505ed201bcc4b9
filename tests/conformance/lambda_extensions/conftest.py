"""Functions with extensions, and what they said in the log."""

import contextlib
import json
import os
import sys

import pytest

import deployed
import hearth_up

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))


class Extended(deployed.Function):
    """A function whose extensions' say() lines can be read."""

    def __init__(self, function, logs):
        super().__init__(function.client, function.name)
        self.logs = logs

    def lines(self):
        """All messages of the function's log, in order; [] before there is any."""
        group = f"/aws/lambda/{self.name}"
        with contextlib.suppress(self.logs.exceptions.ResourceNotFoundException):
            pages = self.logs.get_paginator("filter_log_events").paginate(logGroupName=group)
            return [event["message"] for page in pages for event in page["events"]]
        return []

    def said(self, what, **match):
        found = []
        for line in self.lines():
            if line.startswith("SAY "):
                one = json.loads(line[4:])
                if one["what"] == what and all(one.get(key) == value for key, value in match.items()):
                    found.append(one)
        return found

    def wait_said(self, what, count=1, **match):
        return hearth_up.wait_for(
            lambda: (lambda found: found if len(found) >= count else None)(self.said(what, **match)),
            f"{what} said {count} times by {self.name}",
        )

    def telemetry(self):
        return [one["event"] for one in self.said("telemetry")]

    def wait_telemetry(self, *types):
        """Waits until all these types of events have come; returns all events."""

        def come():
            events = self.telemetry()
            return events if set(types) <= {event["type"] for event in events} else None

        return hearth_up.wait_for(come, f"telemetry {types} of {self.name}")

    def wait_line(self, part):
        return hearth_up.wait_for(
            lambda: next((line for line in self.lines() if part in line), None), f"{part!r} in the log"
        )

    def delete(self):
        self.client.delete_function(FunctionName=self.name)


@pytest.fixture(scope="module")
def client(hearth):
    return hearth.client("lambda")


@pytest.fixture
def deploy(hearth, client, unique):
    """deploy(source, {name: source of an extension}, **configuration) -> Extended"""
    made = []

    def make(files, extensions=None, **configuration):
        if extensions:
            layer = client.publish_layer_version(
                LayerName=unique("extensions"),
                Content={
                    "ZipFile": deployed.zipped(
                        {f"extensions/{name}": source for name, source in extensions.items()}
                    )
                },
            )
            configuration.setdefault("Layers", [layer["LayerVersionArn"]])
        function = deployed.function(client, unique("fn"), files, **configuration)
        made.append(Extended(function, hearth.client("logs")))
        return made[-1]

    yield make
    for function in made:
        with contextlib.suppress(client.exceptions.ResourceNotFoundException):
            function.delete()
