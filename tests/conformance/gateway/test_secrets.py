"""The key files of the data directory: what is wrong with them is said at start, in one line."""

import os
import subprocess

import pytest

import hearth_up


@pytest.fixture
def stopped():
    """A Hearth that ran once and holds a user with a key."""
    hearth = hearth_up.Hearth()
    iam = hearth.client("iam")
    iam.create_user(UserName="keeper-of-keys")
    hearth.user_key = iam.create_access_key(UserName="keeper-of-keys")["AccessKey"]
    hearth.stop(keep_data=True)
    yield hearth
    hearth.stop()


def refusal(hearth, *options, **environment):
    """What `hearth up` says when it must refuse to start."""
    done = subprocess.run(
        [hearth.program, "up", "--port", str(hearth.port), "--data", hearth.data, *options],
        env=dict(hearth.environment, **environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=hearth_up.DEADLINE_S,
    )
    assert done.returncode != 0
    return done.stdout + done.stderr


def path_of(hearth, name):
    return os.path.join(hearth.data, name)


def test_a_lost_master_key_is_noticed(stopped):
    with open(path_of(stopped, "master.key")) as file:
        right = file.read()
    os.unlink(path_of(stopped, "master.key"))
    # A new one would be made, and old secrets would be unreadable from then on.
    assert "the master key is not the one that this data was written with" in refusal(stopped)
    assert "the master key is not the one that this data was written with" in refusal(stopped)
    with open(path_of(stopped, "master.key"), "w") as file:
        file.write(right)
    stopped.start()
    key = stopped.user_key
    client = stopped.client("sts", key["AccessKeyId"], key["SecretAccessKey"])
    assert client.get_caller_identity()["Arn"].endswith(":user/keeper-of-keys")


def test_a_master_key_may_live_elsewhere(stopped, tmp_path):
    elsewhere = tmp_path / "key"
    elsewhere.write_text("ab" * 32)
    option = ("--master-key-file", str(elsewhere))
    assert "the master key is not the one" in refusal(stopped, *option)
    with hearth_up.Hearth(options=option) as other:
        assert not os.path.exists(path_of(other, "master.key"))
        other.client("sts").get_caller_identity()


def test_a_broken_master_key(stopped):
    with open(path_of(stopped, "master.key"), "w") as file:
        file.write("not a key\n")
    assert "master.key: the master key is not 64 hexadecimal digits" in refusal(stopped)


def test_broken_credentials(stopped):
    with open(path_of(stopped, "credentials"), "w") as file:
        file.write("[default]\n")
    assert "credentials has no aws_access_key_id" in refusal(stopped)


def test_a_link_in_place_of_credentials_is_not_followed(stopped):
    os.unlink(path_of(stopped, "credentials"))
    os.symlink("/etc/passwd", path_of(stopped, "credentials"))
    assert "open credentials" in refusal(stopped)


def test_half_a_root_key_in_the_environment(stopped):
    assert "must be set together" in refusal(stopped, HEARTH_ROOT_ACCESS_KEY_ID="AKIA")


def test_files_that_others_may_read_are_made_private(stopped):
    for name in ("credentials", "master.key"):
        os.chmod(path_of(stopped, name), 0o644)
    stopped.start()
    for name in ("credentials", "master.key"):
        assert os.stat(path_of(stopped, name)).st_mode & 0o077 == 0, name


def test_secrets_are_not_in_the_store(stopped):
    secret = stopped.user_key["SecretAccessKey"].encode()
    for folder, _, names in os.walk(stopped.data):
        for name in names:
            with open(os.path.join(folder, name), "rb") as file:
                assert secret not in file.read(), name
