"""What of uploads survives kill -9, and that room comes back."""

import contextlib
import os
import threading

import botocore.exceptions
import pytest

import hearth_up
from s3_multipart_support import MB, PART, Upload, content, etag_of, refused


@pytest.fixture
def own():
    """A Hearth that may be killed."""
    with hearth_up.Hearth() as hearth:
        yield hearth


def kill_cloud(hearth):
    hearth.kill("cloud")
    hearth.wait_ready()


def bodies(hearth):
    """How many bytes the files of bodies have; small bodies are in the store."""
    total = 0
    for folder, _, names in os.walk(os.path.join(hearth.data, "objects")):
        for name in names:
            # One may go between being named and being looked at.
            with contextlib.suppress(FileNotFoundError):
                total += os.path.getsize(os.path.join(folder, name))
    return total


def wait_for_bytes(hearth, most):
    hearth_up.wait_for(lambda: bodies(hearth) <= most, f"bodies of at most {most} bytes")


def test_uploads_survive(own):
    s3 = own.client("s3", retries=5)
    s3.create_bucket(Bucket="survival")
    upload = Upload(s3, "survival", "key")
    upload.put(1, content(PART, 1))
    kill_cloud(own)
    upload.put(2, b"after the first")
    kill_cloud(own)
    assert [part["PartNumber"] for part in upload.parts()["Parts"]] == [1, 2]
    done = upload.complete()
    assert done["ETag"] == etag_of([content(PART, 1), b"after the first"])
    kill_cloud(own)
    body = s3.get_object(Bucket="survival", Key="key")["Body"].read()
    assert body == content(PART, 1) + b"after the first"
    # The first answer might have been lost.
    assert upload.complete()["ETag"] == done["ETag"]


def test_room_comes_back(own):
    s3 = own.client("s3")
    s3.create_bucket(Bucket="room")
    wait_for_bytes(own, MB)
    upload = Upload(s3, "room", "aborted")
    for number in range(1, 4):
        upload.put(number, content(PART, number))
    assert bodies(own) >= 3 * PART
    upload.abort()
    wait_for_bytes(own, MB)
    # A part that is replaced, and one that is not listed.
    upload = Upload(s3, "room", "key")
    upload.put(1, content(PART, 1))
    upload.put(1, content(PART, 2))
    upload.put(2, content(PART, 3))
    upload.complete(1)
    wait_for_bytes(own, PART + MB)
    # An object in parts that is overwritten, and deleted.
    upload = Upload(s3, "room", "key")
    upload.put(1, content(PART, 4))
    upload.put(2, b"end")
    upload.complete()
    wait_for_bytes(own, PART + MB)
    s3.delete_object(Bucket="room", Key="key")
    wait_for_bytes(own, MB)
    # A bucket with an upload in progress.
    upload = Upload(s3, "room", "key")
    upload.put(1, content(PART, 1))
    s3.delete_bucket(Bucket="room")
    wait_for_bytes(own, MB)


def abort_if_it_can(s3, upload):
    with contextlib.suppress(
        s3.exceptions.NoSuchUpload, botocore.exceptions.HTTPClientError
    ):
        s3.abort_multipart_upload(**upload.where)


def test_a_start_takes_away_what_a_killed_abort_left(own):
    s3 = own.client("s3", retries=5)
    s3.create_bucket(Bucket="survival")
    for round_number in range(3):
        upload = Upload(s3, "survival", f"key{round_number}")
        for number in range(1, 30):
            upload.put(number, content(200_000, number))
        # Killed at some moment of it, before or after.
        impatient = own.client("s3")
        abort = threading.Thread(target=lambda: abort_if_it_can(impatient, upload))
        abort.start()
        kill_cloud(own)
        abort.join()
        abort_if_it_can(s3, upload)
        with refused("NoSuchUpload", status=404):
            upload.parts()
        wait_for_bytes(own, MB)
