"""What a disk does to objects: it is full, it changes bytes, it has to have its room back."""

import concurrent.futures
import contextlib
import glob
import hashlib
import json
import os
import subprocess
import tempfile

import botocore.exceptions
import pytest

import hearth_up

BUCKET = "disk"
MIB = 1 << 20


def content(seed, size):
    piece = hashlib.sha256(str(seed).encode()).digest()
    return (piece * (size // len(piece) + 1))[:size]


def read(s3, key, **more):
    return s3.get_object(Bucket=BUCKET, Key=key, **more)["Body"].read()


def files_of_bodies(hearth):
    found = []
    for folder, _, names in os.walk(os.path.join(hearth.data, "objects")):
        if os.path.basename(folder) != "open":
            found += [os.path.join(folder, name) for name in names]
    return sorted(found)


def bytes_of_store(hearth):
    """Of the store's tables; its log is as long as it likes."""
    total = 0
    for path in glob.glob(os.path.join(hearth.data, "kv", "*.sst")):
        with contextlib.suppress(FileNotFoundError):
            total += os.path.getsize(path)
    return total


def bytes_of_bodies(hearth):
    total = 0
    for path in files_of_bodies(hearth):
        with contextlib.suppress(FileNotFoundError):
            total += os.stat(path).st_blocks * 512
    return total


def code_of(call):
    """None when it succeeds, else (status, code); no answer counts as 503."""
    try:
        call()
        return None
    except botocore.exceptions.ClientError as error:
        return error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"]
    except botocore.exceptions.HTTPClientError:
        return 503, "NoAnswer"


def policy(number):
    """Some kilobytes that name a number."""
    statement = {
        "Sid": f"n{number}",
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::000000000000:root"},
        "Action": "s3:GetObject",
        "Resource": [f"arn:aws:s3:::{BUCKET}/{'r' * 200}-{n}" for n in range(60)],
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@contextlib.contextmanager
def small_disk(megabytes):
    root = tempfile.mkdtemp(prefix="hearth-disk-")
    data = os.path.join(root, "data")
    os.mkdir(data)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0755", "tmpfs", data],
        capture_output=True,
        text=True,
    )
    try:
        if mounted.returncode != 0:
            pytest.skip(f"no file system can be mounted here: {mounted.stderr}")
        yield data
    finally:
        if mounted.returncode == 0:
            # Lazily: whatever still has it open lets go of it when it ends.
            subprocess.run(["umount", "-l", data], check=False)
        for path in glob.glob(os.path.join(root, "*")):
            with contextlib.suppress(OSError):
                os.rmdir(path) if os.path.isdir(path) else os.unlink(path)
        with contextlib.suppress(OSError):
            os.rmdir(root)


def test_a_full_disk_refuses_bodies_and_nothing_else():
    with small_disk(160) as data, hearth_up.Hearth(data=data) as hearth:
        s3 = hearth.client("s3")
        s3.create_bucket(Bucket=BUCKET)
        stored = {}
        refused = None
        while refused is None:
            key = f"large-{len(stored)}"
            body = content(key, 9 * MIB)
            refused = code_of(lambda: s3.put_object(Bucket=BUCKET, Key=key, Body=body))
            if refused is None:
                stored[key] = hashlib.md5(body).hexdigest()
        assert refused == (507, "InsufficientStorage")
        assert len(stored) >= 5
        # Small ones, which lie in the store itself, stop in time, too.
        for number in range(100_000):
            key = f"small-{number}"
            body = content(key, 16_000)
            refused = code_of(lambda: s3.put_object(Bucket=BUCKET, Key=key, Body=body))
            if refused is not None:
                break
            stored[key] = hashlib.md5(body).hexdigest()
        assert refused == (507, "InsufficientStorage")
        upload = s3.create_multipart_upload(Bucket=BUCKET, Key="parts")["UploadId"]
        where = {"Bucket": BUCKET, "Key": "parts", "UploadId": upload}
        assert code_of(
            lambda: s3.upload_part(PartNumber=1, Body=content("part", 9 * MIB), **where)
        ) == (507, "InsufficientStorage")
        s3.abort_multipart_upload(**where)
        assert code_of(
            lambda: s3.copy_object(
                Bucket=BUCKET, Key="copy", CopySource={"Bucket": BUCKET, "Key": "large-0"}
            )
        ) == (507, "InsufficientStorage")

        # Everything that was acknowledged is there, nothing of the others is.
        listed = set()
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
            listed |= {entry["Key"] for entry in page.get("Contents", [])}
        assert listed == set(stored)
        for key, digest in list(stored.items())[:40]:
            assert hashlib.md5(read(s3, key)).hexdigest() == digest

        # Deletion makes room, and then objects come again.
        for key in ("large-0", "large-1"):
            s3.delete_object(Bucket=BUCKET, Key=key)
            del stored[key]
        hearth_up.wait_for(
            lambda: code_of(
                lambda: s3.put_object(Bucket=BUCKET, Key="after", Body=content("after", 5 * MIB))
            )
            is None,
            "room after deletions",
        )
        assert read(s3, "after") == content("after", 5 * MIB)

        s3.put_bucket_policy(Bucket=BUCKET, Policy=policy(4_000))

        # Somebody else fills the disk to the last byte: no write is acknowledged that is not there.
        filler = os.path.join(data, "filler")
        with open(filler, "wb", buffering=0) as file:
            size = 4 * MIB
            while size >= 512:
                try:
                    file.write(b"x" * size)
                except OSError:
                    size //= 2
        acknowledged = {}
        for number in range(60):
            key = f"full-{number}"
            answer = code_of(lambda: s3.put_object(Bucket=BUCKET, Key=key, Body=b"x"))
            if answer is None:
                acknowledged[key] = b"x"
            else:
                assert answer[0] >= 500
        # Records of the store itself, small and larger, until its log has no room, and on.
        policies = [4_000]
        refusals = 0
        for number in range(3_000):
            answers = [
                code_of(
                    lambda: s3.put_object_tagging(
                        Bucket=BUCKET,
                        Key="after",
                        Tagging={
                            "TagSet": [
                                {"Key": f"{tag}{'k' * 100}", "Value": f"{number}{'v' * 200}"}
                                for tag in range(10)
                            ]
                        },
                    )
                ),
                code_of(lambda: s3.put_bucket_policy(Bucket=BUCKET, Policy=policy(number))),
            ]
            if answers[1] is None:
                assert not refusals, "the log had no room, and the disk has no more than before"
                policies = [number]
            elif len(policies) == 1:
                # The one that met the full disk may be there or not.
                policies.append(number)
            for answer in answers:
                assert answer is None or answer[0] >= 500
            refusals += any(answers)
            if refusals == 30:
                break
        assert refusals == 30
        assert read(s3, "after") == content("after", 5 * MIB)
        os.unlink(filler)
        hearth_up.wait_for(
            lambda: code_of(
                lambda: s3.put_object(Bucket=BUCKET, Key="again", Body=content("again", 20_000))
            )
            is None,
            "writes after the disk has room again",
        )

        def policy_is_one_of(numbers):
            statement = json.loads(s3.get_bucket_policy(Bucket=BUCKET)["Policy"])["Statement"][0]
            assert statement["Sid"] in [f"n{number}" for number in numbers]
            return True

        assert policy_is_one_of(policies)
        # What is written from now on is there, although the log broke off once.
        s3.put_bucket_policy(Bucket=BUCKET, Policy=policy(5_000))

        # And after a start the same.
        hearth.stop(keep_data=True)
        hearth.start()
        s3 = hearth.client("s3")
        assert read(s3, "again") == content("again", 20_000)
        assert policy_is_one_of([5_000])
        assert read(s3, "after") == content("after", 5 * MIB)
        for key, body in acknowledged.items():
            assert read(s3, key) == body
        for key, digest in list(stored.items())[:40]:
            assert hashlib.md5(read(s3, key)).hexdigest() == digest


def put_all(s3, prefix, count, size):
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(
            pool.map(
                lambda n: s3.put_object(
                    Bucket=BUCKET, Key=f"{prefix}/{n}", Body=os.urandom(size)
                ),
                range(count),
            )
        )


def test_room_is_given_back():
    with hearth_up.Hearth() as hearth:
        s3 = hearth.client("s3")
        s3.create_bucket(Bucket=BUCKET)
        kept = content("kept", 20 * MIB)
        s3.put_object(Bucket=BUCKET, Key="kept", Body=kept)
        before = bytes_of_bodies(hearth)
        assert before >= len(kept)

        def settled():
            return abs(bytes_of_bodies(hearth) - before) <= before * 0.05

        # Overwritten objects and parts, aborted uploads, parts that a completion leaves out.
        for number in range(4):
            s3.put_object(Bucket=BUCKET, Key="again", Body=content(number, 3 * MIB))
        upload = s3.create_multipart_upload(Bucket=BUCKET, Key="parts")["UploadId"]
        where = {"Bucket": BUCKET, "Key": "parts", "UploadId": upload}
        parts = []
        for number in (1, 1, 1, 2, 3):
            answer = s3.upload_part(PartNumber=number, Body=content(number, 5 * MIB), **where)
            parts = [part for part in parts if part["PartNumber"] != number]
            parts.append({"PartNumber": number, "ETag": answer["ETag"]})
        s3.complete_multipart_upload(MultipartUpload={"Parts": parts[:2]}, **where)
        for key in ("aborted", "again"):
            upload = s3.create_multipart_upload(Bucket=BUCKET, Key=key)["UploadId"]
            where = {"Bucket": BUCKET, "Key": key, "UploadId": upload}
            s3.upload_part(PartNumber=1, Body=content(key, 5 * MIB), **where)
            s3.abort_multipart_upload(**where)
        assert not settled()
        s3.delete_objects(
            Bucket=BUCKET, Delete={"Objects": [{"Key": "again"}, {"Key": "parts"}]}
        )
        hearth_up.wait_for(settled, "the room of what was overwritten, aborted and deleted")

        # A thousand objects in one call, old versions, a bucket with an upload that is left over.
        put_all(s3, "many", 1_000, 40_000)
        s3.delete_objects(
            Bucket=BUCKET, Delete={"Objects": [{"Key": f"many/{n}"} for n in range(1_000)]}
        )
        hearth_up.wait_for(settled, "the room of a thousand objects")
        s3.create_bucket(Bucket="leftover")
        s3.put_bucket_versioning(
            Bucket="leftover", VersioningConfiguration={"Status": "Enabled"}
        )
        versions = [
            s3.put_object(Bucket="leftover", Key="v", Body=content(n, MIB))["VersionId"]
            for n in range(5)
        ]
        for version in versions:
            s3.delete_object(Bucket="leftover", Key="v", VersionId=version)
        upload = s3.create_multipart_upload(Bucket="leftover", Key="parts")["UploadId"]
        for number in (1, 2):
            s3.upload_part(
                Bucket="leftover",
                Key="parts",
                UploadId=upload,
                PartNumber=number,
                Body=content(number, 5 * MIB),
            )
        s3.delete_bucket(Bucket="leftover")
        hearth_up.wait_for(settled, "the room of a bucket that was deleted with an upload")
        assert len(files_of_bodies(hearth)) == 1
        assert read(s3, "kept") == kept

        # Small ones lie in the store; it gives room back when it has written the deletions to tables,
        # at the latest at the next start.
        hearth.stop(keep_data=True)
        before_small = bytes_of_store(hearth)
        hearth.start()
        s3 = hearth.client("s3")
        put_all(s3, "small", 1_500, 15_000)
        for begin in (0, 750):
            s3.delete_objects(
                Bucket=BUCKET,
                Delete={"Objects": [{"Key": f"small/{begin + n}"} for n in range(750)]},
            )
        hearth.stop(keep_data=True)
        hearth.start()
        hearth_up.wait_for(
            lambda: bytes_of_store(hearth) <= before_small + 2 * MIB, "the room of small objects"
        )
        assert read(hearth.client("s3"), "kept") == kept


def flip(path, at):
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 0x20]))


