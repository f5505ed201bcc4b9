"""`hearth s3 import` and `hearth s3 export`."""

import json
import os
import subprocess

import hearth_up


def hearth_s3(hearth, *arguments, check=True):
    done = subprocess.run(
        [os.path.join(hearth_up.build_directory(), "hearth"), "s3", *arguments]
        + ["--data", hearth.data, "--endpoint", hearth.endpoint],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    if check:
        assert done.returncode == 0, done.stdout + done.stderr
    return done


def test_there_and_back(hearth, s3, unique, tree, tmp_path, summary, stored):
    bucket = unique("folder")
    (tree / "huge.bin").write_bytes(os.urandom(1024) * 1024 * 70)
    os.symlink("empty", tree / "link")
    done = json.loads(hearth_s3(hearth, "import", str(tree), bucket, "--json").stdout)
    before = summary(tree)
    del before["link"]
    assert done["files"] == len(before)
    assert done["bytes"] == sum(os.path.getsize(tree / name) for name in before)
    assert [one["reason"] for one in done["skipped"]] == ["symbolic links are not followed"]
    assert set(stored(bucket)) == set(before)
    assert s3.head_object(Bucket=bucket, Key="huge.bin")["ETag"].endswith('-3"')
    back = tmp_path / "back"
    out = hearth_s3(hearth, "export", bucket, str(back)).stdout
    assert out == f"exported {done['files']} files, {done['bytes']} bytes\n"
    assert summary(back) == before
    part = tmp_path / "part"
    hearth_s3(hearth, "export", bucket, str(part), "--prefix", "sub/")
    assert set(summary(part)) == {"a&b=c#d%25;e.txt"}


def test_keys_that_are_no_files_are_named(hearth, s3, bucket, tmp_path):
    for key in ("good", "dir/", "a//b", "/absolute", "file", "file/below"):
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    # boto3 would tidy the path.
    out = tmp_path / "out"
    done = json.loads(hearth_s3(hearth, "export", bucket, str(out), "--json").stdout)
    skipped = {one["name"] for one in done["skipped"]}
    assert {"dir/", "a//b", "/absolute"} <= skipped
    # A file and a directory of one name: whichever came first.
    assert skipped & {"file", "file/below"}
    assert (out / "good").read_bytes() == b"good"
    assert not os.path.exists("/absolute")


def test_errors_are_a_line(hearth, tmp_path):
    done = hearth_s3(hearth, "export", "no-such-bucket-anywhere", str(tmp_path), check=False)
    assert done.returncode == 1
    assert "NoSuchBucket: The specified bucket does not exist" in done.stderr
    done = hearth_s3(hearth, "import", str(tmp_path / "none"), "bucket-name", check=False)
    assert done.returncode == 1
    assert "not a directory" in done.stderr
