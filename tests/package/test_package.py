"""The Debian package: what is in it, and that what is in it runs from another place."""

import contextlib
import gzip
import os
import shutil
import stat
import subprocess

import pytest

import hearth_up

ROOT = hearth_up.ROOT


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    for tool in ("dpkg-deb", "dpkg-shlibdeps"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not on this machine")
    output = tmp_path_factory.mktemp("package")
    made = subprocess.run(
        [os.path.join(ROOT, "tools", "package.sh"), hearth_up.build_directory(), str(output)],
        capture_output=True,
        text=True,
    )
    assert made.returncode == 0, made.stderr
    packages = [name for name in os.listdir(output) if name.endswith(".deb")]
    assert len(packages) == 1
    return str(output / packages[0])


@pytest.fixture(scope="module")
def tree(package, tmp_path_factory):
    directory = tmp_path_factory.mktemp("installed")
    subprocess.run(["dpkg-deb", "-x", package, str(directory)], check=True)
    # Functions' user has to reach the runtimes, as below /usr.
    for parent in [directory, *directory.parents][:3]:
        os.chmod(parent, 0o755)
    return str(directory)


def field(package, name):
    done = subprocess.run(
        ["dpkg-deb", "-f", package, name], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def test_the_control_file_names_what_the_programs_need(package):
    assert field(package, "Package") == "hearth"
    depends = field(package, "Depends")
    for library in ("libc6", "librocksdb", "libssl3"):
        assert library in depends


def test_everything_belongs_to_root_and_nobody_else_may_write(package):
    listing = subprocess.run(
        ["dpkg-deb", "-c", package], check=True, capture_output=True, text=True
    ).stdout
    for line in listing.splitlines():
        mode, owner = line.split()[:2]
        assert owner == "root/root", line
        assert mode[0] == "l" or (mode[5] == "-" and mode[8] == "-"), line


def test_a_cloud_runs_from_the_installed_tree(tree):
    program = os.path.join(tree, "usr/bin/hearth")
    assert os.path.islink(program)
    with hearth_up.Hearth(build=os.path.join(tree, "usr/bin")) as hearth:
        assert hearth.client("sts").get_caller_identity()["Account"] == "000000000000"
        running = []
        for pid in hearth.pids().values():
            # One that the host had for a moment may be gone.
            with contextlib.suppress(FileNotFoundError):
                running.append(os.readlink(f"/proc/{pid}/exe"))
        assert running
        assert all(path.startswith(os.path.join(tree, "usr/lib/hearth/")) for path in running)


def test_the_runtimes_are_there_and_readable(tree):
    runtimes = os.path.join(tree, "usr/lib/hearth/runtimes")
    assert os.path.exists(os.path.join(runtimes, "python", "bootstrap.py"))
    for directory, _, names in os.walk(runtimes):
        assert os.stat(directory).st_mode & 0o055 == 0o055, directory
        for name in names:
            status = os.lstat(os.path.join(directory, name))
            assert stat.S_ISLNK(status.st_mode) or status.st_mode & 0o044 == 0o044


def test_the_manual_page_knows_every_command_and_formats_cleanly(tree):
    with gzip.open(os.path.join(tree, "usr/share/man/man1/hearth.1.gz"), "rt") as page:
        text = page.read()
    shown = subprocess.run(
        [os.path.join(tree, "usr/bin/hearth"), "--help"], capture_output=True, text=True
    ).stdout
    commands = [
        line.split()[0]
        for line in shown[shown.index("Subcommands:") :].splitlines()[1:]
        if line.startswith("  ") and not line.startswith("   ")
    ]
    assert "up" in commands
    for command in commands:
        assert f"\n.B {command}\n" in text
    assert "\\-\\-durability" in text
    if shutil.which("groff"):
        done = subprocess.run(
            ["groff", "-man", "-ww", "-Tutf8", "-z"], input=text, capture_output=True, text=True
        )
        assert done.returncode == 0 and done.stderr == "", done.stderr


def test_the_unit_is_one_that_systemd_takes(tree):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not on this machine")
    done = subprocess.run(
        [
            "systemd-analyze",
            "verify",
            f"--root={tree}",
            "--man=no",
            "--recursive-errors=no",
            "hearth.service",
        ],
        capture_output=True,
        text=True,
    )
    # Units of the machine itself are not in this tree; only what concerns ours counts.
    ours = [line for line in done.stderr.splitlines() if "hearth.service" in line]
    assert ours == [], done.stderr


def test_completion_scripts_parse(tree):
    script = os.path.join(tree, "usr/share/bash-completion/completions/hearth")
    subprocess.run(["bash", "-n", script], check=True)
    done = subprocess.run(
        ["bash", "-c", f". {script}; COMP_WORDS=(hearth st); COMP_CWORD=1; _hearth; echo ${{COMPREPLY[@]}}"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == ["status"]


def test_maintainer_scripts_parse(package, tmp_path):
    subprocess.run(["dpkg-deb", "-e", package, str(tmp_path)], check=True)
    for script in ("postinst", "prerm", "postrm"):
        subprocess.run(["sh", "-n", str(tmp_path / script)], check=True)
