"""Access logs: lines of requests, delivered as objects after some minutes of the cloud's clock."""

import json
import re

HEARTH_OPTIONS = ("--test-clock",)


def advance(hearth, by):
    with hearth.get(f"/_hearth/clock/advance?by={by}", "POST", b"") as answer:
        return json.load(answer)


def lines(s3, bucket, prefix):
    found = []
    for entry in s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", []):
        body = s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read().decode()
        found.extend(body.splitlines())
    return found


def test_requests_become_lines(hearth, s3, bucket, unique):
    logs = unique("logs")
    s3.create_bucket(Bucket=logs)
    s3.put_bucket_logging(
        Bucket=bucket,
        BucketLoggingStatus={"LoggingEnabled": {"TargetBucket": logs, "TargetPrefix": "log/"}},
    )
    s3.put_object(Bucket=bucket, Key="a b", Body=b"content")
    s3.get_object(Bucket=bucket, Key="a b")["Body"].read()
    try:
        s3.get_object(Bucket=bucket, Key="none")
    except s3.exceptions.NoSuchKey:
        pass
    assert lines(s3, logs, "log/") == []
    advance(hearth, "6m")
    got = lines(s3, logs, "log/")
    assert all(len(line) > 64 and line.split(" ")[1] == bucket for line in got)
    operations = [re.search(r"REST\.\S+ \S+", line).group() for line in got]
    assert operations == [
        "REST.PUT.OBJECT a%20b",
        "REST.GET.OBJECT a%20b",
        "REST.GET.OBJECT none",
    ]
    assert " 200 - 7 - " in got[1]
    assert " 404 NoSuchKey " in got[2]
    key = s3.list_objects_v2(Bucket=logs)["Contents"][0]["Key"]
    assert re.fullmatch(r"log/\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d-[0-9A-F]{16}", key)
