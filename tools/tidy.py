#!/usr/bin/python3
"""Checks the tree's own rules: layers, owners of third-party headers, bans, line lengths, dead files.

usage: tidy.py [--list]     --list prints the exceptions with their reasons

Reads the work tree, needs neither git nor a build. Exit status 1 when a rule is broken.
"""

import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
COLUMNS_MAX = 100
SKIPPED_FOLDERS = {".git", "build", "node_modules", "__pycache__", ".cache", ".pytest_cache"}

# From low to high; folders of one row may not include each other.
LAYERS = [
    {"base"},
    {"codec", "os"},
    {"rt", "vmm"},
    {"http", "storage"},
    {"aws", "sandbox"},
    {"flow"},
    {"services"},
    {"hearth"},
]
RANK = {folder: rank for rank, row in enumerate(LAYERS) for folder in row}

# Includes against the layers, each with its reason.
LAYER_EXCEPTIONS = {}

# Who may include which third-party headers. Tests and benchmarks of a folder count as the folder.
OWNERS = [
    (re.compile(r"boost/beast"), ("src/http/", "src/vmm/api/")),
    (re.compile(r"boost/asio/(?!awaitable\.hpp)"), ("src/rt/", "src/http/")),
    (re.compile(r"boost/json"), ("src/codec/json/", "src/vmm/", "examples/")),
    (re.compile(r"rocksdb/"), ("src/storage/rocksdb/",)),
    (re.compile(r"openssl/"), ("src/codec/crypto/", "src/http/", "tests/perf/")),
    (re.compile(r"archive(_entry)?\.h"), ("src/codec/zip/",)),
    (re.compile(r"zlib\.h"), ("src/codec/gzip/",)),
    (re.compile(r"seccomp\.h"), ("src/os/", "src/vmm/seccomp/")),
    (re.compile(r"linux/kvm\.h"), ("src/vmm/kvm/",)),
    (re.compile(r"sys/capability\.h"), ("src/os/", "src/sandbox/host/")),
    (re.compile(r"prometheus/"), ("src/aws/front/",)),
    (re.compile(r"CLI/"), ("src/hearth/",)),
    (re.compile(r"spdlog/"), ("src/base/",)),
    (re.compile(r"re2/"), ("src/aws/model/", "src/codec/", "src/services/")),
]
_ONE_POST_PER_LOOP = "wakes all waiters of a batch with one post per loop; rt posts each by itself"
OWNER_EXCEPTIONS = {
    ("src/storage/rocksdb/committer.cc", f"boost/asio/{header}.hpp"): _ONE_POST_PER_LOOP
    for header in ("any_io_executor", "async_result", "post", "this_coro", "use_awaitable")
}

# What must not be in code, and where it may be all the same.
BANS = [
    (re.compile(r"\b(sleep_for|sleep_until|usleep|nanosleep)\s*\("), "sleeping; wait for the cause instead"),
    (re.compile(r"(?<![\w.])sleep\(\d"), "sleeping; wait for the cause instead"),
    (re.compile(r"#include <regex>"), "<regex> is slow to compile and backtracks; use RE2"),
    (re.compile(r"\bassert\("), "assert vanishes in release builds; use CHECK"),
    (re.compile(r"catch \(\.\.\.\)"), "catching everything hides bugs; the dispatcher alone does"),
    (re.compile(r"\bstd::(cout|cerr)\b"), "use base/log.h or fmt::print"),
    (re.compile(r"\bTODO\b(?!\([^)]+\))"), "a TODO names its condition: TODO(when X): ..."),
]
BAN_EXCEPTIONS = {
    path: "waits at start, before there is a loop, for the lock of a process that is just ending"
    for path in ("src/storage/data_directory.cc", "src/storage/rocksdb/rocksdb_kv.cc")
} | {
    path: "carries an exception from one thread or task to the one that waits for it"
    for path in (
        "src/rt/blocking_pool.h",
        "src/rt/task_group.h",
        "src/rt/task_group.cc",
        "src/sandbox/dns_stub.cc",
    )
} | {
    "src/os/cgroups.cc": "the kernel reaps what was killed and tells nobody when",
} | {
    path: "a process that is to be dumped comes to rest by itself and tells nobody when"
    for path in ("src/sandbox/host/dump_job.cc", "src/sandbox/snapshot/testing/round_trip.h")
}

INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)')
GENERIC_NAMES = {"utils.h", "util.h", "misc.cc", "common.h", "helpers.h"}


def files(*folders):
    for folder in folders:
        for directory, names, leaves in os.walk(os.path.join(ROOT, folder)):
            names[:] = sorted(set(names) - SKIPPED_FOLDERS)
            for leaf in sorted(leaves):
                yield os.path.relpath(os.path.join(directory, leaf), ROOT)


def read_lines(path):
    with open(os.path.join(ROOT, path), encoding="utf-8", errors="replace") as file:
        return file.read().splitlines()


