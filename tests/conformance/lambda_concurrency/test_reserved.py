"""Reserved concurrency: what is kept and shown, and what the calls see of it."""

import concurrent.futures
import time

from held_calls import invoke, refused, throttled

RESERVED = "ReservedFunctionConcurrentInvocationLimitExceeded"
BELOW = (
    "Specified ReservedConcurrentExecutions for function decreases account's "
    "UnreservedConcurrentExecution below its minimum value of [100]."
)


def put(client, function, count):
    return client.put_function_concurrency(
        FunctionName=function.name, ReservedConcurrentExecutions=count
    )


def unreserved(client):
    return client.get_account_settings()["AccountLimit"]["UnreservedConcurrentExecutions"]


def test_it_is_kept_and_shown(client, deploy, hearth):
    function = deploy()
    name = function.name
    assert "Concurrency" not in client.get_function(FunctionName=name)
    assert "ReservedConcurrentExecutions" not in client.get_function_concurrency(FunctionName=name)
    assert put(client, function, 7)["ReservedConcurrentExecutions"] == 7
    assert client.get_function_concurrency(FunctionName=name)["ReservedConcurrentExecutions"] == 7
    assert client.get_function(FunctionName=name)["Concurrency"] == {
        "ReservedConcurrentExecutions": 7
    }
    limit = client.get_account_settings()["AccountLimit"]
    assert limit["ConcurrentExecutions"] == 1000
    assert limit["UnreservedConcurrentExecutions"] == 993
    hearth.stop(keep_data=True)
    hearth.start()
    assert unreserved(client) == 993
    assert invoke(client, name) == "$LATEST"
    answer = client.delete_function_concurrency(FunctionName=name)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    client.delete_function_concurrency(FunctionName=name)
    assert "Concurrency" not in client.get_function(FunctionName=name)
    assert unreserved(client) == 1000
    # It goes with its function.
    put(client, function, 50)
    client.delete_function(FunctionName=name)
    assert unreserved(client) == 1000


def test_a_hundred_stay_unreserved(client, deploy):
    one, other = deploy(), deploy()
    with refused("InvalidParameterValueException", BELOW):
        put(client, one, 901)
    put(client, one, 500)
    with refused("InvalidParameterValueException", BELOW):
        put(client, other, 401)
    put(client, other, 400)
    assert unreserved(client) == 100
    # Its own old reserve does not count against it.
    put(client, other, 399)
    put(client, one, 0)
    assert unreserved(client) == 601


def test_the_sum_holds_whoever_reserves_at_once(client, deploy):
    functions = [deploy() for _ in range(8)]

    def reserve(function):
        try:
            return put(client, function, 200)["ReservedConcurrentExecutions"]
        except client.exceptions.InvalidParameterValueException:
            return 0

    with concurrent.futures.ThreadPoolExecutor(len(functions)) as callers:
        assert sum(callers.map(reserve, functions)) == 800
    assert unreserved(client) == 200


def test_what_is_refused(client, deploy):
    for call in (
        lambda: client.put_function_concurrency(
            FunctionName="absent", ReservedConcurrentExecutions=1
        ),
        lambda: client.get_function_concurrency(FunctionName="absent"),
        lambda: client.delete_function_concurrency(FunctionName="absent"),
    ):
        with refused(
            "ResourceNotFoundException",
            "Function not found: arn:aws:lambda:us-east-1:000000000000:function:absent",
        ):
            call()
    name = deploy().name
    version = client.publish_version(FunctionName=name)["Version"]
    with refused(
        "InvalidParameterValueException",
        "This operation is permitted on Lambda functions only. Aliases and versions do not support "
        "this operation. Please specify either a function name or an unqualified function ARN.",
    ):
        client.put_function_concurrency(
            FunctionName=f"{name}:{version}", ReservedConcurrentExecutions=1
        )


def test_none_stops_a_function_at_once_and_any_starts_it_again(client, deploy):
    function = deploy()
    assert invoke(client, function.name) == "$LATEST"
    put(client, function, 0)
    # Its environment is still there, and still no call reaches it.
    with throttled(RESERVED):
        invoke(client, function.name)
    client.delete_function_concurrency(FunctionName=function.name)
    assert invoke(client, function.name) == "$LATEST"


def test_it_counts_over_all_versions(client, deploy, hold):
    function = deploy()
    version = client.publish_version(FunctionName=function.name)["Version"]
    put(client, function, 2)
    held = hold(function)
    held.start()
    held.start(version)
    for qualifier in ("$LATEST", version):
        with throttled(RESERVED):
            invoke(client, f"{function.name}:{qualifier}")
    assert sorted(held.let_go()) == ["$LATEST", version]
    assert invoke(client, function.name) == "$LATEST"


def test_changes_reach_running_calls(client, deploy, hold):
    function = deploy()
    put(client, function, 1)
    held = hold(function)
    held.start()
    with throttled(RESERVED):
        invoke(client, function.name)
    put(client, function, 2)
    assert invoke(client, function.name) == "$LATEST"
    # Below what runs now: nothing is ended, nothing more is let in.
    held.start()
    put(client, function, 1)
    with throttled(RESERVED):
        invoke(client, function.name)
    # Without a reserve it shares with all others again.
    client.delete_function_concurrency(FunctionName=function.name)
    assert invoke(client, function.name) == "$LATEST"
    assert held.let_go() == ["$LATEST", "$LATEST"]


def test_ten_calls_a_second_for_each(client, deploy):
    function = deploy("def handler(event, context):\n    return 1\n")
    invoke(client, function.name)
    put(client, function, 1)
    started = time.monotonic()
    calls = 400
    try:
        for _ in range(calls):
            invoke(client, function.name)
    except client.exceptions.TooManyRequestsException as error:
        assert error.response["Reason"] == "ReservedFunctionInvocationRateLimitExceeded"
        assert error.response["ResponseMetadata"]["HTTPHeaders"]["retry-after"] == "1"
    else:
        # On a machine so slow that they come one by one in time, none is too many.
        assert time.monotonic() - started >= (calls - 10) / 10
