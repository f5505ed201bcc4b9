"""The section "snapshots" of bench.py: restores, spares and cold starts of the same functions in the same run.

A restore per call is forced by putting idle environments away first (DELETE /_hearth/slots); the pool of
prepared sandboxes then has a moment to fill again, as it has wherever calls are not back to back.
"""

import concurrent.futures
import json
import re
import statistics
import time

import hearth_up

RUNS = 100
COLD_EVERY = 10
PAUSE_S = 0.1
SPARE_RUNS = 50
EVICTED_RUNS = 15
AT_ONCE = 500
RATE_CALLS = 400
IDLE = 1000

WAITING = """
import time
def handler(event, context):
    began = time.time()
    time.sleep(event.get("s", 0))
    return began
"""
BOTO3 = """
import boto3
client = boto3.client("s3")
def handler(event, context):
    return event
"""
# language: (restore ms, of a cold start, spare ms)
TARGETS = {
    "python": (3, 1 / 15, 1),
    "python + boto3": (4, 1 / 50, 1.2),
    "node": (4, 1 / 20, 1.5),
    "c++": (1.5, None, 0.6),
}


def percentile(times, share):
    return sorted(times)[min(len(times) - 1, int(len(times) * share))]


def publish(client, name, create, parts):
    """Makes a function and a version with a snapshot; returns the version and the ms it took."""
    create(client, name, *parts, SnapStart={"ApplyOn": "PublishedVersions"})
    client.get_waiter("function_active_v2").wait(FunctionName=name)
    started = time.perf_counter()
    version = client.publish_version(FunctionName=name)["Version"]
    while True:
        state = client.get_function_configuration(FunctionName=name, Qualifier=version)
        if state["State"] != "Pending":
            break
        time.sleep(0.005)
    took = (time.perf_counter() - started) * 1000
    if state["SnapStart"]["OptimizationStatus"] != "On":
        raise RuntimeError(f"{name} has no snapshot: {state}")
    return version, took


def evict(hearth, name, more=""):
    hearth.get(f"/_hearth/slots?function={name}{more}", method="DELETE").read()


def function_of(hearth, name, version):
    for function in json.load(hearth.get("/_hearth/slots"))["functions"]:
        if function["function"] == name and function["version"] == version:
            return function
    return {"restores": 0, "spare_hits": 0, "misses": 0, "environments": []}


def available_mb():
    with open("/proc/meminfo") as facts:
        return int(next(line.split()[1] for line in facts if line.startswith("MemAvailable"))) / 1024


