"""Builds tiny guests (tests/vmm/tiny) and runs the monitor with them."""

import json
import os
import pathlib
import signal
import subprocess
import threading

import hearth_up

HERE = pathlib.Path(__file__).parent
DEADLINE_S = 120


def monitor_program():
    return pathlib.Path(hearth_up.build_directory()) / "hearth-vmm"


def why_no_kvm():
    """None where virtual machines can be made on this machine, else what is missing. Tried, not guessed from flags."""
    import fcntl

    try:
        kvm = os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        return f"/dev/kvm: {error.strerror}"
    try:
        os.close(fcntl.ioctl(kvm, 0xAE01, 0))  # KVM_CREATE_VM
    except OSError as error:
        return f"KVM_CREATE_VM: {error.strerror}"
    finally:
        os.close(kvm)
    return None


def build(name, directory):
    """The guest as an ELF kernel."""
    image = pathlib.Path(directory) / f"{name}.elf"
    subprocess.run(
        ["clang-19", "-std=c17", "-O2", "-ffreestanding", "-nostdlib", "-static", "-fno-pic", "-fno-pie",
         "-mno-red-zone", "-mgeneral-regs-only", "-fno-stack-protector", "-fuse-ld=lld", "-Wall", "-Wextra",
         "-Wno-unused-function", "-Wl,--image-base=0x200000", "-Wl,-e,_start", "-Wl,--build-id=none",
         "-o", image, HERE / "tiny" / f"{name}.c"],
        check=True,
    )
    return image


def config(kernel, memory_mib=8, **resources):
    return {
        "boot-source": {"kernel_image_path": str(kernel), "boot_args": ""},
        "drives": [],
        "machine-config": {"vcpu_count": 1, "mem_size_mib": memory_mib},
        **resources,
    }


class Monitor:
    """A running monitor; what the guest prints is its output."""

    def __init__(self, directory, configuration, *options, name="vm"):
        directory = pathlib.Path(directory)
        path = directory / f"{name}.json"
        # Apart from what the guest prints.
        log = directory / f"{name}.log"
        log.touch()
        path.write_text(json.dumps({"logger": {"log_path": str(log)}, **configuration}))
        arguments = options or ("--no-api",)
        self.process = subprocess.Popen(
            [monitor_program(), *arguments, "--config-file", path], cwd=directory,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )
        self.pid = self.process.pid
        # Bytes that await_line has read.
        self.seen = 0

    def finish(self, timeout=DEADLINE_S):
        """Exit status, output, errors."""
        try:
            out, err = self.process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            out, err = self.process.communicate()
            raise AssertionError(f"the monitor did not end; it said: {out[-2000:]!r} {err[-2000:]!r}") from None
        return self.process.returncode, out.decode(errors="replace"), err.decode(errors="replace")

    def await_line(self, wanted, timeout=DEADLINE_S):
        """Reads until the guest has printed `wanted`; returns all until then."""
        timer = threading.Timer(timeout, self.process.kill)
        timer.start()
        seen = b""
        try:
            while wanted.encode() not in seen:
                piece = os.read(self.process.stdout.fileno(), 65536)
                if not piece:
                    error = self.process.stderr.read()
                    raise AssertionError(f"the monitor ended before {wanted!r}: {seen[-2000:]!r} {error[-2000:]!r}")
                seen += piece
                self.seen += len(piece)
        finally:
            timer.cancel()
        return seen.decode(errors="replace")

    def kill(self, number=signal.SIGKILL):
        self.process.send_signal(number)
        return self.finish()

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def threads(self):
        return len(os.listdir(f"/proc/{self.pid}/task"))

    def status(self, field):
        for line in pathlib.Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1])
        raise KeyError(field)
