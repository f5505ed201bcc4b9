"""Run in a network namespace of its own, which plays the machine (`unshare -n`). Makes an outside, sets up the way out,
runs functions, prints what they reached as JSON. Nothing of the real machine's network is touched."""
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from host_channel import BIN, Host  # noqa: E402

CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


def run(command):
    subprocess.run(command.split(), check=True)


def in_new_namespace():
    """A process in a new network namespace; its pid."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        libc.prctl(1, signal.SIGKILL)
        assert libc.unshare(CLONE_NEWNET) == 0
        os.write(write, b"x")
        signal.pause()
    os.read(read, 1)
    return pid


def enter(pid):
    with open(f"/proc/{pid}/ns/net", encoding="utf-8") as file:
        assert libc.setns(file.fileno(), CLONE_NEWNET) == 0


def listen_in(pid, address, port):
    """A listener in that namespace which says who connected."""
    ready = threading.Event()
    holder = []

    def work():
        enter(pid)  # of this thread only
        server = socket.create_server((address, port))
        holder.append(server)
        ready.set()
        while True:
            try:
                connection, peer = server.accept()
            except OSError:
                return
            connection.sendall(peer[0].encode())
            connection.close()

    threading.Thread(target=work, daemon=True).start()
    assert ready.wait(30)
    return holder[0]


SCRIPT = """
import json, os, socket
results = {}
for name, target in json.loads(os.environ['TARGETS']).items():
    try:
        with socket.create_connection(tuple(target), timeout=4) as s:
            results[name] = s.recv(100).decode()
    except OSError as e:
        results[name] = 'refused'
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(1)
results['interfaces'] = sorted(name for _, name in socket.if_nameindex())
results['resolv'] = open('/etc/resolv.conf').read().split('\\n')[0]
print(json.dumps(results))
"""


def forwarding(name):
    with open(f"/proc/sys/net/ipv4/conf/{name}/forwarding", encoding="utf-8") as file:
        return file.read().strip()


def main():
    outside, host_network = in_new_namespace(), in_new_namespace()
    run("ip link set lo up")
    run(f"ip link add wan0 type veth peer name eth0 netns {outside}")
    run("ip addr add 203.0.113.1/24 dev wan0")
    run("ip link set wan0 up")
    run("ip route add default via 203.0.113.2")
    for command in ("ip link set lo up", "ip addr add 203.0.113.2/24 dev eth0", "ip link set eth0 up",
                    "ip addr add 169.254.169.254/32 dev lo", "ip addr add 8.8.8.8/32 dev lo"):
        run(f"nsenter -t {outside} -n {command}")
    run("ip route add 169.254.169.254/32 via 203.0.113.2")
    servers = [listen_in(outside, "8.8.8.8", 80), listen_in(outside, "169.254.169.254", 80),
               listen_in(os.getpid(), "127.0.0.1", 81), listen_in(os.getpid(), "203.0.113.1", 4566),
               listen_in(os.getpid(), "203.0.113.1", 82)]
    results = {"before": forwarding("wan0")}
    netns = os.open(f"/proc/{host_network}/ns/net", os.O_RDONLY)
    helper = os.path.join(BIN, "hearth-host")
    host = Host("--netns-fd", str(netns), "--egress", "on", pool=2)
    setup = [helper, "--data-name", host.data, "--netns-fd", str(netns), "--block-port", "4566"]
    subprocess.run(setup + ["--egress-setup"], pass_fds=[netns], check=True)
    subprocess.run(setup + ["--egress-setup"], pass_fds=[netns], check=True)  # again, as after a crash
    results["during"] = forwarding("wan0")
    original = subprocess.Popen

    def popen(*args, pass_fds=(), **kwargs):
        return original(*args, pass_fds=[*pass_fds, netns], **kwargs)

    subprocess.Popen = popen
    host.launch()
    host.hello()
    subprocess.Popen = original
    results["facts"] = host.facts
    targets = {"outside": ["8.8.8.8", 80], "metadata": ["169.254.169.254", 80], "loopback": ["127.0.0.1", 81],
               "hearth": ["203.0.113.1", 4566], "machine service": ["203.0.113.1", 82], "link": ["198.19.0.1", 82]}
    env = ["TARGETS=" + json.dumps(targets)]
    # A neighbour to be out of reach.
    neighbour = host.create(["/usr/bin/python3", "-S", "-c",
                             "import socket,time; s=socket.create_server(('0.0.0.0', 83)); print('up',flush=True); time.sleep(1000)"],
                            egress=True)
    neighbour.start()
    os.read(neighbour.stdout, 10)
    targets.update({f"neighbour{i}": [f"198.18.0.{i * 4 + 2}", 83] for i in range(3)})
    env = ["TARGETS=" + json.dumps(targets)]
    report, output, error = host.python(SCRIPT, env=env, egress=True)
    assert report == (0, 0, ""), error
    results["on"] = json.loads(output)
    report, output, error = host.python(SCRIPT, env=env, egress=False)
    assert report == (0, 0, ""), error
    results["off"] = json.loads(output)
    neighbour.destroy()
    results["stop"] = host.stop()
    subprocess.run(setup + ["--egress-remove"], pass_fds=[netns], check=True)
    results["after"] = forwarding("wan0")
    results["tables"] = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True).stdout
    results["links"] = sorted(name for _, name in socket.if_nameindex())
    host.__exit__()
    for server in servers:
        server.close()
    for pid in (outside, host_network):
        os.kill(pid, signal.SIGKILL)
    print(json.dumps(results))


if __name__ == "__main__":
    main()
