"""--tier: what a start refuses, and disks that are lost."""

import os
import random
import shutil
import subprocess

import hearth_up
import pytest

NOISE = random.Random(5).randbytes(1_000_000)


@pytest.fixture
def root(tmp_path):
    for name in ("a", "b", "a/inner", *(f"disk{number}" for number in range(9))):
        os.mkdir(tmp_path / name)
    return tmp_path


def refusal(data, *options):
    """What a start that must fail says."""
    log = f"{data}.log"
    said_before = os.path.getsize(log) if os.path.exists(log) else 0
    hearth = hearth_up.Hearth(options=options, data=str(data), ready=False)
    assert hearth.process.wait(hearth_up.DEADLINE_S) != 0
    said = hearth.log()[said_before:]
    hearth.stop(keep_data=True)
    return said


def test_what_is_refused(root):
    data = root / "data"
    disks = [str(root / f"disk{number}") for number in range(9)]
    for options, words in (
        (["archive=" + str(root / "none")], "the directory must be there"),
        (["cold=" + str(root / "a")], "expected infrequent=DIR"),
        (["archive=" + str(root / "a"), "archive=" + str(root / "b")], "given twice"),
        (["archive=" + str(root / "a"), "infrequent=" + str(root / "a/inner")], "inside the other"),
        (["archive=" + str(root)], "inside the other"),
        (["deep=" + ",".join(disks[:8])], "one directory or nine"),
        (["deep=" + ",".join(disks[:8] + disks[:1])], "inside the other"),
        (["archive=" + ",".join(disks)], "one directory"),
    ):
        said = refusal(data, *(word for option in options for word in ("--tier", option)))
        assert words in said, said


def test_a_directory_is_not_forgotten_or_exchanged(root):
    data = str(root / "data")
    tier = ("--tier", f"archive={root / 'a'}")
    # "a" is not empty yet.
    assert "was not made by Hearth" in refusal(data, *tier)
    os.rmdir(root / "a" / "inner")
    with hearth_up.Hearth(options=tier, data=data) as hearth:
        s3 = hearth.client("s3")
        s3.create_bucket(Bucket="disks")
        s3.put_object(Bucket="disks", Key="k", Body=NOISE, StorageClass="GLACIER")
    assert "give the option again" in refusal(data)
    assert "is the disk there?" in refusal(data, "--tier", f"archive={root / 'b'}")
    assert "another data directory" in refusal(str(root / "other"), *tier)
    with hearth_up.Hearth(options=tier, data=data) as hearth:
        head = hearth.client("s3").head_object(Bucket="disks", Key="k")
        assert head["StorageClass"] == "GLACIER"


def test_one_deep_directory_says_so(root):
    with hearth_up.Hearth(
        options=("--tier", f"deep={root / 'b'}"), data=str(root / "data")
    ) as hearth:
        assert "nine directories survive" in hearth.log()


def test_three_disks_are_lost_and_three_more_later(root):
    data = str(root / "data")
    disks = [str(root / f"disk{number}") for number in range(9)]
    options = ("--test-clock", "--tier", "deep=" + ",".join(disks))

    def check(hearth):
        s3 = hearth.client("s3")
        s3.restore_object(Bucket="disks", Key="k", RestoreRequest={"Days": 1})
        with hearth.get("/_hearth/clock/advance?by=12h", "POST", b""):
            pass
        assert s3.get_object(Bucket="disks", Key="k")["Body"].read() == NOISE
        # Before the next check it is read from the disks again.
        with hearth.get("/_hearth/clock/advance?by=3d", "POST", b""):
            pass

    with hearth_up.Hearth(options=options, data=data) as hearth:
        s3 = hearth.client("s3")
        s3.create_bucket(Bucket="disks")
        s3.put_object(Bucket="disks", Key="k", Body=NOISE, StorageClass="DEEP_ARCHIVE")
        # While it runs.
        for disk in disks[:3]:
            shutil.rmtree(disk)
        check(hearth)
    with hearth_up.Hearth(options=options, data=data) as hearth:
        assert "3 of 9 directories are missing or new" in hearth.log()
        check(hearth)
    # New disks in their place are filled.
    for disk in disks[:3]:
        os.mkdir(disk)
    with hearth_up.Hearth(options=options, data=data) as hearth:
        check(hearth)
        scrubbed = subprocess.run(
            [hearth.program, "s3", "scrub", "--data", hearth.data],
            capture_output=True,
            text=True,
            timeout=hearth_up.DEADLINE_S,
        )
        assert scrubbed.returncode == 0, scrubbed.stdout + scrubbed.stderr
    for disk in disks[3:6]:
        shutil.rmtree(disk)
    with hearth_up.Hearth(options=options, data=data) as hearth:
        check(hearth)
    # What is gone for good is said, and nothing starts.
    shutil.rmtree(disks[0])
    assert "and only 3 may be" in refusal(data, *options)
