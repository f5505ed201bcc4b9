"""What waits when Hearth stops is there when it is back."""

import hearth_up
from lambda_async_support import FAILS, Function, Queue, advance


def test_events_and_records_outlive_a_restart():
    with hearth_up.Hearth(options=("--test-clock",)) as hearth:
        client, sqs = hearth.client("lambda"), hearth.client("sqs")
        queue = Queue(hearth, sqs, "outcome")
        function = Function(hearth, client, "waits", FAILS)
        function.configure(retries=1, failure=queue.arn)
        request_id = function.send({"n": 1})
        function.wait_for_starts(1)
        # Its retry is written down.
        advance(hearth, "1s")
        assert hearth.stop(keep_data=True) == 0
        hearth.start()
        assert function.starts() == [request_id]
        advance(hearth, "1m")
        assert function.wait_for_starts(2) == [request_id] * 2
        record = queue.record()
        assert record["requestContext"]["requestId"] == request_id
        assert record["requestContext"]["approximateInvokeCount"] == 2
