"""The host's side of running commands in a guest, as src/vmm/guest/exec_protocol.h says."""

import json
import socket
import struct

STDIN, STDOUT, STDERR, EXIT, SIGNAL = range(5)


def frame(stream, data=b""):
    return struct.pack("<BI", stream, len(data)) + data


def request(argv, **members):
    return json.dumps({"argv": argv, **members}).encode() + b"\n"


def read_exactly(connection, size):
    data = b""
    while len(data) < size:
        piece = connection.recv(size - len(data))
        if not piece:
            raise ConnectionError(f"the connection ended after {len(data)} of {size} bytes")
        data += piece
    return data


def read_frame(connection):
    stream, size = struct.unpack("<BI", read_exactly(connection, 5))
    return stream, read_exactly(connection, size)


def finish(connection):
    """What the command wrote and its exit status."""
    written = {STDOUT: b"", STDERR: b""}
    while True:
        stream, data = read_frame(connection)
        if stream == EXIT:
            return struct.unpack("<I", data)[0], written[STDOUT], written[STDERR]
        written[stream] += data


def connect(uds_path, port=1024, timeout=60):
    """A connection to a port of the guest behind the monitor's vsock socket."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(timeout)
    connection.connect(uds_path)
    connection.sendall(f"CONNECT {port}\n".encode())
    answer = b""
    while not answer.endswith(b"\n"):
        byte = connection.recv(1)
        if not byte:
            raise ConnectionError(f"no connection to port {port} of the guest")
        answer += byte
    assert answer.startswith(b"OK "), answer
    return connection
