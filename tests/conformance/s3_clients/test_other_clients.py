"""rclone, s3cmd and s3fs, as Debian has them."""

import os
import shutil
import subprocess
import time

import pytest

import hearth_up


def run(*command, environment=None, check=True, timeout=600):
    done = subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    if check:
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done


def needs(program):
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed (tools/test_packages.txt)")


@pytest.fixture
def rclone(hearth, tmp_path):
    needs("rclone")
    key, secret = hearth.root_key()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "RCLONE_CONFIG": str(tmp_path / "rclone.conf"),
        "RCLONE_CONFIG_H_TYPE": "s3",
        "RCLONE_CONFIG_H_PROVIDER": "Other",
        "RCLONE_CONFIG_H_ENDPOINT": hearth.endpoint,
        "RCLONE_CONFIG_H_REGION": "us-east-1",
        "RCLONE_CONFIG_H_ACCESS_KEY_ID": key,
        "RCLONE_CONFIG_H_SECRET_ACCESS_KEY": secret,
        "RCLONE_CONFIG_H_FORCE_PATH_STYLE": "true",
        # Its default, private, is an ACL, which new buckets refuse as on AWS.
        "RCLONE_CONFIG_H_ACL": "bucket-owner-full-control",
        "RCLONE_CONFIG_H_NO_CHECK_BUCKET": "true",
        "RCLONE_CONFIG_H_CHUNK_SIZE": "5M",
        "RCLONE_CONFIG_H_UPLOAD_CUTOFF": "8M",
    }
    (tmp_path / "rclone.conf").write_text("")
    return lambda *arguments, **options: run(
        "rclone", "--retries=1", "--low-level-retries=1", *arguments, environment=environment, **options
    )


def test_rclone(rclone, bucket, tree, tmp_path, summary, stored):
    rclone("sync", str(tree), f"H:{bucket}/r")
    before = summary(tree)
    assert {key.removeprefix("r/") for key in stored(bucket)} == set(before)
    rclone("check", str(tree), f"H:{bucket}/r")
    back = tmp_path / "back"
    rclone("copy", f"H:{bucket}/r", str(back))
    assert summary(back) == before
    rclone("copyto", f"H:{bucket}/r/large.bin", f"H:{bucket}/copied")
    assert rclone("lsf", f"H:{bucket}").stdout.split() == ["copied", "r/"]
    (tree / "empty").unlink()
    rclone("sync", str(tree), f"H:{bucket}/r")
    assert "r/empty" not in stored(bucket)
    rclone("purge", f"H:{bucket}/r")
    assert list(stored(bucket)) == ["copied"]


@pytest.fixture
def s3cmd(hearth, tmp_path):
    needs("s3cmd")
    key, secret = hearth.root_key()
    host = hearth.endpoint.removeprefix("http://")
    config = tmp_path / "s3cfg"
    config.write_text(
        f"""[default]
access_key = {key}
secret_key = {secret}
host_base = {host}
host_bucket = {host}
use_https = False
multipart_chunk_size_mb = 5
"""
    )
    return lambda *arguments, **options: run(
        "s3cmd", "--config", str(config), "--no-progress", *arguments, **options
    )


def test_s3cmd(s3, s3cmd, unique, tree, tmp_path, summary, stored):
    bucket = unique("s3cmd")
    s3cmd("mb", f"s3://{bucket}")
    assert f"s3://{bucket}" in s3cmd("ls").stdout
    # It compares by MD5, which for what came in parts it keeps in the metadata itself.
    s3cmd("sync", f"{tree}/", f"s3://{bucket}/c/")
    before = summary(tree)
    assert {key.removeprefix("c/") for key in stored(bucket)} == set(before)
    back = tmp_path / "back"
    back.mkdir()
    s3cmd("sync", f"s3://{bucket}/c/", f"{back}/")
    assert summary(back) == before
    assert "upload:" not in s3cmd("sync", f"{tree}/", f"s3://{bucket}/c/").stdout
    # Debian's version sets an ACL behind each copy, which AWS refuses in new buckets as well.
    s3.put_bucket_ownership_controls(
        Bucket=bucket, OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]}
    )
    s3cmd("cp", f"s3://{bucket}/c/empty", f"s3://{bucket}/copy")
    assert "MD5 sum:   d41d8cd98f00b204e9800998ecf8427e" in s3cmd("info", f"s3://{bucket}/copy").stdout
    s3cmd("del", "--recursive", "--force", f"s3://{bucket}/")
    s3cmd("rb", f"s3://{bucket}")


def test_s3fs(hearth, bucket, tmp_path, stored):
    needs("s3fs")
    if not os.path.exists("/dev/fuse") or os.geteuid() != 0:
        pytest.skip("s3fs needs /dev/fuse and root here")
    key, secret = hearth.root_key()
    passwords = tmp_path / "passwd"
    passwords.write_text(f"{key}:{secret}\n")
    passwords.chmod(0o600)
    mount = tmp_path / "mount"
    mount.mkdir()
    process = subprocess.Popen(
        ["s3fs", bucket, str(mount), "-f"]
        + ["-o", f"url={hearth.endpoint},use_path_request_style,passwd_file={passwords}"]
        + ["-o", "endpoint=us-east-1,multipart_size=5,stat_cache_expire=1"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        deadline = time.monotonic() + 60
        while not os.path.ismount(mount):
            if process.poll() is not None:
                output = process.stdout.read()
                if "fuse" in output and ("ermitted" in output or "mount failed" in output):
                    pytest.skip("this machine does not let FUSE mount: " + output[-200:])
                raise AssertionError(output[-2000:])
            assert time.monotonic() < deadline
            time.sleep(0.05)
        (mount / "dir").mkdir()
        (mount / "dir" / "small").write_text("hello")
        large = os.urandom(12 * 1024 * 1024)
        (mount / "large").write_bytes(large)
        assert (mount / "dir" / "small").read_text() == "hello"
        assert (mount / "large").read_bytes() == large
        with open(mount / "dir" / "small", "a", encoding="utf8") as file:
            file.write(" again")
        os.rename(mount / "dir" / "small", mount / "dir" / "renamed")
        assert sorted(os.listdir(mount)) == ["dir", "large"]
        assert os.listdir(mount / "dir") == ["renamed"]
        assert (mount / "dir" / "renamed").read_text() == "hello again"
        os.remove(mount / "large")
        assert "dir/renamed" in stored(bucket)
        assert "large" not in stored(bucket)
    finally:
        subprocess.run(["umount", "-l", str(mount)], check=False, capture_output=True)
        process.terminate()
        process.wait(timeout=60)
        process.stdout.close()


def test_node_lib_storage(hearth, bucket, tmp_path, stored):
    sdk = os.path.join(hearth_up.build_directory(), "runtimes", "node")
    if not os.path.isdir(os.path.join(sdk, "node_modules", "@aws-sdk", "lib-storage")):
        pytest.skip("lib-storage is not installed (the build had no npm registry)")
    body = tmp_path / "body"
    body.write_bytes(os.urandom(23 * 1024 * 1024))
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib_storage_job.cjs")
    done = run("/usr/bin/node", script, sdk, bucket, str(body), environment=hearth.aws_environment())
    assert done.stdout.strip() == "as it should be"
    assert stored(bucket)["uploaded"] == body.stat().st_size