def test_damage_is_found_told_and_never_served():
    with hearth_up.Hearth() as hearth:
        s3 = hearth.client("s3")
        key = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}
        s3.create_bucket(Bucket=BUCKET)
        s3.create_bucket(Bucket="other")
        s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        s3.put_object(Bucket="other", Key="fine", Body=content("fine", 300_000))
        s3.put_object(Bucket=BUCKET, Key="small", Body=b"in the store")

        def put(call):
            known = set(files_of_bodies(hearth))
            answer = call()
            (path,) = set(files_of_bodies(hearth)) - known
            return path, answer

        old_path, old = put(
            lambda: s3.put_object(Bucket=BUCKET, Key="twice", Body=content("old", 500_000))
        )
        s3.put_object(Bucket=BUCKET, Key="twice", Body=content("new", 500_000))
        sealed_path, _ = put(
            lambda: s3.put_object(Bucket=BUCKET, Key="sealed", Body=content("s", 400_000), **key)
        )
        upload = s3.create_multipart_upload(Bucket=BUCKET, Key="parts")["UploadId"]
        where = {"Bucket": BUCKET, "Key": "parts", "UploadId": upload}
        first = s3.upload_part(PartNumber=1, Body=content(1, 5 * MIB), **where)
        part_path, second = put(
            lambda: s3.upload_part(PartNumber=2, Body=content(2, 100_000), **where)
        )
        s3.complete_multipart_upload(
            MultipartUpload={
                "Parts": [
                    {"PartNumber": 1, "ETag": first["ETag"]},
                    {"PartNumber": 2, "ETag": second["ETag"]},
                ]
            },
            **where,
        )
        lost_path, _ = put(
            lambda: s3.put_object(Bucket=BUCKET, Key="lost", Body=content("lost", 50_000))
        )

        def scrub(*more, status):
            done = subprocess.run(
                [hearth.program, "s3", "scrub", "--data", hearth.data, "--json", *more],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=5 * hearth_up.DEADLINE_S,
            )
            assert done.returncode == status, done.stderr
            return json.loads(done.stdout)

        whole = scrub(status=0)
        assert (whole["objects"], whole["damaged"]) == (7, [])
        assert "damaged" not in hearth.hearth("status").stdout

        flip(old_path, 450_000)
        flip(sealed_path, 100)
        flip(part_path, 70_000)
        os.unlink(lost_path)
        # A restart is no remedy.
        hearth.stop(keep_data=True)
        hearth.start()
        s3 = hearth.client("s3")
        report = scrub(status=1)
        found = {(one["bucket"], one["key"], one["version_id"]) for one in report["damaged"]}
        assert report["objects"] == 7
        assert {name[:2] for name in found} == {
            (BUCKET, "twice"), (BUCKET, "sealed"), (BUCKET, "parts"), (BUCKET, "lost")
        }
        assert (BUCKET, "twice", old["VersionId"]) in found
        assert len(found) == 4
        told = {one["key"]: one["what"] for one in report["damaged"]}
        assert told["parts"].startswith("part 2: ")
        assert "4 damaged" in hearth.hearth("status").stdout
        assert scrub("--known", status=1)["damaged_count"] == 4
        assert scrub("--bucket", "other", status=0)["objects"] == 1
        assert b"hearth_s3_damaged_objects 4" in hearth.get("/_hearth/metrics").read()
        assert "version " + old["VersionId"] in hearth.log()

        # Never wrong bytes: an error before them, or an answer that is cut off.
        for name, more in (
            ("twice", {"VersionId": old["VersionId"]}), ("sealed", key), ("parts", {}), ("lost", {})
        ):
            with pytest.raises(
                (botocore.exceptions.ClientError, botocore.exceptions.HTTPClientError,
                 botocore.exceptions.IncompleteReadError)
            ):
                read(s3, name, **more)
        # What is whole of it can still be had.
        assert read(s3, "parts", Range="bytes=0-999999") == content(1, 5 * MIB)[:1_000_000]
        assert read(s3, "twice") == content("new", 500_000)
        assert hearth.client("s3").get_object(Bucket="other", Key="fine")["Body"].read() == content(
            "fine", 300_000
        )

        # Put anew or taken away, it is no damage any more.
        s3.delete_object(Bucket=BUCKET, Key="twice", VersionId=old["VersionId"])
        for _, name, version in found:
            if name != "twice":
                s3.delete_object(Bucket=BUCKET, Key=name, VersionId=version)
        assert scrub(status=0)["damaged"] == []
        assert scrub("--known", status=0)["damaged_count"] == 0
        assert b"hearth_s3_damaged_objects 0" in hearth.get("/_hearth/metrics").read()
