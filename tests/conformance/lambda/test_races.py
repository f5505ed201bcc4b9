"""Many callers at once: one winner where there can be one, no number twice, no code lost or left behind."""

import concurrent.futures
import os
import random

import botocore.exceptions
import hearth_up
from functions import ROLE, code, zip_of

import pytest

HEARTH_OPTIONS = () if "--threads" in os.environ.get("HEARTH_UP_OPTIONS", "") else ("--threads", "4")
CALLERS = 12


def at_once(calls):
    """Runs all calls; returns (results, error codes). A 5xx is nobody's right."""
    results, errors = [], []
    with concurrent.futures.ThreadPoolExecutor(CALLERS) as pool:
        for future in [pool.submit(call) for call in calls]:
            try:
                results.append(future.result())
            except botocore.exceptions.ClientError as error:
                status = error.response["ResponseMetadata"]["HTTPStatusCode"]
                assert status < 500, error
                errors.append(error.response["Error"]["Code"])
    return results, errors


def creation(client, name, archive=None):
    return client.create_function(
        FunctionName=name,
        Runtime="python3.12",
        Role=ROLE,
        Handler="index.handler",
        Code={"ZipFile": archive or code()["ZipFile"]},
    )


def test_one_creation_wins(client, unique):
    name = unique("race")
    results, errors = at_once([lambda: creation(client, name) for _ in range(CALLERS)])
    assert len(results) == 1
    assert set(errors) == {"ResourceConflictException"}


def test_version_numbers_are_given_once(client, create):
    name = create()["FunctionName"]

    def change_and_publish(number):
        client.update_function_configuration(FunctionName=name, Description=str(number))
        return client.publish_version(FunctionName=name)["Version"]

    results, errors = at_once([lambda n=n: change_and_publish(n) for n in range(30)])
    assert not errors
    listed = client.list_versions_by_function(FunctionName=name)["Versions"][1:]
    numbers = [int(version["Version"]) for version in listed]
    assert numbers == list(range(1, len(numbers) + 1))
    assert set(map(int, results)) == set(numbers)


def test_one_of_two_updates_with_the_same_revision(client, create):
    made = create()
    results, errors = at_once(
        [
            lambda n=n: client.update_function_configuration(
                FunctionName=made["FunctionName"], Timeout=n + 1, RevisionId=made["RevisionId"]
            )
            for n in range(CALLERS)
        ]
    )
    assert len(results) == 1
    assert set(errors) == {"PreconditionFailedException"}


def test_calls_while_the_code_changes(client, create):
    """No call fails because its code is being replaced, and none sees code older than its start."""
    name = create(Code=code("def handler(event, context): return 0\n"))["FunctionName"]
    deployed = [0]

    def deploy():
        for number in range(1, 31):
            client.update_function_code(
                FunctionName=name,
                ZipFile=code(f"def handler(event, context): return {number}\n")["ZipFile"],
            )
            deployed[0] = number

    def call():
        for _ in range(25):
            before = deployed[0]
            answer = client.invoke(FunctionName=name)
            assert "FunctionError" not in answer
            # One more than was known: an update may be committed before its answer arrives.
            assert before <= int(answer["Payload"].read()) <= deployed[0] + 1

    results, errors = at_once([deploy, *[call] * 4])
    assert not errors


