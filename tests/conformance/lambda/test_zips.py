"""Archives made to harm: each is refused with AWS's text, and nothing of it stays."""

import io
import os
import stat
import struct
import zipfile

from functions import refused, zip_of

import pytest

UNZIP = "Could not unzip uploaded file. Please check your file, then try to upload again."


def archive(*entries):
    """entries: (name, content, unix mode)."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as out:
        for name, content, mode in entries:
            info = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
            info.create_system = 3
            info.external_attr = mode << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            out.writestr(info, content)
    return buffer.getvalue()


FILE = stat.S_IFREG | 0o644
LINK = stat.S_IFLNK | 0o777
DEVICE = stat.S_IFCHR | 0o666


@pytest.mark.parametrize(
    "entries",
    [
        [("../evil.py", "x", FILE)],
        [("a/../../evil.py", "x", FILE)],
        [("/etc/evil.py", "x", FILE)],
        [("out", "/etc/passwd", LINK)],
        [("out", "../../..", LINK)],
        [("dir/file", "x", FILE), ("a", "dir", LINK), ("a/file2", "x", FILE)],
        [("null", "", DEVICE)],
        [("a", "x", FILE), ("a/b", "y", FILE)],
    ],
    ids=["up", "inner-up", "absolute", "link-out", "link-up", "through-link", "device", "file-as-dir"],
)
def test_hostile_entries(hearth, create, entries):
    before = set(os.listdir(os.path.join(hearth.data, "code")))
    with refused("InvalidParameterValueException", UNZIP, 400):
        create(Code={"ZipFile": archive(("index.py", "", FILE), *entries)})
    left = set(os.listdir(os.path.join(hearth.data, "code"))) - before
    assert not {name for name in left if not name.startswith(".")}


def test_bombs(create):
    # 300 MB of zeros in 300 KB.
    with refused(
        "InvalidParameterValueException",
        "Unzipped size must be smaller than 262144000 bytes",
        400,
    ):
        create(Code={"ZipFile": archive(("zeros", b"\0" * 300_000_000, FILE))})


def test_sizes_that_lie(create):
    good = bytearray(zip_of({"index.py": "x" * 1000}))
    # The uncompressed size in the central directory says 10 bytes.
    at = good.rindex(b"PK\x01\x02")
    good[at + 24 : at + 28] = struct.pack("<I", 10)
    try:
        create(Code={"ZipFile": bytes(good)})
    except Exception as error:
        assert UNZIP in str(error)


@pytest.mark.parametrize("cut", [1, 10, 60, -1, -10])
def test_cut_short(create, cut):
    whole = zip_of({"index.py": "x" * 1000})
    with refused("InvalidParameterValueException", status=400):
        create(Code={"ZipFile": whole[:cut]})


def test_empty(create):
    with refused("InvalidParameterValueException", "Uploaded file must be a non-empty zip"):
        create(Code={"ZipFile": zip_of({})})


def test_bytes_in_front(create):
    with refused("InvalidParameterValueException", UNZIP):
        create(Code={"ZipFile": b"#!/bin/sh\n" + zip_of({"index.py": ""})})


def test_links_inside_are_welcome(create):
    create(
        Code={
            "ZipFile": archive(
                ("index.py", "def handler(e, c): pass\n", FILE),
                ("node_modules/tool/cli.js", "x", FILE),
                ("node_modules/.bin/tool", "../tool/cli.js", LINK),
            )
        }
    )


def test_update_and_dry_run_check_the_same(client, create):
    name = create()["FunctionName"]
    before = client.get_function_configuration(FunctionName=name)
    for dry in (True, False):
        with refused("InvalidParameterValueException", UNZIP):
            client.update_function_code(
                FunctionName=name, ZipFile=archive(("../evil", "x", FILE)), DryRun=dry
            )
    after = client.get_function_configuration(FunctionName=name)
    assert after["RevisionId"] == before["RevisionId"]
