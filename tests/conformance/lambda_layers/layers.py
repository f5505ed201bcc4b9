"""Archives for layers, and how an expected error looks."""

import contextlib
import io
import zipfile

import botocore.exceptions
import pytest

import hearth_up

ACCOUNT = "000000000000"
OTHER = "222233334444"
REGION = hearth_up.REGION
MIB = 1 << 20


def zip_of(files, compress=zipfile.ZIP_DEFLATED):
    """A zip of {name: text, bytes or (content, mode)}; equal files make equal bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compress) as archive:
        for name, content in files.items():
            content, mode = content if isinstance(content, tuple) else (content, 0o100644)
            info = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
            info.create_system = 3
            info.external_attr = mode << 16
            info.compress_type = compress
            archive.writestr(info, content)
    return buffer.getvalue()


def zeros(megabytes):
    """A layer of so many MiB of zeros, which make a small zip."""
    return zip_of({"zeros": b"\0" * (megabytes * MIB)})


def layer_arn(name, version=None, account=ACCOUNT, region=REGION):
    plain = f"arn:aws:lambda:{region}:{account}:layer:{name}"
    return plain if version is None else f"{plain}:{version}"


@contextlib.contextmanager
def refused(code, message=None, status=None):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        yield
    response = caught.value.response
    assert response["Error"]["Code"] == code, response
    if message is not None:
        assert response["Error"]["Message"] == message
    if status is not None:
        assert response["ResponseMetadata"]["HTTPStatusCode"] == status
