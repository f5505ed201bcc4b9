"""A quota of three calls: what shares it and what does not."""

from held_calls import invoke, refused, throttled

HEARTH_OPTIONS = ("--account-concurrency", "3")
SHARED = "ConcurrentInvocationLimitExceeded"


def test_functions_share_the_quota(client, deploy, hold):
    one, other = deploy(), deploy()
    first, second = hold(one), hold(other)
    first.start()
    first.start()
    second.start()
    for function in (one, other):
        with throttled(SHARED):
            invoke(client, function.name)
    assert second.let_go() == ["$LATEST"]
    assert invoke(client, one.name) == "$LATEST"
    assert first.let_go() == ["$LATEST", "$LATEST"]


def test_nothing_can_be_reserved_where_all_must_stay_unreserved(client, deploy):
    function = deploy()
    with refused(
        "InvalidParameterValueException",
        "Specified ReservedConcurrentExecutions for function decreases account's "
        "UnreservedConcurrentExecution below its minimum value of [3].",
    ):
        client.put_function_concurrency(
            FunctionName=function.name, ReservedConcurrentExecutions=1
        )
    # Stopping one needs nothing from the others.
    client.put_function_concurrency(FunctionName=function.name, ReservedConcurrentExecutions=0)
    with throttled("ReservedFunctionConcurrentInvocationLimitExceeded"):
        invoke(client, function.name)
