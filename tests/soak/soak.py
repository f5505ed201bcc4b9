#!/usr/bin/python3
"""The long forms of the crash, clone and volume tests.

usage: soak.py BUILD_DIR [NAME ...] [--seed N] [--record]

Each NAME is a test of ./dev test with the count that a release needs. Shows progress; --record adds one
line for each to docs/reliability.md: what, count, result, seconds, seed, commit.
"""

import argparse
import datetime
import os
import random
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PYTEST = ["/usr/bin/python3", "-B", "-m", "pytest", "-q", "-x", "-s", "-p", "no:cacheprovider", "--timeout=7200"]
REPORT = os.path.join(ROOT, "docs", "reliability.md")

# name: (what, count, command); {build} is the build directory. The count goes to HEARTH_SOAK_COUNT.
SOAKS = {
    "kill": (
        "kill -9 of cloud, host and keeper under mixed load", 150,
        [*PYTEST, "tests/crash/test_kill.py", "-k", "nothing_acknowledged"],
    ),
    "storage": (
        "kill -9 of a storing process, then a power cut at every sync boundary", 200,
        ["{build}/src/storage/rocksdb/storage_rocksdb_test", "--gtest_filter=*Crash*:*PowerCut*"],
    ),
    "clones": (
        "environments made, run and destroyed", 5000,
        [*PYTEST, "tests/sandbox", "-k", "clones"],
    ),
    "hostile": (
        "hostile functions, again and again", 20,
        [*PYTEST, "tests/hostile_functions"],
    ),
    "restored": (
        "clones of saved processes, each answer checked, no two alike", 10_000,
        ["{build}/src/sandbox/snapshot/sandbox_snapshot_test",
         "--gtest_filter=*ManyClones*:*AgreeOnNothing*"],
    ),
    "snapshots": (
        "invocations of each runtime over restored environments: threads, children, timers, files, network", 100_000,
        [*PYTEST, "tests/conformance/lambda_snapstart/test_volume.py"],
    ),
    "unique": (
        "clones of each runtime whose random values all differ", 10_000,
        [*PYTEST, "tests/conformance/lambda_snapstart/test_unique.py"],
    ),
    "vmm": (
        "tiny virtual machines in a row, a hundred at once, hostile drivers", 1000,
        [*PYTEST, "tests/vmm/test_tiny_guests.py"],
    ),
    "tsan": (
        "mixed operations on four threads under the thread sanitizer", 5000,
        [*PYTEST, "tests/soak/test_threads.py"],
    ),
    "urls": (
        "clients that keep their connections to function URLs, a tenth as many functions, ten rounds", 10_000,
        [*PYTEST, "tests/conformance/lambda_urls/test_load.py"],
    ),
    "s3_kill": (
        "kill -9 of the cloud while objects are put, copied, uploaded in parts and deleted", 200,
        [*PYTEST, "tests/crash/test_s3_kill.py"],
    ),
    "s3_notifications": (
        "kill -9 of the cloud while a bucket tells a queue of every object put", 200,
        [*PYTEST, "tests/crash/test_s3_notifications_kill.py"],
    ),
    "async_kill": (
        "kill -9 of the cloud while functions are invoked asynchronously", 200,
        [*PYTEST, "tests/crash/test_async_kill.py"],
    ),
    "mapping_kill": (
        "kill -9 of the cloud while messages go through event source mappings to a function", 200,
        [*PYTEST, "tests/crash/test_mapping_kill.py"],
    ),
    "mapping_turns": (
        "queues that feed one function with two places, in turns", 1_000,
        ["{build}/src/services/lambda/services_lambda_test", "--gtest_filter=ManyQueues.*"],
    ),
    "sqs_kill": (
        "kill -9 of the cloud while messages are sent, received, hidden, deleted and purged", 200,
        [*PYTEST, "tests/crash/test_sqs_kill.py"],
    ),
    "dead_letters_kill": (
        "kill -9 of the cloud while messages become dead letters and are moved back", 100,
        [*PYTEST, "tests/crash/test_sqs_dead_letters_kill.py"],
    ),
    "s3_power": (
        "lives of three writers of bodies, each with 40 cuts of power between any two steps", 200,
        ["{build}/src/storage/objects/storage_objects_test", "--gtest_filter=BodyFaults.ACut*"],
    ),
    "s3_cut": (
        "lives of the engine and of bodies' files, each with 40 cuts of power to both at one moment", 100,
        ["{build}/src/storage/objects/storage_objects_test", "--gtest_filter=BodiesPowerCut.*"],
    ),
    "s3_model": (
        "operations of each of ten S3 clients, which agree with some serial order", 1_500,
        [*PYTEST, "tests/conformance/s3_model"],
    ),
    "s3_sync": (
        "files that `aws s3 sync` takes to a bucket and back", 10_000,
        [*PYTEST, "tests/conformance/s3_clients/test_aws_cli.py", "-k", "sync_both_ways"],
    ),
    "invocations": (
        "invocations of three runtimes, each answer checked", 200_000,
        [*PYTEST, "tests/conformance/lambda_invoke", "-k", "volume"],
    ),
}


def commit():
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True
    )
    return done.stdout.strip() or "unknown"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(SOAKS))
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--record", action="store_true", help="add the results to docs/reliability.md")
    options = parser.parse_args()
    unknown = set(options.names) - set(SOAKS)
    if unknown:
        parser.error(f"no soak {', '.join(sorted(unknown))}; there are {', '.join(SOAKS)}")
    build = os.path.abspath(options.build)
    failed = 0
    for number, name in enumerate(options.names or SOAKS, 1):
        what, count, command = SOAKS[name]
        print(f"[{number}/{len(options.names or SOAKS)}] {name}: {what}, {count:,}", flush=True)
        environment = dict(
            os.environ,
            HEARTH_BIN=build,
            HEARTH_SOAK_COUNT=str(count),
            HEARTH_SEED=str(options.seed),
            PYTHONPATH=os.path.join(ROOT, "tests"),
        )
        started = time.monotonic()
        status = subprocess.run(
            [part.format(build=build) for part in command], cwd=ROOT, env=environment
        ).returncode
        took = time.monotonic() - started
        failed += status != 0
        result = "passed" if status == 0 else f"FAILED ({status})"
        line = (
            f"| {datetime.date.today()} | {what} | {count:,} | {result} | {took:,.0f} s "
            f"| {options.seed} | {commit()} |"
        )
        print(line, flush=True)
        if options.record:
            with open(REPORT, "a", encoding="utf-8") as file:
                file.write(line + "\n")
    print(f"{len(options.names or SOAKS) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
