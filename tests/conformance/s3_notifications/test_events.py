"""Which event comes of which change, and what it says. Source: S3 User Guide, "Event message structure"."""

import http.client
import json
import re
import urllib.parse

from s3_notifications_support import only, tell

CANONICAL = re.compile(r"[0-9a-f]{64}")


def names(records):
    return sorted(record["eventName"] for record in records)


def test_a_put_is_told(s3, told, queue):
    answer = s3.put_object(Bucket=told, Key="a b+c/ä.txt", Body=b"hello")
    event = queue.event()
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    assert event["eventVersion"] == "2.1"
    assert event["eventSource"] == "aws:s3"
    assert event["awsRegion"] == "us-east-1"
    assert event["eventName"] == "ObjectCreated:Put"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", event["eventTime"])
    assert CANONICAL.fullmatch(event["userIdentity"]["principalId"])
    assert event["requestParameters"] == {"sourceIPAddress": "127.0.0.1"}
    assert event["responseElements"] == {
        "x-amz-request-id": headers["x-amz-request-id"],
        "x-amz-id-2": headers["x-amz-id-2"],
    }
    told_s3 = event["s3"]
    assert told_s3["s3SchemaVersion"] == "1.0"
    kept = s3.get_bucket_notification_configuration(Bucket=told)
    assert told_s3["configurationId"] == kept["QueueConfigurations"][0]["Id"]
    assert told_s3["bucket"]["name"] == told
    assert told_s3["bucket"]["arn"] == f"arn:aws:s3:::{told}"
    assert CANONICAL.fullmatch(told_s3["bucket"]["ownerIdentity"]["principalId"])
    thing = told_s3["object"]
    assert set(thing) == {"key", "size", "eTag", "sequencer"}
    assert thing["key"] == "a+b%2Bc/%C3%A4.txt"
    assert urllib.parse.unquote_plus(thing["key"]) == "a b+c/ä.txt"
    assert thing["size"] == 5
    assert thing["eTag"] == answer["ETag"].strip('"')
    assert re.fullmatch(r"[0-9A-F]{18}", thing["sequencer"])


def test_a_form_of_a_web_page_is_told_as_such(hearth, s3, told, queue):
    form = s3.generate_presigned_post(told, "from a page")
    parts = [f'--cut\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in form["fields"].items()]
    parts.append('--cut\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nhello\r\n--cut--\r\n')
    connection = http.client.HTTPConnection("127.0.0.1", hearth.port)
    connection.request(
        "POST", f"/{told}", "".join(parts), {"Content-Type": "multipart/form-data; boundary=cut"}
    )
    assert connection.getresponse().status == 204
    event = queue.event()
    assert event["eventName"] == "ObjectCreated:Post"
    assert (event["s3"]["object"]["key"], event["s3"]["object"]["size"]) == ("from+a+page", 5)


def test_each_way_to_make_and_remove_an_object_has_its_event(s3, told, queue):
    s3.put_object(Bucket=told, Key="a", Body=b"1")
    s3.copy_object(Bucket=told, Key="b", CopySource=f"{told}/a")
    upload = s3.create_multipart_upload(Bucket=told, Key="c")["UploadId"]
    where = {"Bucket": told, "Key": "c", "UploadId": upload}
    part = s3.upload_part(PartNumber=1, Body=b"123", **where)
    s3.complete_multipart_upload(
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}, **where
    )
    s3.put_object_tagging(Bucket=told, Key="a", Tagging={"TagSet": [{"Key": "k", "Value": "v"}]})
    s3.delete_object_tagging(Bucket=told, Key="a")
    s3.delete_object(Bucket=told, Key="a")
    s3.delete_objects(Bucket=told, Delete={"Objects": [{"Key": "b"}, {"Key": "c"}, {"Key": "d"}]})
    # Of "d", which was never there, nothing is told.
    records = queue.events(8)
    assert names(records) == [
        "ObjectCreated:CompleteMultipartUpload",
        "ObjectCreated:Copy",
        "ObjectCreated:Put",
        "ObjectRemoved:Delete",
        "ObjectRemoved:Delete",
        "ObjectRemoved:Delete",
        "ObjectTagging:Delete",
        "ObjectTagging:Put",
    ]
    by_name = {record["eventName"]: record for record in records}
    assert by_name["ObjectCreated:CompleteMultipartUpload"]["s3"]["object"]["size"] == 3
    assert by_name["ObjectTagging:Put"]["eventVersion"] == "2.3"
    assert set(by_name["ObjectRemoved:Delete"]["s3"]["object"]) == {"key", "sequencer"}


