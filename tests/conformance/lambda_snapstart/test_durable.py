"""Snapshots after idle weeks, crashes of every process, damage on disk and changed files."""

import json
import os
import signal
import threading

import pytest

import deployed
import hearth_up
from conftest import Gate, Version, images, templates

PLAIN = """
import os
def handler(event, context):
    if event.get("leave"):
        os._exit(7)
    return os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"]
"""


@pytest.fixture
def own():
    """A Hearth that a test may do anything to."""
    with hearth_up.Hearth(options=("--test-clock",)) as hearth:
        yield hearth


def publish(hearth, files=PLAIN, name="f", **configuration):
    client = hearth.client("lambda")
    deployed.function(client, name, files, SnapStart={"ApplyOn": "PublishedVersions"}, **configuration)
    version = Version(client, name, client.publish_version(FunctionName=name)["Version"])
    return version


def advance(hearth, by):
    with hearth.get(f"/_hearth/clock/advance?by={by}", "POST", b"") as answer:
        return json.load(answer)


def image_path(hearth):
    (name,) = images(hearth)
    return os.path.join(hearth.data, "snapshots", name)


def wait_for_image(hearth, other_than=None):
    def look():
        found = images(hearth)
        return len(found) == 1 and found[0] != other_than and Version(
            hearth.client("lambda"), "f", "1").configuration()["SnapStart"]["OptimizationStatus"] == "On"

    hearth_up.wait_for(look, "a new image")


def leave(version):
    assert version.invoke({"leave": True}).error == "Unhandled"


def test_idle_for_two_weeks(own):
    version = publish(own)
    assert version.settled()["State"] == "Active"
    client = version.client
    advance(own, "13d")
    assert version.configuration()["State"] == "Active"
    assert version.invoke().json() == "snap-start"
    # The call counts: two weeks from it.
    advance(own, "10d")
    assert version.configuration()["State"] == "Active"
    advance(own, "5d")
    shown = version.configuration()
    assert (shown["State"], shown["StateReasonCode"]) == ("Inactive", "Idle")
    assert shown["SnapStart"]["OptimizationStatus"] == "Off"
    assert images(own) == []
    hearth_up.wait_for(lambda: not templates(own), "the template to go")
    with pytest.raises(client.exceptions.ClientError) as refused:
        version.invoke()
    assert refused.value.response["Error"]["Code"] == "SnapStartNotReadyException"
    assert version.settled()["SnapStart"]["OptimizationStatus"] == "On"
    assert version.invoke().json() == "snap-start"
    # It stays Inactive over a restart, too.
    advance(own, "15d")
    own.stop(keep_data=True)
    own.start()
    version.client = own.client("lambda")
    assert version.configuration()["State"] == "Inactive"


@pytest.mark.parametrize("who", ["cloud", "keeper"])
def test_killed_while_pending(own, who):
    version = publish(own, Gate.CODE + "pass_gate()\n" + PLAIN)
    assert version.configuration()["State"] == "Pending"
    hearth_up.wait_for(lambda: running(own), "the init to begin")
    own.kill(who)
    if who == "keeper":
        own.start()
    else:
        own.wait_ready()
    version.client = own.client("lambda")
    assert version.configuration()["State"] == "Pending"
    Gate(version.client).open("f")
    assert version.settled()["SnapStart"]["OptimizationStatus"] == "On"
    assert version.invoke().json() == "snap-start"
    assert len(images(own)) == 1


def running(hearth):
    with hearth.get("/_hearth/slots") as answer:
        return any(one["environments"] for one in json.load(answer)["functions"])


@pytest.mark.parametrize("ending", ["stop", "keeper", "cloud", "host"])
def test_an_image_outlives_restarts(own, ending):
    version = publish(own)
    version.settled()
    assert version.invoke().json() == "snap-start"
    before = images(own)
    if ending == "stop":
        own.stop(keep_data=True)
        own.start()
    else:
        own.kill(ending)
        if ending == "keeper":
            own.start()
        else:
            own.wait_ready()
    version.client = own.client("lambda")

    def restored():
        # Until the end of a host is noticed its environments may answer, and until another one is
        # there nobody does.
        try:
            call = version.clone()
        except Exception:  # noqa: BLE001
            return None
        assert call.json() == "snap-start"
        return call if "Restore Duration" in call.log else None

    hearth_up.wait_for(restored, "a call that is restored")
    assert images(own) == before
    assert version.configuration()["SnapStart"]["OptimizationStatus"] == "On"


def test_a_template_that_dies(own):
    version = publish(own)
    version.settled()
    for _ in range(3):
        assert version.invoke().json() == "snap-start"
        leave(version)
        (pid,) = templates(own)
        os.kill(pid, signal.SIGKILL)
    assert version.invoke().json() in ("snap-start", "on-demand")
    before = images(own)
    assert len(before) == 1
    leave(version)
    call = version.invoke()
    assert call.json() == "snap-start"


