"""Quality sums of FASTQ objects, event driven; see ../README.md.

A bucket tells a queue what was put into it, the queue calls this function with some of its messages, and
the result of each object becomes an object in the bucket that RESULTS names.
"""

import json
import os
import time
import urllib.parse

import boto3

import quality

s3 = boto3.client("s3")


def results_of(bucket, key, context):
    fastq = s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode()
    result = quality.handler({"fastq": fastq}, context)
    s3.put_object(
        Bucket=os.environ["RESULTS"],
        Key=key + ".json",
        Body=json.dumps(result).encode(),
        ContentType="application/json",
        Metadata={"done": str(time.time())},
    )


def handler(event, context):
    failed = []
    for message in event["Records"]:
        try:
            # s3:TestEvent, with which a bucket tries a queue, has no Records.
            for record in json.loads(message["body"]).get("Records", []):
                key = urllib.parse.unquote_plus(record["s3"]["object"]["key"])
                results_of(record["s3"]["bucket"]["name"], key, context)
        except Exception as error:
            print(f"{message['messageId']} comes back: {error!r}")
            failed.append({"itemIdentifier": message["messageId"]})
    # Only these are tried again.
    return {"batchItemFailures": failed}
