"""The guest's first process serves commands; here without a machine, on a socket pair (--session)."""

import os
import pathlib
import select
import signal
import socket
import subprocess

import guest_exec
import hearth_up
import pytest

DEADLINE_S = 60


@pytest.fixture
def session():
    program = pathlib.Path(hearth_up.build_directory()) / "hearth-guest-init"
    started = []

    def start():
        ours, theirs = socket.socketpair()
        ours.settimeout(DEADLINE_S)
        process = subprocess.Popen([program, "--session"], stdin=theirs)
        theirs.close()
        started.append((process, ours))
        return ours

    yield start
    for process, ours in started:
        ours.close()
        process.wait(DEADLINE_S)


def run(session, argv, **members):
    connection = session()
    connection.sendall(guest_exec.request(argv, **members))
    return guest_exec.finish(connection)


def test_output_and_status(session):
    assert run(session, ["sh", "-c", "echo out; echo err >&2; exit 3"]) == (3, b"out\n", b"err\n")


def test_environment_and_folder(session):
    status, out, _ = run(session, ["sh", "-c", "echo $A $HOME $PATH; pwd"], env={"A": "ä"}, cwd="/usr")
    assert status == 0
    assert out.decode().splitlines()[0].startswith("ä /usr/local/sbin:")
    assert out.endswith(b"/usr\n")
    assert b"/root" in run(session, ["sh", "-c", "echo $HOME"])[1]


@pytest.mark.parametrize(
    "members, status, said",
    [
        ({"argv": ["/no/such"]}, 127, b"No such file"),
        ({"argv": ["/"]}, 126, b"Permission denied"),
        ({"argv": ["true"], "cwd": "/no/such"}, 126, b"No such file"),
    ],
)
def test_commands_that_cannot_run(session, members, status, said):
    found, _, err = run(session, **members)
    assert found == status
    assert said in err


def test_a_signal_shows_in_the_status(session):
    assert run(session, ["sh", "-c", "kill -9 $$"])[0] == 128 + 9


def test_input_goes_in_and_ends(session):
    connection = session()
    data = os.urandom(300_000)
    connection.sendall(guest_exec.request(["cat"], stdin=True))
    out = b""
    for begin in range(0, len(data), 50_000):
        connection.sendall(guest_exec.frame(guest_exec.STDIN, data[begin : begin + 50_000]))
        while len(out) < begin + len(data[begin : begin + 50_000]):
            stream, piece = guest_exec.read_frame(connection)
            assert stream == guest_exec.STDOUT
            out += piece
    connection.sendall(guest_exec.frame(guest_exec.STDIN))
    assert guest_exec.finish(connection) == (0, b"", b"")
    assert out == data


def test_input_may_come_at_once(session):
    connection = session()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    data = os.urandom(100_000)
    frames = [guest_exec.frame(guest_exec.STDIN, data[begin : begin + 20_000]) for begin in range(0, 100_000, 20_000)]
    connection.sendall(guest_exec.request(["wc", "-c"], stdin=True) + b"".join(frames) + guest_exec.frame(guest_exec.STDIN))
    assert guest_exec.finish(connection) == (0, b"100000\n", b"")


def test_a_command_that_reads_nothing_does_not_hold_up_its_end(session):
    connection = session()
    connection.sendall(guest_exec.request(["true"], stdin=True))
    assert guest_exec.finish(connection)[0] == 0


def test_without_input_it_is_empty(session):
    assert run(session, ["cat"]) == (0, b"", b"")


def test_much_output_is_whole(session):
    status, out, _ = run(session, ["sh", "-c", "head -c 3000000 /dev/zero; echo end"])
    assert status == 0 and len(out) == 3_000_004 and out.endswith(b"end\n")


def test_signals_reach_the_command(session):
    connection = session()
    script = "trap 'echo caught; exit 9' USR1; echo up; while :; do read x; done"
    connection.sendall(guest_exec.request(["sh", "-c", script], stdin=True))
    assert guest_exec.read_frame(connection) == (guest_exec.STDOUT, b"up\n")
    connection.sendall(guest_exec.frame(guest_exec.SIGNAL, bytes([signal.SIGUSR1])))
    connection.sendall(guest_exec.frame(guest_exec.STDIN, b"\n"))
    assert guest_exec.finish(connection) == (9, b"caught\n", b"")


def test_a_host_that_hangs_up_ends_the_command(session):
    connection = session()
    connection.sendall(guest_exec.request(["sh", "-c", "echo $$; exec cat"], stdin=True))
    _, pid = guest_exec.read_frame(connection)
    process = os.pidfd_open(int(pid))
    connection.close()
    assert select.select([process], [], [], DEADLINE_S)[0], "the command lives on"
    os.close(process)


@pytest.mark.parametrize(
    "bytes_sent",
    [
        b"nonsense\n",
        b"{}\n",
        b'{"argv": []}\n',
        b'{"argv": ["a\\u0000b"]}\n',
        b'{"action": "dance"}\n',
        b'{"argv": ["'.ljust(128 << 10, b"x"),
    ],
    ids=["text", "empty", "no-words", "nul", "action", "too-long"],
)
def test_requests_that_are_none(session, bytes_sent):
    connection = session()
    connection.sendall(bytes_sent)
    status, _, err = guest_exec.finish(connection)
    assert status == 125
    assert err.startswith(b"hearth-guest-init: ")


@pytest.mark.parametrize("forged", [b"\x09\x01\x00\x00\x00x", b"\x00\xff\xff\xff\xff", b"\x04\x02\x00\x00\x00xx"])
def test_frames_that_are_none_end_the_connection(session, forged):
    connection = session()
    connection.sendall(guest_exec.request(["cat"], stdin=True) + forged)
    with pytest.raises(ConnectionError):
        guest_exec.finish(connection)


def test_ping(session):
    connection = session()
    connection.sendall(b'{"action": "ping"}\n')
    assert guest_exec.finish(connection) == (0, b"", b"")
