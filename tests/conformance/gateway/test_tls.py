"""TLS as a client meets it: `--tls self` with its authority, own files, plain calls on the same port."""

import os
import socket
import ssl
import subprocess

import botocore.exceptions
import pytest

import hearth_up


@pytest.fixture(scope="module")
def secure():
    with hearth_up.Hearth(options=["--tls", "self"], tls=True) as running:
        yield running


def test_boto3_trusts_the_authority_that_hearth_prints(secure):
    sts = secure.client("sts")
    for _ in range(3):
        assert sts.get_caller_identity()["Account"] == "000000000000"


def test_the_aws_command_trusts_it_too(secure):
    identity = secure.aws("--ca-bundle", secure.ca_certificate(), "sts", "get-caller-identity")
    assert identity["Account"] == "000000000000"


def test_a_client_without_the_authority_refuses(secure):
    context = ssl.create_default_context()
    with socket.create_connection(("127.0.0.1", secure.port)) as plain:
        with pytest.raises(ssl.SSLCertVerificationError):
            context.wrap_socket(plain, server_hostname="127.0.0.1")


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "::1"])
def test_the_certificate_names_this_machine(secure, name):
    context = ssl.create_default_context(cafile=secure.ca_certificate())
    with socket.create_connection(("127.0.0.1", secure.port)) as plain:
        with context.wrap_socket(plain, server_hostname=name) as wrapped:
            assert wrapped.version() in ("TLSv1.2", "TLSv1.3")


def test_old_versions_of_tls_are_refused(secure):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    try:
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    except ValueError:
        pytest.skip("this OpenSSL has no TLS 1.1")
    with socket.create_connection(("127.0.0.1", secure.port)) as plain:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            context.wrap_socket(plain)


def test_sessions_are_resumed(secure):
    context = ssl.create_default_context(cafile=secure.ca_certificate())
    # With 1.2 the ticket comes within the handshake, so nothing has to be read first.
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    session = None
    for expected in (False, True):
        with socket.create_connection(("127.0.0.1", secure.port)) as plain:
            with context.wrap_socket(plain, server_hostname="localhost", session=session) as wrapped:
                assert wrapped.session_reused == expected
                session = wrapped.session


def test_plain_calls_from_this_machine_are_taken_on_the_same_port(secure):
    with socket.create_connection(("127.0.0.1", secure.port)) as plain:
        plain.sendall(b"GET /_hearth/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        with plain.makefile("rb") as answer:
            assert answer.readline().startswith(b"HTTP/1.1 200 ")


def test_keys_are_readable_by_their_owner_alone(secure):
    for name in ("ca.key", "server.key"):
        assert os.stat(os.path.join(secure.data, name)).st_mode & 0o077 == 0


def test_a_restart_keeps_the_authority_and_the_certificate():
    with hearth_up.Hearth(options=["--tls", "self"], tls=True) as hearth:
        def files():
            return [
                open(os.path.join(hearth.data, name), "rb").read()
                for name in ("ca.pem", "server.pem")
            ]

        before = files()
        hearth.stop(keep_data=True)
        hearth.start()
        assert files() == before
        assert hearth.client("sts").get_caller_identity()["Account"] == "000000000000"


def test_commands_of_hearth_speak_tls(secure):
    assert "https://" in secure.hearth("status", "--endpoint", secure.endpoint).stdout


def test_own_certificate_files(tmp_path):
    certificate, key = str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-keyout", key, "-out", certificate, "-days", "30", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
        check=True,
        capture_output=True,
    )
    options = ["--tls-cert", certificate, "--tls-key", key]
    with hearth_up.Hearth(options=options, tls=True) as hearth:
        context = ssl.create_default_context(cafile=certificate)
        with socket.create_connection(("127.0.0.1", hearth.port)) as plain:
            with context.wrap_socket(plain, server_hostname="localhost"):
                pass
        # A cloud that comes back reads the files again.
        hearth.kill("cloud")
        hearth.wait_ready()


def test_a_key_of_another_certificate_is_refused_at_start(tmp_path):
    paths = {}
    for name in ("one", "two"):
        paths[name] = (str(tmp_path / f"{name}.pem"), str(tmp_path / f"{name}.key"))
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-out", paths[name][0], "-keyout", paths[name][1], "-days", "30",
             "-subj", "/CN=localhost"],
            check=True,
            capture_output=True,
        )
    options = ["--tls-cert", paths["one"][0], "--tls-key", paths["two"][1]]
    hearth = hearth_up.Hearth(options=options, tls=True, ready=False)
    try:
        assert hearth.process.wait(hearth_up.DEADLINE_S) != 0
        assert "does not belong to the certificate" in hearth.log()
    finally:
        hearth.stop()