class Section:
    def __init__(self, bench, options, load):
        self.bench, self.options, self.load = bench, options, load
        self.functions = dict(bench.echo_functions(options))
        self.functions["python + boto3"] = (
            "python3.12", "f.handler", bench.package([("f.py", BOTO3, 0o644)]))

    def name(self, language):
        return "snap-" + re.sub("[^a-z]+", "-", language.replace("+", "p"))

    def up(self, *more):
        return hearth_up.Hearth(self.options.build, options=(*self.bench.QUOTA, *more))

    def request(self, hearth, name, qualifier=None, body=b'{"k":1}'):
        path = f"/2015-03-31/functions/{name}/invocations"
        if qualifier:
            path += f"?Qualifier={qualifier}"
        return self.bench.signed_request(hearth, "lambda", "POST", path, body)

    def once(self, hearth, request):
        return self.load.run(hearth.port, request, 1, 0.000001)["max_us"] / 1000

    def frozen(self):
        """How long a process stands still while it is saved, as the log says at level debug."""
        with self.up("--log-level", "debug") as hearth:
            client = hearth.client("lambda")
            for language, parts in self.functions.items():
                name = self.name(language)
                _, took = publish(client, name, self.bench.create, parts)
                said = re.findall(rf"{name} saved: (\d+) bytes, frozen for (\d+) us", hearth.log())
                self.bench.report(f"{language}: publish until Active", took, "ms")
                self.bench.report(f"{language}: frozen", int(said[-1][1]) / 1000, "ms",
                                  target="<= 250 ms" if "boto3" in language else "")
                self.bench.report(f"{language}: image", int(said[-1][0]) / 1e6, "MB")

    def restores(self, hearth, client, language):
        name = self.name(language)
        version, _ = publish(client, name, self.bench.create, self.functions[language])
        restored, cold = [], []
        for run in range(RUNS):
            evict(hearth, name)
            time.sleep(PAUSE_S)
            restored.append(self.once(hearth, self.request(hearth, name, version)))
            if run % COLD_EVERY == 0:
                evict(hearth, name)
                time.sleep(PAUSE_S)
                cold.append(self.once(hearth, self.request(hearth, name)))
        evicted = []
        for _ in range(EVICTED_RUNS):
            evict(hearth, name, "&templates=true")
            time.sleep(PAUSE_S)
            evicted.append(self.once(hearth, self.request(hearth, name, version)))
        target, share, _ = TARGETS[language]
        p50, cold50 = statistics.median(restored), statistics.median(cold)
        report = self.bench.report
        report(f"{language}: cold start p50", cold50, "ms")
        report(f"{language}: restore p50", p50, "ms", "cold", p50 / cold50,
               f"<= {target} ms" + (f", {share:.3f} x" if share else ""))
        report(f"{language}: restore p10", percentile(restored, 0.1), "ms")
        report(f"{language}: restore p99", percentile(restored, 0.99), "ms", "p50",
               percentile(restored, 0.99) / p50, "<= 3 x p50")
        report(f"{language}: template evicted, p50", statistics.median(evicted), "ms", "cold",
               statistics.median(evicted) / cold50, "<= 0.25 x")
        warm = self.load.run(hearth.port, self.request(hearth, name, version), 1, 0.5)
        report(f"{language}: warm p50", warm["p50_us"] / 1000, "ms")

    def spares(self, language):
        with self.up("--spares", "2") as hearth:
            name = self.name(language)
            version, _ = publish(hearth.client("lambda"), name, self.bench.create, self.functions[language])
            request = self.request(hearth, name, version)
            self.once(hearth, request)
            times = []
            for _ in range(SPARE_RUNS):
                evict(hearth, name, "&spares=keep")
                hearth_up.wait_for(
                    lambda: [e for e in function_of(hearth, name, version)["environments"]
                             if e["state"] == "spare"],
                    "a spare", interval_s=PAUSE_S / 2)
                times.append(self.once(hearth, request))
            hits = function_of(hearth, name, version)["spare_hits"]
            self.bench.report(f"{language}: spare p50 ({hits} of {SPARE_RUNS} calls)",
                              statistics.median(times), "ms", target=f"<= {TARGETS[language][2]} ms")

    def many(self):
        """Bursts and the memory of many, on one Python function."""
        with self.up() as hearth:
            client = hearth.client("lambda", pool=IDLE)
            name = "snap-many"
            parts = ("python3.12", "f.handler", self.bench.package([("f.py", WAITING, 0o644)]))
            version, _ = publish(client, name, self.bench.create, parts)

            def call(seconds):
                started = time.perf_counter()
                answer = client.invoke(
                    FunctionName=name, Qualifier=version, Payload=json.dumps({"s": seconds}))
                began = json.loads(answer["Payload"].read())
                return time.perf_counter() - started, began, "FunctionError" in answer

            def burst(count, seconds):
                evict(hearth, name)
                time.sleep(1)
                before = function_of(hearth, name, version)["restores"]
                started = time.time()
                with concurrent.futures.ThreadPoolExecutor(count) as callers:
                    answers = list(callers.map(call, [seconds] * count))
                failed = sum(answer[2] for answer in answers)
                if failed:
                    print(f"  !! {failed} of {count} calls failed")
                made = function_of(hearth, name, version)["restores"] - before
                return answers, made, started

            answers, made, _ = burst(AT_ONCE, 0)
            self.bench.report(f"{AT_ONCE} at once ({made} restores), slowest",
                              max(answer[0] for answer in answers) * 1000, "ms", target="<= 3000")
            # Each keeps its environment until all have begun: every call is a restore.
            answers, made, started = burst(RATE_CALLS, 6)
            took = max(answer[1] for answer in answers) - started
            self.bench.report(f"restores of {made} environments", made / took, "/s", target=">= 200")
            evict(hearth, name)
            time.sleep(10)  # the quota of 1,000 new environments in 10 s
            before = available_mb()
            _, made, _ = burst(IDLE, 15)
            time.sleep(5)
            self.bench.report(f"{made} idle restored environments", before - available_mb(), "MB",
                              target="<= 2000")


def run(bench, options, load):
    print(f"snapshots: HTTP Invoke to answer, a restore for each call; {RUNS} runs, cold starts in between")
    section = Section(bench, options, load)
    section.frozen()
    with section.up() as hearth:
        client = hearth.client("lambda")
        for language in TARGETS:
            section.restores(hearth, client, language)
    for language in TARGETS:
        section.spares(language)
    section.many()
