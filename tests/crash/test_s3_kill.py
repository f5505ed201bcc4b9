"""kill -9 of the cloud while objects are put, copied, uploaded in parts and deleted: whatever was acknowledged
is there, whole and right; what had no answer is there whole or not at all; nothing is left behind on the disk.

HEARTH_SOAK_COUNT sets the number of kills (6); HEARTH_SEED replays the choices.
"""

import hashlib
import os
import random
import threading

import botocore.exceptions

import hearth_up

KILLS = int(os.environ.get("HEARTH_SOAK_COUNT", "6"))
SEED = int(os.environ.get("HEARTH_SEED", str(random.SystemRandom().randrange(2**32))))
WORKERS = 4
KEYS = 6
BUCKET = "crash"
PART_BYTES = 5 << 20
SIZES = (0, 10, 5_000, 70_000, 400_000)
# What may lie in the folder of bodies when there are none.
EMPTY_BYTES_MAX = 64 << 10


def content(name, number, size):
    """Bytes that say which write they are of, so that a mix of two writes is seen."""
    seed = hashlib.sha256(f"{name} {number}".encode()).digest()
    return (seed * (size // len(seed) + 1))[:size]


def unanswered(error):
    """True for a call whose outcome nobody knows: cut off, or a 5xx."""
    if isinstance(error, botocore.exceptions.ClientError):
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        assert status >= 500, f"not an answer for a crash: {error}"
    return True


class Worker(threading.Thread):
    """Writes keys of its own; knows for each what may be there: digests, or None for nothing."""

    def __init__(self, hearth, number, stop):
        super().__init__()
        self.s3 = hearth.client("s3")
        self.number, self.stop_event = number, stop
        self.random = random.Random(f"{SEED} {number}")
        self.possible = {f"w{number}-{key}": {None} for key in range(KEYS)}
        self.acknowledged, self.writes, self.failure = 0, 0, None

    def run(self):
        try:
            while not self.stop_event.is_set():
                self.step()
        except Exception as error:  # reported by the test
            self.failure = error

    def step(self):
        name = self.random.choice(list(self.possible))
        action = self.random.choices(
            (self.put, self.delete, self.copy, self.upload), (12, 4, 3, 1)
        )[0]
        before = self.possible[name]
        after, call = action(name)
        # From here on the write may be there, whether it is answered or not.
        self.possible[name] = before | {after}
        try:
            call()
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError, OSError) as error:
            assert unanswered(error)
            # pause for the restart; the outcome stays open
            self.stop_event.wait(0.05)
            return
        self.possible[name] = {after}
        self.acknowledged += 1

    def new(self, name, size):
        self.writes += 1
        body = content(name, self.writes, size)
        return body, hashlib.md5(body).hexdigest()

    def put(self, name):
        body, digest = self.new(name, self.random.choice(SIZES))
        return digest, lambda: self.s3.put_object(Bucket=BUCKET, Key=name, Body=body)

    def delete(self, name):
        return None, lambda: self.s3.delete_object(Bucket=BUCKET, Key=name)

    def copy(self, name):
        sources = [n for n, known in self.possible.items() if len(known) == 1 and None not in known]
        sources = [source for source in sources if source != name]
        if not sources:
            return self.put(name)
        source = self.random.choice(sources)
        (digest,) = self.possible[source]
        return digest, lambda: self.s3.copy_object(
            Bucket=BUCKET, Key=name, CopySource={"Bucket": BUCKET, "Key": source}
        )

    def upload(self, name):
        body, digest = self.new(name, PART_BYTES + 1000)

        def call():
            made = self.s3.create_multipart_upload(Bucket=BUCKET, Key=name)
            where = {"Bucket": BUCKET, "Key": name, "UploadId": made["UploadId"]}
            parts = []
            for number, piece in enumerate((body[:PART_BYTES], body[PART_BYTES:]), 1):
                answer = self.s3.upload_part(PartNumber=number, Body=piece, **where)
                parts.append({"PartNumber": number, "ETag": answer["ETag"]})
            self.s3.complete_multipart_upload(MultipartUpload={"Parts": parts}, **where)

        return digest, call


def check(hearth, workers):
    s3 = hearth.client("s3", retries=5)
    listed = {
        entry["Key"]: entry["Size"]
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        for entry in page.get("Contents", [])
    }
    for worker in workers:
        for name, possible in worker.possible.items():
            try:
                body = s3.get_object(Bucket=BUCKET, Key=name)["Body"].read()
                found = hashlib.md5(body).hexdigest()
                assert listed.get(name) == len(body), f"{name}: the listing says {listed.get(name)}"
            except s3.exceptions.NoSuchKey:
                found = None
                assert name not in listed, f"{name} is listed and not there"
            assert found in possible, f"{name} is {found}, not one of {possible}"
            # It was open until now; from here on this is what must stay.
            worker.possible[name] = {found}


def bytes_of_bodies(hearth):
    total = 0
    for folder, _, files in os.walk(os.path.join(hearth.data, "objects")):
        for name in files:
            try:
                total += os.path.getsize(os.path.join(folder, name))
            except FileNotFoundError:
                pass
    return total


def test_objects_survive_kills():
    print(f"seed {SEED}")
    choice = random.Random(SEED)
    with hearth_up.Hearth() as hearth:
        hearth.client("s3").create_bucket(Bucket=BUCKET)
        stop = threading.Event()
        workers = [Worker(hearth, number, stop) for number in range(WORKERS)]
        for worker in workers:
            worker.start()
        try:
            for _ in range(KILLS):
                before = sum(worker.acknowledged for worker in workers)
                hearth_up.wait_for(
                    lambda: any(w.failure for w in workers)
                    or sum(w.acknowledged for w in workers) >= before + 20 + choice.randrange(40),
                    "writes that are acknowledged",
                )
                hearth.kill("cloud")
        finally:
            stop.set()
            for worker in workers:
                worker.join()
        assert not [worker.failure for worker in workers if worker.failure], workers
        hearth.wait_ready()
        check(hearth, workers)

        # Nothing that was displaced, and no upload cut short, keeps its room.
        s3 = hearth.client("s3")
        for upload in s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []):
            s3.abort_multipart_upload(
                Bucket=BUCKET, Key=upload["Key"], UploadId=upload["UploadId"]
            )
        for worker in workers:
            for name in worker.possible:
                s3.delete_object(Bucket=BUCKET, Key=name)
        s3.delete_bucket(Bucket=BUCKET)
        hearth.stop(keep_data=True)
        hearth.start()
        hearth_up.wait_for(
            lambda: bytes_of_bodies(hearth) <= EMPTY_BYTES_MAX, "the room of all bodies to be free"
        )
        acknowledged = sum(worker.acknowledged for worker in workers)
        assert acknowledged >= KILLS * 20
        print(f"{acknowledged} writes acknowledged, {KILLS} kills")
