"""The bucket `hot-reload`: a saved file is live at the next call, and nothing outside can be reached."""

import atexit
import json
import os
import shutil
import subprocess
import tempfile

import hearth_up
from functions import refused

import pytest

# As a developer's home directory: private, with a readable project inside.
HOME = tempfile.mkdtemp(prefix="hearth-hot-")
ROOT = os.path.join(HOME, "projects")
os.mkdir(ROOT, 0o755)
atexit.register(shutil.rmtree, HOME, ignore_errors=True)
HEARTH_OPTIONS = ("--hot-reload", ROOT)


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(text)
    os.chmod(path, 0o644)


def result(client, name):
    answer = client.invoke(FunctionName=name)
    payload = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, payload
    return payload


@pytest.fixture
def project(unique):
    path = os.path.join(ROOT, unique("project"))
    write(f"{path}/index.py", "def handler(event, context): return 'first'\n")
    return path


@pytest.fixture
def function(create, project):
    return create(Code={"S3Bucket": "hot-reload", "S3Key": project})["FunctionName"]


def test_a_saved_file_is_live_at_the_next_call(client, function, project):
    assert result(client, function) == "first"
    for number in range(5):
        write(f"{project}/index.py", f"def handler(event, context): return {number}\n")
        assert result(client, function) == number


def test_as_editors_save(client, function, project):
    assert result(client, function) == "first"
    write(f"{project}/.index.py.swp", "def handler(event, context): return 'renamed'\n")
    os.rename(f"{project}/.index.py.swp", f"{project}/index.py")
    assert result(client, function) == "renamed"


def test_other_files_count_too(client, function, project):
    write(f"{project}/lib/values.py", "VALUE = 1\n")
    write(
        f"{project}/index.py",
        "from lib.values import VALUE\ndef handler(event, context): return VALUE\n",
    )
    assert result(client, function) == 1
    write(f"{project}/lib/values.py", "VALUE = 2\n")
    assert result(client, function) == 2
    os.remove(f"{project}/lib/values.py")
    write(f"{project}/lib/values.py", "VALUE = 3\n")
    assert result(client, function) == 3


def test_a_directory_that_is_built_anew(client, function, project):
    assert result(client, function) == "first"
    shutil.rmtree(project)
    write(f"{project}/index.py", "def handler(event, context): return 'built anew'\n")
    assert result(client, function) == "built anew"


def test_without_a_change_it_stays_warm(client, create, project):
    write(
        f"{project}/index.py",
        "calls = 0\ndef handler(event, context):\n    global calls\n    calls += 1\n    return calls\n",
    )
    name = create(Code={"S3Bucket": "hot-reload", "S3Key": project})["FunctionName"]
    assert [result(client, name) for _ in range(5)] == [1, 2, 3, 4, 5]


def test_functions_cannot_write_there(client, function, project):
    write(
        f"{project}/index.py",
        "def handler(event, context):\n"
        "    try:\n"
        "        open('/var/task/new', 'w')\n"
        "    except OSError as error:\n"
        "        return type(error).__name__\n",
    )
    assert result(client, function) in ("OSError", "PermissionError")
    assert not os.path.exists(f"{project}/new")


def test_what_is_shown(client, create, project):
    made = create(Code={"S3Bucket": "hot-reload", "S3Key": project + "/./"})
    assert made["CodeSize"] == 0
    assert made["CodeSha256"] == "hot-reloading-hash-not-available"
    shown = client.get_function(FunctionName=made["FunctionName"])
    assert shown["Code"]["Location"] == f"file://{project}"


def test_back_to_a_zip(client, function):
    from functions import code

    client.update_function_code(
        FunctionName=function, ZipFile=code("def handler(event, context): return 'zip'\n")["ZipFile"]
    )
    assert result(client, function) == "zip"


@pytest.mark.parametrize(
    "key", ["relative/path", HOME, "/etc", ROOT + "-other", ROOT + "/../projects", ROOT + "/nothing"]
)
def test_paths_outside(create, key):
    with refused(
        "InvalidParameterValueException",
        contains="Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: ",
        status=400,
    ):
        create(Code={"S3Bucket": "hot-reload", "S3Key": key})


def test_links_out(client, create, unique, project):
    link = os.path.join(ROOT, unique("link"))
    os.symlink("/etc", link)
    with refused("InvalidParameterValueException", contains="NoSuchKey"):
        create(Code={"S3Bucket": "hot-reload", "S3Key": link})
    # A directory that becomes a link later is refused at the call.
    name = create(Code={"S3Bucket": "hot-reload", "S3Key": project})["FunctionName"]
    shutil.rmtree(project)
    os.symlink("/etc", project)
    with refused("InvalidParameterValueException", contains="NoSuchKey"):
        client.invoke(FunctionName=name)


def test_not_without_the_option(unique):
    from functions import ROLE

    with hearth_up.Hearth() as hearth:
        with refused(
            "InvalidParameterValueException",
            contains="Error occurred while GetObject. S3 Error Code: NoSuchBucket.",
            status=400,
        ):
            hearth.client("lambda").create_function(
                FunctionName="f",
                Runtime="python3.12",
                Role=ROLE,
                Handler="index.handler",
                Code={"S3Bucket": "hot-reload", "S3Key": ROOT},
            )


def test_not_in_enforce_mode(tmp_path):
    done = subprocess.run(
        [
            os.path.join(hearth_up.build_directory(), "hearth"),
            *("up", "--data", str(tmp_path / "data"), "--auth", "enforce", "--hot-reload", ROOT),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=hearth_up.DEADLINE_S,
    )
    assert done.returncode != 0
    assert "--hot-reload" in done.stderr
