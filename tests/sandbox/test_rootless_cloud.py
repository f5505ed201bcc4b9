"""The whole cloud as an ordinary user: `hearth up`, a function, its answer, its log.

Runs on a copy of the programs, because a checkout may lie where another user cannot look.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile

import pytest

import hearth_up

USER = 4321

JOB = """
import io, json, sys, zipfile
import hearth_up

code = io.BytesIO()
with zipfile.ZipFile(code, "w") as package:
    package.writestr("s.py", "import os, uuid\\ncount = 0\\ndef handler(event, context):\\n"
                             "    global count\\n    count += 1\\n"
                             "    return [os.environ['AWS_LAMBDA_INITIALIZATION_TYPE'], count, str(uuid.uuid4())]\\n")
    package.writestr("f.py", "import os\\ndef handler(event, context):\\n    print('here')\\n"
                             "    return [event, os.listdir('/var/task'), os.listdir('/proc/1')[:1], \\n"
                             "            {n: open('/opt/' + n).read() for n in os.listdir('/opt')}]\\n")
layers = []
with hearth_up.Hearth() as hearth:
    lambda_ = hearth.client("lambda")
    for number in "12":
        layer = io.BytesIO()
        with zipfile.ZipFile(layer, "w") as package:
            package.writestr("both", number)
            package.writestr("only-" + number, number)
        layers.append(lambda_.publish_layer_version(
            LayerName="l" + number, Content={"ZipFile": layer.getvalue()})["LayerVersionArn"])
    lambda_.create_function(
        FunctionName="f", Runtime="python3.12", Handler="f.handler", Timeout=60,
        Role="arn:aws:iam::000000000000:role/any", Layers=layers, Code={"ZipFile": code.getvalue()})
    lambda_.get_waiter("function_active_v2").wait(FunctionName="f")
    answers = [json.loads(lambda_.invoke(FunctionName="f", Payload=json.dumps(i))["Payload"].read())
               for i in range(3)]
    status = json.loads(hearth.hearth("status", "--json").stdout)
    saved, restored = None, None
    if status["isolation"]["backend"] != "none":
        lambda_.create_function(
            FunctionName="s", Runtime="python3.12", Handler="s.handler", Timeout=60, Publish=True,
            SnapStart={"ApplyOn": "PublishedVersions"},
            Role="arn:aws:iam::000000000000:role/any", Code={"ZipFile": code.getvalue()})
        lambda_.get_waiter("function_active_v2").wait(FunctionName="s", Qualifier="1")
        saved = lambda_.get_function_configuration(FunctionName="s", Qualifier="1")["SnapStart"]
        restored = [json.loads(lambda_.invoke(FunctionName="s", Qualifier="1")["Payload"].read())
                    for i in range(2)]
    processes = hearth.processes()
print(json.dumps({"saved": saved, "restored": restored, "answers": answers, "status": status,
                  "left": sorted(processes)}))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user, so it starts as root")
def test_ordinary_user_runs_a_cloud_with_isolated_functions():
    directory = tempfile.mkdtemp(prefix="hearth-rootless-")
    try:
        os.chmod(directory, 0o755)
        build = hearth_up.build_directory()
        programs = os.path.join(directory, "bin")
        os.mkdir(programs, 0o755)
        for name in ("hearth", "hearth-cloud", "hearth-host", "hearth-init"):
            shutil.copy(os.path.join(build, name), programs)
            os.chmod(os.path.join(programs, name), 0o755)
        shutil.copytree(
            os.path.join(build, "runtimes", "python"), os.path.join(programs, "runtimes", "python")
        )
        for path, folders, _ in os.walk(programs):
            os.chmod(path, 0o755)
        shutil.copy(os.path.join(hearth_up.TESTS, "hearth_up.py"), directory)
        os.chmod(os.path.join(directory, "hearth_up.py"), 0o644)
        home = os.path.join(directory, "home")
        os.mkdir(home, 0o700)
        os.chown(home, USER, USER)
        done = subprocess.run(
            ["/usr/bin/setpriv", "--reuid", str(USER), "--regid", str(USER), "--clear-groups"]
            + ["/usr/bin/python3", "-B", "-c", JOB],
            cwd=home,
            env={
                **{name: value for name, value in os.environ.items() if name != "HEARTH_UP_OPTIONS"},
                "HOME": home,
                "TMPDIR": home,
                "PYTHONPATH": directory,
                "HEARTH_BIN": programs,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        seen = json.loads(done.stdout.splitlines()[-1])
        isolation = seen["status"]["isolation"]
        sys.stdout.write(f"\nas an ordinary user: {isolation}\n")
        if isolation["backend"] == "none":
            pytest.skip("this machine gives ordinary users no namespaces; functions ran without")
        assert [answer[0] for answer in seen["answers"]] == [0, 1, 2]
        assert all(sorted(answer[1]) == ["f.py", "s.py"] for answer in seen["answers"])
        layers = {"both": "2", "only-1": "1", "only-2": "2"}
        assert seen["saved"]["OptimizationStatus"] == "On"
        assert [answer[:2] for answer in seen["restored"]] == [["snap-start", 1], ["snap-start", 2]]
        assert all(answer[3] == layers for answer in seen["answers"])
    finally:
        shutil.rmtree(directory, ignore_errors=True)
