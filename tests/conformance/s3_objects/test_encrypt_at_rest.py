"""--encrypt-at-rest: what lies on the disk, and what is said of it."""

import os

import hearth_up

KEY = b"k" * 32


def text(number, size=64 * 1024):
    """Bytes that are found again wherever they lie in the plain."""
    return (f"<object {number} in the plain>" * (size // 20)).encode()[:size]


def is_plain(hearth, content):
    """Whether a file of bodies holds the first words of `content` as they are."""
    words = content[: content.index(b">") + 1]
    for directory, _, files in os.walk(os.path.join(hearth.data, "objects")):
        for name in files:
            with open(os.path.join(directory, name), "rb") as file:
                if words in file.read():
                    return True
    return False


def upload(s3, key, content):
    begun = s3.create_multipart_upload(Bucket="bucket", Key=key)
    part = s3.upload_part(
        Bucket="bucket", Key=key, UploadId=begun["UploadId"], PartNumber=1, Body=content
    )
    done = s3.complete_multipart_upload(
        Bucket="bucket",
        Key=key,
        UploadId=begun["UploadId"],
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]},
    )
    return [answer.get("ServerSideEncryption") for answer in (begun, part, done)]


def get(s3, key, **more):
    return s3.get_object(Bucket="bucket", Key=key, **more)["Body"].read()


def test_off_is_plain_and_says_so_and_on_again_seals_what_comes():
    with hearth_up.Hearth(options=("--encrypt-at-rest", "off")) as hearth:
        s3 = hearth.client("s3")
        s3.create_bucket(Bucket="bucket")
        put = s3.put_object(Bucket="bucket", Key="one", Body=text(1))
        assert "ServerSideEncryption" not in put
        assert "ServerSideEncryption" not in s3.head_object(Bucket="bucket", Key="one")
        assert is_plain(hearth, text(1))
        assert upload(s3, "two", text(2)) == [None, None, None]
        assert is_plain(hearth, text(2))
        assert "ServerSideEncryption" not in s3.copy_object(
            Bucket="bucket", Key="copy", CopySource="bucket/one"
        )
        # Whoever brings a key means it.
        customer = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": KEY}
        s3.put_object(Bucket="bucket", Key="sealed", Body=text(3), **customer)
        assert not is_plain(hearth, text(3))
        assert get(s3, "sealed", **customer) == text(3)

        assert hearth.stop(keep_data=True) == 0
        hearth.options = []
        hearth.start()
        s3 = hearth.client("s3")
        assert get(s3, "one") == text(1)
        assert "ServerSideEncryption" not in s3.head_object(Bucket="bucket", Key="one")
        put = s3.put_object(Bucket="bucket", Key="four", Body=text(4))
        assert put["ServerSideEncryption"] == "AES256"
        assert not is_plain(hearth, text(4))
        assert upload(s3, "five", text(5)) == ["AES256"] * 3
        assert not is_plain(hearth, text(5))
        assert get(s3, "two") == text(2)
        assert get(s3, "five") == text(5)
