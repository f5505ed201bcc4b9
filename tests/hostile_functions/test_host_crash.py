"""The host process is killed under a call: the call ends with Lambda's 5xx, the next ones work."""

import concurrent.futures
import os
import signal

import botocore.exceptions
import pytest

import deployed
import hearth_up


def test_a_call_in_flight_and_the_next_one(hearth):
    client = hearth.client("lambda")
    function = deployed.function(
        client,
        "f",
        "import time\ndef handler(event, context):\n    time.sleep(event)\n    return 'ok'\n",
    )
    assert function.invoke(0).json() == "ok"
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        call = pool.submit(function.invoke, 50)
        hearth_up.wait_for(
            lambda: b'"state":"busy"' in hearth.get("/_hearth/slots").read().replace(b" ", b""), "the call runs"
        )
        os.kill(hearth.pids()["host"], signal.SIGKILL)
        with pytest.raises(botocore.exceptions.ClientError) as refused:
            call.result(timeout=hearth_up.DEADLINE_S)
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] >= 500
    assert refused.value.response["Error"]["Code"] == "ServiceException"

    def works():
        try:
            return function.invoke(0).json() == "ok"
        except botocore.exceptions.ClientError as error:
            assert error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500
            return False

    hearth_up.wait_for(works, "calls work again")
