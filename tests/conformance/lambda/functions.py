"""Small functions to test with, and how an expected error looks."""

import contextlib
import io
import zipfile

import botocore.exceptions
import pytest

import hearth_up

ACCOUNT = "000000000000"
REGION = hearth_up.REGION
ROLE = f"arn:aws:iam::{ACCOUNT}:role/lambda-role"
HANDLER = "def handler(event, context):\n    return event\n"


def zip_of(files):
    """A zip of {name: text or bytes}."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            # Fixed times: equal files make equal bytes.
            info = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
            info.external_attr = 0o644 << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    return buffer.getvalue()


def code(text=HANDLER):
    return {"ZipFile": zip_of({"index.py": text})}


def arn(name, qualifier=None):
    plain = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"
    return f"{plain}:{qualifier}" if qualifier else plain


@contextlib.contextmanager
def refused(error_code, message=None, status=None, contains=None):
    """The block must end in this AWS error."""
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        yield caught
    response = caught.value.response
    assert response["Error"]["Code"] == error_code, response
    if message is not None:
        assert response["Error"]["Message"] == message
    if contains is not None:
        assert contains in response["Error"]["Message"]
    if status is not None:
        assert response["ResponseMetadata"]["HTTPStatusCode"] == status
