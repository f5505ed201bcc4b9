"""Debian's aws: sync both ways, copies, moves, removal, presigned URLs."""

import os
import subprocess
import urllib.request

AWS = "/usr/bin/aws"


def aws(hearth, *arguments):
    done = subprocess.run(
        [AWS, "--endpoint-url", hearth.endpoint, "s3", *arguments],
        env=hearth.aws_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def test_sync_both_ways(hearth, bucket, tree, tmp_path, summary, stored):
    aws(hearth, "sync", str(tree), f"s3://{bucket}/here", "--only-show-errors")
    before = summary(tree)
    assert {key.removeprefix("here/") for key in stored(bucket)} == set(before)
    back = tmp_path / "back"
    aws(hearth, "sync", f"s3://{bucket}/here", str(back), "--only-show-errors")
    assert summary(back) == before
    # Nothing is left to do.
    assert aws(hearth, "sync", f"s3://{bucket}/here", str(back)) == ""
    assert aws(hearth, "sync", str(tree), f"s3://{bucket}/here") == ""
    # What changed, and only that, and what went away.
    os.remove(tree / "empty")
    (tree / "new").write_bytes(b"new")
    out = aws(hearth, "sync", str(tree), f"s3://{bucket}/here", "--delete", "--no-progress")
    assert sorted(line.split(":")[0] for line in out.splitlines()) == ["delete", "upload"]
    assert {key.removeprefix("here/") for key in stored(bucket)} == set(summary(tree))


def test_from_bucket_to_bucket(hearth, bucket, tree, summary, tmp_path, stored):
    aws(hearth, "cp", str(tree / "large.bin"), f"s3://{bucket}/large.bin", "--only-show-errors")
    # Above 8 MB the client copies part by part.
    aws(hearth, "cp", f"s3://{bucket}/large.bin", f"s3://{bucket}/b/copy", "--only-show-errors")
    aws(hearth, "mv", f"s3://{bucket}/b/copy", f"s3://{bucket}/moved", "--only-show-errors")
    assert set(stored(bucket)) == {"large.bin", "moved"}
    aws(hearth, "cp", f"s3://{bucket}/moved", str(tmp_path / "moved"), "--only-show-errors")
    assert (tmp_path / "moved").read_bytes() == (tree / "large.bin").read_bytes()
    listed = aws(hearth, "ls", f"s3://{bucket}", "--summarize")
    assert "Total Objects: 2" in listed
    url = aws(hearth, "presign", f"s3://{bucket}/moved").strip()
    with urllib.request.urlopen(url, timeout=60) as answer:
        assert answer.read() == (tree / "large.bin").read_bytes()
    aws(hearth, "rm", f"s3://{bucket}", "--recursive", "--only-show-errors")
    aws(hearth, "rb", f"s3://{bucket}")


def test_standard_input_and_output(hearth, bucket):
    body = b"streamed " * 2_000_000
    done = subprocess.run(
        [AWS, "--endpoint-url", hearth.endpoint, "s3", "cp", "-", f"s3://{bucket}/stream"],
        env=hearth.aws_environment(),
        input=body,
        capture_output=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    done = subprocess.run(
        [AWS, "--endpoint-url", hearth.endpoint, "s3", "cp", f"s3://{bucket}/stream", "-"],
        env=hearth.aws_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=600,
        check=False,
    )
    assert done.stdout == body
