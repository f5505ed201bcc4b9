"""SIGTERM: what is in flight is answered, then everything ends."""

import concurrent.futures
import io
import json
import zipfile

import hearth_up

CODE = "import time\ndef handler(event, context):\n    time.sleep(event['seconds'])\n    return 'done'\n"


def test_calls_in_flight_are_answered():
    with hearth_up.Hearth() as hearth:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("index.py", CODE)
        functions = hearth.client("lambda")
        functions.create_function(
            FunctionName="slow",
            Runtime="python3.11",
            Handler="index.handler",
            Role="arn:aws:iam::000000000000:role/any",
            Timeout=120,
            Code={"ZipFile": buffer.getvalue()},
        )
        functions.get_waiter("function_active_v2").wait(FunctionName="slow")

        def invoke(seconds):
            answer = functions.invoke(
                FunctionName="slow", Payload=json.dumps({"seconds": seconds})
            )
            return answer["StatusCode"], answer["Payload"].read()

        assert invoke(0) == (200, b'"done"')
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            calls = [pool.submit(invoke, 5) for _ in range(4)]

            def all_under_way():
                # The four and this request itself.
                status = json.loads(hearth.get("/_hearth/status").read())
                return status["requests_in_flight"] == 5

            hearth_up.wait_for(all_under_way, "four calls in flight")
            assert hearth.stop(keep_data=True) == 0
            assert [call.result() for call in calls] == [(200, b'"done"')] * 4