def test_killed_during_restores(own):
    """Whoever dies: each call is answered or told that it was not, and later ones are as ever."""
    version = publish(own)
    version.settled()
    for who in ("template", "host", "template", "host"):
        problems = []

        def call():
            try:
                answer = version.invoke({"leave": True})
                assert answer.error == "Unhandled", answer.body
            except Exception as error:  # noqa: BLE001
                problems.append(error)

        threads = [threading.Thread(target=call) for _ in range(8)]
        for thread in threads:
            thread.start()
        if who == "host":
            own.kill("host")
        else:
            for pid in templates(own):
                os.kill(pid, signal.SIGKILL)
        for thread in threads:
            thread.join()
        own.wait_ready()
        for problem in problems:
            assert getattr(problem, "response", {"ResponseMetadata": {"HTTPStatusCode": 0}})["ResponseMetadata"][
                "HTTPStatusCode"] >= 500, problem

        def answered():
            try:
                return version.invoke().json() in ("snap-start", "on-demand")
            except version.client.exceptions.ServiceException:
                return False

        hearth_up.wait_for(answered, "calls as ever")
        own.client("lambda").update_function_configuration(FunctionName="f", Description=who)
        leave(version)
    assert len(images(own)) == 1
    assert version.invoke().json() == "snap-start"


def damage_byte(path):
    with open(path, "r+b") as file:
        file.seek(4096 + 100)
        old = file.read(1)
        file.seek(4096 + 100)
        file.write(bytes([old[0] ^ 0xFF]))


DAMAGE = {
    "gone": os.unlink,
    "empty": lambda path: os.truncate(path, 0),
    "cut": lambda path: os.truncate(path, os.path.getsize(path) - 4096),
    "a byte": damage_byte,
}


@pytest.mark.parametrize("how", [*DAMAGE, "gone while up"])
def test_damage(own, how):
    version = publish(own)
    version.settled()
    path = image_path(own)
    if how == "gone while up":
        os.unlink(path)
    else:
        # A template that is in memory already would not notice.
        own.stop(keep_data=True)
        DAMAGE[how](path)
        own.start()
        version.client = own.client("lambda")
    call = version.invoke()
    assert call.json() == "on-demand", "quietly cold"
    leave(version)
    version.invoke()
    leave(version)
    wait_for_image(own, os.path.basename(path))
    assert version.invoke().json() == "snap-start"


def test_leftovers_are_swept(own):
    version = publish(own)
    version.settled()
    own.stop(keep_data=True)
    folder = os.path.join(own.data, "snapshots")
    (kept,) = images(own)
    for name in ("rubbish", kept[:-1], kept + ".part", "a.b.c.d.1.e", "a.b.c.d.1.e.use"):
        with open(os.path.join(folder, name), "w") as file:
            file.write("x")
    own.start()
    assert set(os.listdir(folder)) <= {kept, kept + ".use"} and images(own) == [kept]
    version.client = own.client("lambda")
    assert version.invoke().json() == "snap-start"


def test_images_that_are_always_lost(own):
    """Another one is made, a little later each time, and at last none is: the version says why."""
    version = publish(own)
    version.settled()
    for loss in range(5):
        wait_for_image(own)
        os.unlink(image_path(own))
        assert version.invoke({"leave": True}).error == "Unhandled"
        if 0 < loss < 4:
            assert images(own) == [], "not at once"
        advance(own, "61s")
    hearth_up.wait_for(
        lambda: "could not be used" in own.hearth("functions").stdout, "the reason to be shown")
    assert images(own) == []
    shown = version.configuration()
    assert (shown["State"], shown["SnapStart"]["OptimizationStatus"]) == ("Active", "Off")
    assert version.invoke().json() == "on-demand"


def test_a_library_that_changes(own):
    """As after an update of the machine: whoever mapped the old file starts cold, and is saved anew."""
    library = "/usr/lib/x86_64-linux-gnu/libgomp.so.1"
    if not os.path.exists(library):
        pytest.skip("no library to map")
    with open(library, "rb") as file:
        content = file.read()
    version = publish(
        own,
        {"app.py": "import ctypes\nlibrary = ctypes.CDLL('/var/task/mine.so')\n" + PLAIN, "mine.so": content},
    )
    assert version.settled()["SnapStart"]["OptimizationStatus"] == "On"
    assert version.invoke().json() == "snap-start"
    (old,) = images(own)
    own.stop(keep_data=True)
    touched = 0
    for folder, _, files in os.walk(os.path.join(own.data, "code")):
        if "mine.so" in files:
            os.utime(os.path.join(folder, "mine.so"), (10**9, 10**9))
            touched += 1
    assert touched == 1
    own.start()
    version.client = own.client("lambda")
    assert version.invoke().json() == "on-demand"
    assert version.configuration()["State"] == "Active"
    leave(version)
    version.invoke()
    leave(version)
    wait_for_image(own, old)
    assert version.invoke().json() == "snap-start"
