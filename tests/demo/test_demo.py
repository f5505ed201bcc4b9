"""The demos themselves, on the first reads only: they must end well and show the true counts."""

import gzip
import json
import os
import subprocess

import hearth_up

READS = 2000


def counted():
    """Counted here from the file, without any function."""
    bases = gc = 0
    with gzip.open("/usr/share/doc/bowtie2/examples/reads/reads_1.fq.gz", "rt") as lines:
        for _ in range(READS):
            record = [lines.readline().rstrip("\n") for _ in range(4)]
            bases += len(record[1])
            gc += record[1].count("G") + record[1].count("C")
    return {"reads": READS, "bases": bases, "gc": gc}


def test_demo_shows_the_result_of_three_runtimes_that_agree():
    done = subprocess.run(
        ["/usr/bin/python3", os.path.join(hearth_up.TESTS, "demo", "demo.py")]
        + [hearth_up.build_directory(), "--reads", str(READS), "--json"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    shown = json.loads(done.stdout.splitlines()[-1])
    assert shown == counted()
    assert "all agree" in done.stdout
    assert "Phred" in done.stdout


def test_demo_events_counts_the_same_reads():
    done = subprocess.run(
        ["/usr/bin/python3", os.path.join(hearth_up.TESTS, "demo", "events.py")]
        + [hearth_up.build_directory(), "--reads", str(READS), "--objects", "12", "--json"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    shown = json.loads(done.stdout.splitlines()[-1])
    assert shown == counted()
    assert "results   12 of 12" in done.stdout
    assert "GB-seconds" in done.stdout
