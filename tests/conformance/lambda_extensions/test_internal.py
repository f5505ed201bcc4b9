"""Internal extensions: registered by the runtime's process, before its init ends."""

import extension_sources as sources

IMPORTED = (
    sources.COMMON
    + """
import threading

status, headers, answer = register(["INVOKE"], name="inner")
say("registered", status=status, answer=answer)
identifier = headers["Lambda-Extension-Identifier"]

def follow():
    while True:
        status, headers, event = next_event(identifier)
        say("event", event=event)

threading.Thread(target=follow, daemon=True).start()

def handler(event, context):
    return "done"
"""
)


def test_an_internal_extension_gets_the_calls(deploy):
    function = deploy(IMPORTED)
    first = function.invoke({})
    assert first.error is None, first.body
    second = function.invoke({})
    (registered,) = function.wait_said("registered")
    assert registered["status"] == 200 and "accountId" not in registered["answer"]
    events = function.wait_said("event", count=2)
    assert [one["event"]["requestId"] for one in events] == [first.request_id, second.request_id]
    assert "EXTENSION\tName: inner\tState: Ready\tEvents: [INVOKE]" in function.lines()


def test_what_an_internal_extension_may_not(deploy):
    function = deploy(
        sources.COMMON
        + """
import threading
answers = [
    register(["SHUTDOWN"], name="inner"),
    register(["WAKE"], name="inner"),
    register(["INVOKE"], name=""),
    call("POST", "/2020-01-01/extension/register", "{", {"Lambda-Extension-Name": "inner"}),
    call("POST", "/2020-01-01/extension/register", {"events": [], "configurationKeys": ["a"]},
         {"Lambda-Extension-Name": "inner"}),
    call("GET", "/2020-01-01/extension/event/next"),
    next_event("not-a-uuid"),
    next_event("00000000-0000-4000-8000-000000000000"),
    call("PUT", "/2020-01-01/extension/register"),
    call("GET", "/2020-01-01/extension/other"),
]
say("refused", answers=[(status, answer.get("errorType") if isinstance(answer, dict) else "") for status, _, answer in answers])
many = [register([], name=f"inner-{number}") for number in range(11)]
say("many", answers=[one[::2] for one in many], again=register([], name="inner-1")[::2])
for _, headers, _ in many[:10]:
    threading.Thread(target=next_event, args=(headers["Lambda-Extension-Identifier"],), daemon=True).start()

def handler(event, context):
    return "done"
"""
    )
    assert function.invoke({}).json() == "done"
    refused = function.wait_said("refused")[0]["answers"]
    assert refused == [
        [403, "Extension.InvalidEventType"],
        [403, "Extension.InvalidEventType"],
        [403, "Extension.InvalidExtensionName"],
        [403, "InvalidRequestFormat"],
        [403, "InvalidRequestFormat"],
        [403, "Extension.MissingExtensionIdentifier"],
        [403, "Extension.InvalidExtensionIdentifier"],
        [403, "Extension.UnknownExtensionIdentifier"],
        [405, ""],
        [404, ""],
    ]
    many = function.wait_said("many")[0]
    assert [status for status, _ in many["answers"]] == [200] * 10 + [403]
    assert many["answers"][10][1] == {
        "errorType": "Extension.TooManyExtensions",
        "errorMessage": "Extension limit (10) reached",
    }
    assert many["again"][0] == 403


def test_after_init_nobody_registers(deploy):
    function = deploy(
        sources.COMMON + "def handler(event, context):\n    return register([], name='late')[::2]\n"
    )
    status, answer = function.invoke({}).json()
    assert (status, answer["errorType"]) == (403, "Extension.RegistrationClosed")


def test_the_runtime_hears_of_the_shutdown_because_of_an_internal_extension(deploy):
    function = deploy(
        IMPORTED
        + """
import signal

def ending(number, frame):
    say("signal", number=number)
    sys.exit(0)

signal.signal(signal.SIGTERM, ending)
"""
    )
    assert function.invoke({}).error is None
    function.delete()
    assert function.wait_said("signal")[0]["number"] == 15