def layer_problem(path, included):
    """Why `path` below src may not include the project header `included`, or None."""
    parts, other = path.split("/")[1:], included.split("/")
    mine, theirs = parts[0], other[0]
    if mine == "testing" or theirs == "gen" or path.endswith(("_test.cc", "_bench.cc", "_fuzz.cc")):
        return None
    if theirs == "testing":
        return "only tests may see testing"
    if mine not in RANK or theirs not in RANK:
        return None
    if mine == theirs:
        crosses = mine == "services" and len(parts) > 2 and len(other) > 2 and parts[1] != other[1]
        return "services never include each other; see src/services/*.h" if crosses else None
    if RANK[theirs] >= RANK[mine]:
        return f"{mine} is not above {theirs}"
    return None


def is_exempt(line):
    """Addresses and raw string literals cannot be broken; a comment or a constraint may end a word later."""
    is_comment = line.lstrip().startswith(("//", "requires("))
    return "http" in line or 'R"(' in line or (is_comment and len(line) <= COLUMNS_MAX + 6)


def check_source(path, problems):
    if ".gen." in path:
        # The golden output of the generator.
        return
    lines = read_lines(path)
    banned_everywhere = not path.endswith(("_test.cc", "_bench.cc", "_fuzz.cc"))
    for number, line in enumerate(lines, 1):
        place = f"{path}:{number}"
        if len(line) > COLUMNS_MAX and not is_exempt(line):
            problems.append(f"{place}: {len(line)} columns, {COLUMNS_MAX} are the limit")
        if line.rstrip() != line:
            problems.append(f"{place}: blanks at the end of the line")
        match = INCLUDE.match(line)
        if match and match[1] and path.startswith("src/"):
            why = layer_problem(path, match[1])
            if why and (path, match[1]) not in LAYER_EXCEPTIONS:
                problems.append(f"{place}: includes {match[1]}: {why}")
        if match and match[2]:
            for pattern, owners in OWNERS:
                if pattern.match(match[2]) and not path.startswith(owners):
                    if (path, match[2]) not in OWNER_EXCEPTIONS:
                        problems.append(
                            f"{place}: <{match[2]}> belongs to {' and '.join(owners)}"
                        )
        code = line.split("//")[0]
        for pattern, why in BANS:
            subject = line if pattern.pattern.startswith(r"\bTODO") else code
            if banned_everywhere and pattern.search(subject) and path not in BAN_EXCEPTIONS:
                problems.append(f"{place}: {why}")
    if path.endswith(".h") and "#pragma once" not in lines and not path.startswith("examples/"):
        problems.append(f"{path}: a header begins with #pragma once")
    if os.path.basename(path) in GENERIC_NAMES:
        problems.append(f"{path}: name it after what it is")


def check_python(path, problems):
    for number, line in enumerate(read_lines(path), 1):
        if len(line) > 135 and "http" not in line:
            problems.append(f"{path}:{number}: {len(line)} columns, 135 are the limit")
        if line.rstrip() != line:
            problems.append(f"{path}:{number}: blanks at the end of the line")


def check_dead_headers(sources, problems):
    """A header that nobody includes is dead."""
    included = set()
    for path in sources:
        for line in read_lines(path):
            match = INCLUDE.match(line)
            if match and match[1]:
                included.add(match[1])
    for path in sources:
        if path.startswith("src/") and path.endswith(".h"):
            name = path.removeprefix("src/")
            if name not in included and os.path.basename(name) not in included:
                problems.append(f"{path}: no file includes it")


def check_links(problems):
    """Relative links in the documents lead somewhere."""
    for path in [*files("docs", "changes", "examples", "src", "models", "tests"), "README.md",
                 "CONTRIBUTING.md"]:
        if not path.endswith(".md"):
            continue
        for number, line in enumerate(read_lines(path), 1):
            for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", line):
                if "://" in target:
                    continue
                where = os.path.normpath(os.path.join(ROOT, os.path.dirname(path), target))
                if not os.path.exists(where):
                    problems.append(f"{path}:{number}: the link to {target} leads nowhere")


def main():
    if "--list" in sys.argv[1:]:
        for table in (LAYER_EXCEPTIONS, OWNER_EXCEPTIONS, BAN_EXCEPTIONS):
            for key, reason in table.items():
                print(f"{key}: {reason}")
        return 0
    problems = []
    sources = [
        path for path in files("src", "tests", "examples") if path.endswith((".cc", ".h", ".c"))
    ]
    for path in sources:
        check_source(path, problems)
    for path in files("src", "tests", "tools", "examples"):
        if path.endswith(".py"):
            check_python(path, problems)
    check_dead_headers(sources, problems)
    check_links(problems)
    for problem in problems:
        print(problem)
    if problems:
        print(f"tidy: {len(problems)} to mend")
        return 1
    print(f"tidy: {len(sources)} sources keep the rules")
    return 0


if __name__ == "__main__":
    sys.exit(main())