def test_an_acl_is_told(s3, told, queue):
    s3.put_bucket_ownership_controls(
        Bucket=told, OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]}
    )
    s3.put_object(Bucket=told, Key="a", Body=b"1")
    s3.put_object_acl(Bucket=told, Key="a", ACL="private")
    assert names(queue.events(2)) == ["ObjectAcl:Put", "ObjectCreated:Put"]


def test_versions_and_markers_are_told(s3, told, queue):
    s3.put_bucket_versioning(Bucket=told, VersioningConfiguration={"Status": "Enabled"})
    put = s3.put_object(Bucket=told, Key="a", Body=b"1")
    marker = s3.delete_object(Bucket=told, Key="a")
    s3.delete_object(Bucket=told, Key="a", VersionId=put["VersionId"])
    records = queue.events(3)
    assert [record["eventName"] for record in records] == [
        "ObjectCreated:Put",
        "ObjectRemoved:DeleteMarkerCreated",
        "ObjectRemoved:Delete",
    ]
    versions = [record["s3"]["object"]["versionId"] for record in records]
    assert versions == [put["VersionId"], marker["VersionId"], put["VersionId"]]


def test_sequencers_grow_with_the_changes_of_a_key(s3, told, queue):
    etags = []
    for number in range(20):
        etags.append(s3.put_object(Bucket=told, Key="k", Body=str(number).encode())["ETag"].strip('"'))
        if number % 5 == 4:
            s3.delete_object(Bucket=told, Key="k")
            etags.append(None)
    assert [record["s3"]["object"].get("eTag") for record in queue.events(24)] == etags


def test_only_what_a_filter_lets_through_is_told(s3, bucket, queue):
    rules = {
        "Key": {
            "FilterRules": [
                {"Name": "Prefix", "Value": "in/"},
                {"Name": "Suffix", "Value": ".fq"},
            ]
        }
    }
    tell(s3, bucket, queue, ["s3:ObjectCreated:Put"], Filter=rules)
    for key in ("in/a.txt", "out/a.fq", "in/a.fq"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"1")
    s3.copy_object(Bucket=bucket, Key="in/b.fq", CopySource=f"{bucket}/in/a.fq")
    s3.put_object(Bucket=bucket, Key="in/c.fq", Body=b"1")
    keys = [record["s3"]["object"]["key"] for record in queue.events(2)]
    assert keys == ["in/a.fq", "in/c.fq"]


def test_what_fails_is_not_told(s3, told, queue):
    s3.put_object(Bucket=told, Key="a", Body=b"1")
    try:
        s3.put_object(Bucket=told, Key="a", Body=b"2", ContentMD5="AAAAAAAAAAAAAAAAAAAAAA==")
        raise AssertionError("a wrong MD5 was taken")
    except s3.exceptions.ClientError:
        pass
    s3.put_object(Bucket=told, Key="a", Body=b"3")
    sizes = [record["s3"]["object"]["eTag"] for record in queue.events(2)]
    assert sizes == ["c4ca4238a0b923820dcc509a6f75849b", "eccbc87e4b5ce2fe28308fd9f2a7baf3"]


def test_after_the_configuration_is_gone_nothing_is_told(s3, bucket, queue):
    tell(s3, bucket, queue, ["s3:ObjectCreated:*"], Filter=only("prefix", "a"))
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
    s3.put_object(Bucket=bucket, Key="a1", Body=b"1")
    tell(s3, bucket, queue, ["s3:ObjectCreated:*"])
    s3.put_object(Bucket=bucket, Key="a2", Body=b"1")
    assert queue.event()["s3"]["object"]["key"] == "a2"


def test_the_trace_of_a_call_goes_along(s3, told, queue):
    trace = "Root=1-67891233-abcdef012345678912345678;Lineage=a87bd80c:1"

    def add(params, **_):
        params["headers"]["X-Amzn-Trace-Id"] = trace

    s3.meta.events.register("before-call.s3.PutObject", add)
    try:
        s3.put_object(Bucket=told, Key="a", Body=b"1")
    finally:
        s3.meta.events.unregister("before-call.s3.PutObject", add)
    (message,) = queue.messages(1, ["AWSTraceHeader"])
    assert json.loads(message["Body"])["Records"][0]["eventName"] == "ObjectCreated:Put"
    assert message["Attributes"]["AWSTraceHeader"] == trace
