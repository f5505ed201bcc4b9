"""The quota of an account, made small so that a test reaches it."""

from held_calls import refused

HEARTH_OPTIONS = ("--account-concurrency", "102")


def test_settings_show_the_quota(client):
    limit = client.get_account_settings()["AccountLimit"]
    assert limit["ConcurrentExecutions"] == 102
    assert limit["UnreservedConcurrentExecutions"] == 102


def test_only_what_is_beyond_a_hundred_can_be_reserved(client, deploy):
    function = deploy()
    with refused("InvalidParameterValueException"):
        client.put_function_concurrency(
            FunctionName=function.name, ReservedConcurrentExecutions=3
        )
    client.put_function_concurrency(FunctionName=function.name, ReservedConcurrentExecutions=2)


def test_code_and_functions_are_counted(client, deploy):
    before = client.get_account_settings()["AccountUsage"]
    function = deploy()
    size = client.get_function_configuration(FunctionName=function.name)["CodeSize"]
    after = client.get_account_settings()["AccountUsage"]
    assert after["FunctionCount"] == before["FunctionCount"] + 1
    assert after["TotalCodeSize"] in (before["TotalCodeSize"], before["TotalCodeSize"] + size)
