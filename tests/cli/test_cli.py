"""The commands of `hearth`: what people and scripts see."""

import json
import os
import subprocess
import tempfile

import pytest

import hearth_up
from hearth_up import wait_for

HEARTH_OPTIONS = ("--test-clock",)
COMMANDS = ["up", "status", "functions", "invoke", "logs", "deliveries", "top", "dev", "aws", "credentials", "ca", "clock",
            "completion"]
HANDLER = """
def handler(event, context):
    print("seen", event)
    if event.get("fail"):
        raise ValueError("asked to")
    return {"answer": VALUE}
"""


def program(*arguments, **options):
    return subprocess.run(
        [os.path.join(hearth_up.build_directory(), "hearth"), *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=hearth_up.DEADLINE_S,
        **options,
    )


def write_handler(directory, value):
    with open(os.path.join(directory, "app.py"), "w") as file:
        file.write(HANDLER.replace("VALUE", str(value)))


@pytest.fixture(scope="module")
def function(hearth):
    """A function deployed with `hearth dev --once`."""
    with tempfile.TemporaryDirectory() as directory:
        write_handler(directory, 41)
        hearth.hearth("dev", directory, "shown", "--once")
    hearth.client("lambda").get_waiter("function_active_v2").wait(FunctionName="shown")
    return "shown"


@pytest.mark.parametrize("command", [command for command in COMMANDS if command != "aws"])
def test_every_command_explains_itself(command):
    shown = program(command, "--help")
    assert shown.returncode == 0
    assert "Usage: hearth" in shown.stdout


def test_help_lists_every_command():
    shown = program("--help").stdout
    assert all(f"\n  {command} " in shown for command in COMMANDS)


def test_a_wrong_command_or_option_is_an_error():
    assert program("explode").returncode != 0
    assert program("status", "--explode").returncode != 0
    assert program().returncode != 0


def test_without_a_cloud_the_error_says_what_to_do():
    port = hearth_up.free_port()
    shown = program("status", "--endpoint", f"http://127.0.0.1:{port}")
    assert shown.returncode == 1
    assert "hearth up" in shown.stderr and len(shown.stderr.splitlines()) == 1


def test_status(hearth):
    assert hearth.endpoint in hearth.hearth("status").stdout
    assert isinstance(json.loads(hearth.hearth("status", "--json").stdout), dict)


def test_functions(hearth, function):
    assert function in hearth.hearth("functions").stdout
    listed = json.loads(hearth.hearth("functions", "--json").stdout)
    assert [entry["Runtime"] for entry in listed if entry["FunctionName"] == function] == ["python3.12"]


def test_invoke_prints_the_answer(hearth, function):
    assert json.loads(hearth.hearth("invoke", function).stdout) == {"answer": 41}


def test_invoke_takes_its_event_from_a_file(hearth, function):
    with tempfile.NamedTemporaryFile("w", suffix=".json") as event:
        event.write('{"marker": "from-a-file"}')
        event.flush()
        shown = json.loads(hearth.hearth("invoke", function, "-p", event.name, "--json").stdout)
    assert shown["Payload"] == {"answer": 41}
    assert shown["StatusCode"] == 200
    assert "from-a-file" in shown["Log"]


def test_invoke_tells_a_function_error_by_its_status(hearth, function):
    failed = hearth.hearth("invoke", function, "-d", '{"fail": true}', check=False)
    assert failed.returncode == 2
    assert json.loads(failed.stdout)["errorType"] == "ValueError"
    assert "REPORT RequestId" in failed.stderr


def test_invoke_of_nothing_is_an_error(hearth):
    missing = hearth.hearth("invoke", "no-such-function", check=False)
    assert missing.returncode == 1
    assert "ResourceNotFoundException" in missing.stderr


def test_commands_sign_their_calls():
    with hearth_up.Hearth(options=("--auth", "enforce", "--tls", "self"), tls=True) as strict:
        assert strict.endpoint in strict.hearth("status").stdout
        assert json.loads(strict.hearth("functions", "--json").stdout) == []
        assert "BEGIN CERTIFICATE" in strict.hearth("ca").stdout
        identity = program("aws", "sts", "get-caller-identity", env=dict(os.environ, HEARTH_DATA=strict.data))
        assert identity.returncode == 0, identity.stderr
        stranger = program("functions", "--endpoint", strict.endpoint, "--data", "/nonexistent")
        assert stranger.returncode == 1


def test_logs(hearth, function):
    hearth.hearth("invoke", function, "-d", '{"marker": "in-the-log"}')
    wait_for(
        lambda: "in-the-log" in hearth.hearth("logs", function, check=False).stdout, "the line in the log"
    )
    assert "in-the-log" not in hearth.hearth("logs", function, "--filter", "REPORT").stdout


def test_logs_follow(hearth, function):
    hearth.hearth("invoke", function)
    follower = subprocess.Popen(
        [hearth.program, "logs", "--data", hearth.data, "-f", function],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        seen = ""
        hearth.hearth("invoke", function, "-d", '{"marker": "while-following"}')
        while "while-following" not in seen:
            line = follower.stdout.readline()
            assert line, "hearth logs -f ended by itself"
            seen += line
    finally:
        follower.kill()
        follower.wait()


def test_top(hearth, function):
    hearth.hearth("invoke", function)
    assert function in hearth.hearth("top", "--once").stdout
    shown = json.loads(hearth.hearth("top", "--json").stdout)
    assert [entry["function"] for entry in shown["functions"]] == [function]


def test_top_shows_deliveries(hearth, function):
    hearth.client("lambda").invoke(FunctionName=function, InvocationType="Event", Payload=b"{}")

    def delivered():
        lines = hearth.hearth("top", "--once").stdout.splitlines()
        rows = [line.split() for line in lines if line.startswith("lambda-async ")]
        return rows and rows[0][1:3] == ["0", "0"] and int(rows[0][3]) > 0

    hearth_up.wait_for(delivered, "a delivery that is done")


def test_aws_runs_the_installed_client(hearth):
    shown = program(
        "aws", "sts", "get-caller-identity", "--output", "json",
        env=dict(os.environ, HEARTH_DATA=hearth.data, AWS_PROFILE="no-such-profile"),
    )
    assert json.loads(shown.stdout)["Account"] == "000000000000", shown.stderr


def test_credentials(hearth):
    shown = json.loads(hearth.hearth("credentials", "--json").stdout)
    assert (shown["AccessKeyId"], shown["SecretAccessKey"]) == hearth.root_key()
    assert f"AWS_ACCESS_KEY_ID={shown['AccessKeyId']}" in hearth.hearth("credentials").stdout


def test_ca_says_when_there_is_none(hearth):
    shown = hearth.hearth("ca", check=False)
    assert shown.returncode == 1
    assert "--tls self" in shown.stderr


def test_clock_advance(hearth):
    moved = program("clock", "advance", "90d", "--data", hearth.data)
    assert moved.returncode == 0, moved.stderr
    wrong = program("clock", "advance", "soon", "--data", hearth.data)
    assert wrong.returncode == 1


def test_deliveries(hearth):
    assert "nothing waits" in hearth.hearth("deliveries").stdout
    shown = json.loads(hearth.hearth("deliveries", "--json", "--kind", "lambda-async", "shown").stdout)
    assert shown == {"lane_count": 0, "lanes": []}
    assert "deliveries" not in hearth.hearth("status").stdout


def test_deliveries_show_what_waits_for_its_next_attempt(hearth, function):
    hearth.client("lambda").invoke(FunctionName=function, InvocationType="Event", Payload=b'{"fail": true}')

    def waiting():
        lanes = json.loads(hearth.hearth("deliveries", "--json", function).stdout)["lanes"]
        return [lane for lane in lanes if lane["next_due"] and not lane["running"]]

    (lane,) = wait_for(waiting, "an attempt that failed and waits a minute")
    assert (lane["kind"], lane["pending"]) == ("lambda-async", 1)
    assert f"/{function}/" in lane["lane"]
    lines = hearth.hearth("deliveries").stdout.splitlines()
    assert [lines[0].split()[0], lines[1].split()[0]] == ["KIND", "lambda-async"]
    assert "nothing waits" in hearth.hearth("deliveries", "--kind", "s3-notification").stdout
    assert "nothing waits" in hearth.hearth("deliveries", "no-such-lane").stdout
    assert "1 waiting in 1 lanes" in hearth.hearth("status").stdout

    def over():
        moved = program("clock", "advance", "121s", "--data", hearth.data)
        assert moved.returncode == 0, moved.stderr
        return "nothing waits" in hearth.hearth("deliveries").stdout

    wait_for(over, "the end of the retries")


def test_dev_makes_a_saved_file_live(hearth):
    with tempfile.TemporaryDirectory() as directory:
        write_handler(directory, 1)
        watcher = subprocess.Popen(
            [hearth.program, "dev", "--data", hearth.data, directory, "watched"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            for line in watcher.stdout:
                if "watching" in line:
                    break
            for value in (1, 2, 3):
                write_handler(directory, value)
                wait_for(
                    lambda value=value: json.loads(hearth.hearth("invoke", "watched").stdout)
                    == {"answer": value},
                    f"the answer {value}",
                )
        finally:
            watcher.kill()
            watcher.wait()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_every_command(shell):
    script = program("completion", shell).stdout
    assert all(command in script for command in COMMANDS)


def test_bash_completion_completes():
    script = program("completion", "bash").stdout
    done = subprocess.run(
        ["bash", "-c", script + "\nCOMP_WORDS=(hearth inv) COMP_CWORD=1; _hearth; echo ${COMPREPLY[@]}"],
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "invoke"
