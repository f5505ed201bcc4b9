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