@pytest.mark.parametrize("ending", ["stop", "kill"])
def test_code_comes_and_goes_with_its_functions(ending):
    """Few zips shared by many short lives: at the end exactly the code of the living is there, and runs."""
    seed = int(os.environ.get("HEARTH_SEED", "20260131"))
    print("seed", seed)
    dice = random.Random(seed)
    archives = [
        zip_of({"index.py": f"def handler(event, context): return {number}\n"}) for number in range(3)
    ]
    with hearth_up.Hearth(options=HEARTH_OPTIONS) as hearth:
        client = hearth.client("lambda", pool=CALLERS)

        def life(name, choices):
            for choice, number in choices:
                try:
                    if choice == "create":
                        creation(client, name, archives[number])
                    elif choice == "update":
                        client.update_function_code(
                            FunctionName=name, ZipFile=archives[number], Publish=number == 0
                        )
                    else:
                        client.delete_function(FunctionName=name)
                except botocore.exceptions.ClientError as error:
                    code_of = error.response["Error"]["Code"]
                    assert code_of in ("ResourceConflictException", "ResourceNotFoundException"), error

        lives = []
        for _ in range(48):
            name = f"f{dice.randrange(8)}"
            choices = [
                (dice.choice(["create", "update", "delete"]), dice.randrange(3)) for _ in range(10)
            ]
            lives.append(lambda name=name, choices=choices: life(name, choices))
        at_once(lives)

        if ending == "stop":
            hearth.stop(keep_data=True)
        else:
            hearth.kill()
        hearth.start()
        client = hearth.client("lambda")
        alive = client.list_functions()["Functions"]
        used = {function["CodeSha256"] for function in alive}
        for function in alive:
            versions = client.list_versions_by_function(FunctionName=function["FunctionName"])
            used |= {version["CodeSha256"] for version in versions["Versions"]}
            answer = client.invoke(FunctionName=function["FunctionName"])
            assert "FunctionError" not in answer
            assert int(answer["Payload"].read()) in range(3)
        blobs = os.path.join(hearth.data, "blobs")
        kept = [name for name in os.listdir(blobs) if name.startswith("lambda-")]
        assert len(kept) == len(used)
        usage = client.get_account_settings()["AccountUsage"]
        assert usage["FunctionCount"] == len(alive)

        def swept():
            unpacked = os.listdir(os.path.join(hearth.data, "code"))
            return len([name for name in unpacked if name.startswith("lambda-")]) == len(used)

        hearth_up.wait_for(swept, "unpacked code of the living alone")
        for function in alive:
            client.delete_function(FunctionName=function["FunctionName"])
        hearth_up.wait_for(
            lambda: not [name for name in os.listdir(blobs) if name.startswith("lambda-")],
            "no code without functions",
        )


def test_killed_clouds_lose_no_code():
    """kill -9 of the cloud in the middle of creations, updates and deletions: what is listed afterwards runs."""
    seed = int(os.environ.get("HEARTH_SEED", "20260201"))
    print("seed", seed)
    dice = random.Random(seed)
    kills = int(os.environ.get("HEARTH_SOAK_COUNT", "3"))
    archives = [
        zip_of({"index.py": f"def handler(event, context): return {number}\n"}) for number in range(4)
    ]
    with hearth_up.Hearth(options=HEARTH_OPTIONS) as hearth:
        client = hearth.client("lambda", pool=CALLERS)
        done = []
        stop = []
        acknowledged = {}

        def life(name, own):
            while not stop:
                try:
                    number = own.randrange(4)
                    choice = own.choice(["create", "update", "delete"])
                    # Until the answer nobody can say; then exactly the last answer counts.
                    before = acknowledged.pop(name, None)
                    if choice == "create":
                        creation(client, name, archives[number])
                        acknowledged[name] = number
                    elif choice == "update":
                        client.update_function_code(
                            FunctionName=name, ZipFile=archives[number], Publish=True
                        )
                        acknowledged[name] = number
                    else:
                        client.delete_function(FunctionName=name)
                        acknowledged[name] = "gone"
                except botocore.exceptions.ClientError as error:
                    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
                    if status < 500 and before is not None:
                        acknowledged[name] = before  # refused: nothing changed
                except botocore.exceptions.BotoCoreError:
                    pass  # the cloud died under the call
                done.append(name)

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            # One caller for each name, so that its record of it is right.
            lives = [
                pool.submit(life, f"f{number}", random.Random(dice.random())) for number in range(8)
            ]
            for _ in range(kills):
                target = len(done) + dice.randrange(20, 60)
                hearth_up.wait_for(lambda: len(done) >= target, f"{target} calls")
                hearth.kill("cloud")
            target = len(done) + 40
            hearth_up.wait_for(lambda: len(done) >= target, "calls after the last kill")
            stop.append(True)
            for one in lives:
                one.result()

        hearth.stop(keep_data=True)
        hearth.start()
        client = hearth.client("lambda")
        alive = {f["FunctionName"]: f for f in client.list_functions()["Functions"]}
        for name, number in acknowledged.items():
            if number == "gone":
                assert name not in alive
            else:
                answer = client.invoke(FunctionName=name)
                assert "FunctionError" not in answer
                assert int(answer["Payload"].read()) == number, name
        used = set()
        for name in alive:
            for page in client.get_paginator("list_versions_by_function").paginate(FunctionName=name):
                used |= {version["CodeSha256"] for version in page["Versions"]}
                for version in page["Versions"][-2:]:
                    answer = client.invoke(FunctionName=name, Qualifier=version["Version"])
                    assert "FunctionError" not in answer

        def kept():
            blobs = os.listdir(os.path.join(hearth.data, "blobs"))
            return len([name for name in blobs if name.startswith("lambda-")])

        hearth_up.wait_for(lambda: kept() == len(used), "a sweep of what no record names")
