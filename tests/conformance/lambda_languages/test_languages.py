"""The samples of custom runtimes: one function in seven languages, built by their own build scripts.

./dev test installs the languages (tools/test_packages.txt); one that is not there is skipped.
"""

import os
import random
import re
import shutil
import subprocess

import pytest

import deployed
import hearth_up

# What has to be installed for each: the interpreter that functions see, or the compiler.
NEEDS = {
    "cpp": None,
    "rust": "/usr/bin/rustc",
    "ruby": "/usr/bin/ruby",
    "php": "/usr/bin/php",
    "cobol": "/usr/bin/cobc",
    "erlang": "/usr/bin/erlc",
    "elixir": "/usr/bin/elixirc",
}
SEED = int(os.environ.get("HEARTH_SEED", "20261121"))


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """package("ruby") is the zip of that sample."""
    built = {}

    def make(language):
        need = NEEDS[language]
        if need is not None and not os.path.exists(need):
            pytest.skip(f"{language}: {need} is not installed (./dev test installs it as root)")
        if language not in built:
            if need is None:
                built[language] = deployed.zipped({"bootstrap": deployed.program("genome-bootstrap")})
            else:
                built[language] = build(language, tmp_path_factory.mktemp(language))
        return built[language]

    return make


def build(language, directory):
    # A copy: the tree of the sources stays as it is.
    source = os.path.join(hearth_up.ROOT, "examples", language)
    copy = shutil.copytree(source, directory / "source")
    done = subprocess.run(
        [copy / "build", directory / "function.zip"],
        capture_output=True,
        text=True,
        timeout=hearth_up.DEADLINE_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return (directory / "function.zip").read_bytes()


@pytest.fixture
def deploy(hearth, unique, package):
    client = hearth.client("lambda")
    made = []

    def make(language, handler="genome.handler"):
        name = unique(language)
        client.create_function(
            FunctionName=name,
            Runtime="provided.al2023",
            Role=deployed.ROLE,
            Handler=handler,
            Code={"ZipFile": package(language)},
            Timeout=60,
            MemorySize=512,
        )
        made.append(name)
        return deployed.Function(client, name)

    yield make
    for name in made:
        client.delete_function(FunctionName=name)


def expected(sequence):
    """The same answer by other means."""
    sequence = sequence.upper()
    longest = 0
    for frame in range(3):
        codons = [sequence[at : at + 3] for at in range(frame, len(sequence) - 2, 3)]
        text = "".join("M" if c == "ATG" else "*" if c in ("TAA", "TAG", "TGA") else "x" for c in codons)
        longest = max([longest, *(len(found) - 1 for found in re.findall(r"M[Mx]*\*", text))])
    return {
        "bases": len(sequence),
        "gc": sequence.count("G") + sequence.count("C"),
        "longest_orf": longest,
    }


def genomes():
    chance = random.Random(SEED)
    print(f"seed {SEED}")
    yield "ccATGAAATAGnnATGCCCCCCTGA"
    yield ""
    yield "A"
    yield "ATG"
    yield "atgTAA"
    for size in (100, 5000, 48502):
        yield "".join(chance.choice("ACGT") for _ in range(size))


@pytest.mark.parametrize("language", NEEDS)
def test_it_answers(hearth, deploy, language):
    function = deploy(language)
    sizes = []
    for genome in genomes():
        call = function.invoke({"sequence": genome})
        assert call.error is None, call.body
        assert call.json() == expected(genome), genome[:50]
        sizes.append(len(genome))
    logged = logged_lines(hearth, function.name, len(sizes))
    assert sorted(int(line.split()[0]) for line in logged) == sorted(sizes)
    for line in logged:
        # C++'s header has no deadline; the others know it from Lambda-Runtime-Deadline-Ms.
        left = re.search(r" (\d+) ms left", line)
        assert left is None if language == "cpp" else 0 < int(left[1]) <= 60_000


def logged_lines(hearth, name, count):
    """The function's own lines in its log group; Erlang's output may come after the answer."""
    client = hearth.client("logs")

    def lines():
        events = client.filter_log_events(logGroupName=f"/aws/lambda/{name}", filterPattern="bases")
        found = [event["message"] for event in events["events"]]
        return found if len(found) >= count else None

    return hearth_up.wait_for(lines, f"{count} lines of {name}")


@pytest.mark.parametrize("language", NEEDS)
def test_it_fails_with_type_message_and_stack(deploy, language):
    function = deploy(language)
    call = function.invoke({"sequence": "ACGTxACGT"})
    assert call.error == "Unhandled"
    error = call.json()
    assert (error["errorType"], error["errorMessage"]) == ("InvalidSequence", "no base: X at 5")
    assert isinstance(error["stackTrace"], list)
    if language != "cpp":
        assert any("genome" in line or "main.rs" in line for line in error["stackTrace"]), error
    assert "Error Type: InvalidSequence" in call.log
    # The environment serves on.
    assert function.invoke({"sequence": "GATTACA"}).json() == expected("GATTACA")


@pytest.mark.parametrize("language", NEEDS)
def test_its_init_fails(deploy, language):
    call = deploy(language, handler="nothing.handler").invoke({})
    assert call.error == "Unhandled"
    assert call.json()["errorType"] == "Runtime.NoSuchHandler"
    assert "Phase: init\tStatus: error" in call.log or "Phase: invoke\tStatus: error" in call.log

