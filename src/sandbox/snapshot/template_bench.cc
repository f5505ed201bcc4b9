// What restoring costs, beside a cold start of the same program in the same minute:
//
//   template_bench [ROUNDS [CLONES_HELD]] [PROGRAM ...]
//
// Programs answer lines on descriptor 0; "cold" is from fork until the first answer, "restore" from
// the request until the first answer of a clone with namespaces from a pool, "adopted" the same
// with the sandbox's pid 1 as parent, credentials, Landlock and a filter, "spare" the first answer
// of a clone that was made ahead. Medians, and the tenth of the quickest in parentheses.
#include "sandbox/snapshot/template.h"
#include "sandbox/snapshot/testing/round_trip.h"
#include "sandbox/snapshot/working_set.h"

#include <fmt/format.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <set>
#include <sstream>

namespace hearth::snapshot {
namespace {

using testing_support::Conversation;
using testing_support::Original;
using testing_support::Picture;
using testing_support::Pool;
using testing_support::Restore;
using testing_support::Restored;
using testing_support::StreamPair;
using testing_support::TakePicture;

constexpr int kNamespaces = CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET;

constexpr const char* kPython = R"(
import json, os, random, ssl, sys, uuid
ssl.create_default_context()
os.write(0, b"ready\n")
while os.read(0, 1):
    os.write(0, b"ok " + json.dumps({"uuid": str(uuid.uuid4())}).encode() + b"\n")
)";

constexpr const char* kBoto3 = R"(
import boto3, json, os, uuid
clients = [boto3.client(s, region_name="us-east-1", aws_access_key_id="a",
    aws_secret_access_key="b", endpoint_url="http://127.0.0.1:1") for s in ("s3", "dynamodb")]
os.write(0, b"ready\n")
while os.read(0, 1):
    key = str(uuid.uuid4())
    url = clients[0].generate_presigned_url("get_object", Params={"Bucket": "b", "Key": key})
    os.write(0, b"ok " + json.dumps(url).encode() + b"\n")
)";

constexpr const char* kNode = R"(
const crypto = require("crypto"), net = require("net");
crypto.randomBytes(16);
const stream = new net.Socket({fd: 0});
stream.write("ready\n");
stream.on("data", () => stream.write("ok " + crypto.randomBytes(8).toString("hex") + "\n"));
)";

double Now() {
    return std::chrono::duration<double, std::milli>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

struct Times {
    std::vector<double> values;

    std::string Text() {
        if (values.empty()) {
            return "-";
        }
        std::sort(values.begin(), values.end());
        const auto at = [&](double share) {
            return values[static_cast<size_t>(share * static_cast<double>(values.size() - 1))];
        };
        return fmt::format("{:.2f} ({:.2f}; p99 {:.2f})", at(0.5), at(0.1), at(0.99));
    }

    double Median() {
        std::sort(values.begin(), values.end());
        return values.empty() ? 0 : values[values.size() / 2];
    }
};

std::string Filter() {
    const std::array<sock_filter, 4> filter = {
        sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
        sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ptrace, 0, 1),
        sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    return {static_cast<const char*>(static_cast<const void*>(filter.data())), sizeof(filter)};
}

uint64_t KilobytesOf(int32_t pid, const std::string& file, const std::string& name) {
    std::ifstream text(fmt::format("/proc/{}/{}", pid, file));
    std::string line;
    uint64_t sum = 0;
    while (std::getline(text, line)) {
        if (line.starts_with(name)) {
            sum += std::strtoull(line.c_str() + name.size(), nullptr, 10);
        }
    }
    return sum;
}

struct Program {
    std::string name;
    std::vector<std::string> argv;
};

void Measure(const Program& program, int rounds, int held) {
    Times cold;
    for (int i = 0; i < std::max(3, rounds / 10); ++i) {
        const Pool pool(kNamespaces);
        const double start = Now();
        const Original original(pool, program.argv);
        if (original.talk().ReadLine() != "ready" || original.talk().Ask('p').empty()) {
            fmt::print("{}: does not start\n", program.name);
            return;
        }
        cold.values.push_back(Now() - start);
    }
    Picture picture;
    {
        const Pool pool(kNamespaces);
        const Original original(pool, program.argv);
        // A request first: what only it needs is in the image then.
        if (original.talk().ReadLine() != "ready" || original.talk().Ask('p').empty()) {
            return;
        }
        picture = TakePicture(original);
    }
    if (!picture.error.empty()) {
        fmt::print("{}: {}\n", program.name, picture.error);
        return;
    }
    const os::Fd root(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
    const auto start_template = [&](bool all) {
        TemplateOptions options{.image_fd = picture.file.get(), .root_fd = root.get()};
        if (all) {
            options.uid = 65534;
            options.gid = 65534;
            options.filter = Filter();
        }
        return Template::Start(*picture.image, options);
    };
    Times build;
    for (int i = 0; i < 5; ++i) {
        const double start = Now();
        const auto made = start_template(false);
        if (!made.ok()) {
            fmt::print("{}: {}\n", program.name, made.error().message());
            return;
        }
        build.values.push_back(Now() - start);
    }
    fmt::print(
        "{}: {} threads, image {:.1f} MB, frozen {} ms, cold {} ms, template {} ms\n",
        program.name,
        picture.report.threads,
        static_cast<double>(picture.report.image_bytes) / 1e6,
        picture.report.frozen_ns / 1'000'000,
        cold.Text(),
        build.Text());

    std::vector<WorkingSetRange> working_set;
    for (const bool all : {false, true}) {
        auto made = start_template(all);
        if (!made.ok()) {
            return;
        }
        for (const bool inherited : {false, true}) {
            if (inherited) {
                if (!(*made)->SetWorkingSet(working_set).ok()) {
                    return;
                }
            }
            Times total;
            std::array<Times, 6> steps;
            for (int i = 0; i < rounds; ++i) {
                const Pool pool(kNamespaces);
                auto [ours, theirs] = StreamPair();
                const Conversation talk(std::move(ours));
                CloneRequest request;
                request.sandbox_pidfd = pool.pidfd();
                request.namespaces = kNamespaces;
                request.stand_ins = {theirs.get()};
                request.adopted = all;
                request.restrict_files = all;
                const double start = Now();
                talk.Send('p');
                auto clone = (*made)->MakeClone(request);
                if (!clone.ok()) {
                    fmt::print("{}: {}\n", program.name, clone.error().message());
                    return;
                }
                if (talk.ReadLine().empty()) {
                    fmt::print("{}: no answer\n", program.name);
                    return;
                }
                const double end = Now();
                total.values.push_back(end - start);
                const CloneTimes& t = clone->times;
                const std::array<uint64_t, 6> stamps = {
                    t.requested, t.started, t.joined, t.descriptors, t.threads, t.restored};
                double before = start;
                for (size_t k = 0; k < stamps.size(); ++k) {
                    const double at = static_cast<double>(stamps[k]) / 1e6;
                    steps[k].values.push_back((at - before) * 1000);
                    before = at;
                }
                if (i == 0 && working_set.empty()) {
                    auto read = ReadWorkingSet(*picture.image, PidOf(clone->pidfd));
                    if (read.ok()) {
                        working_set = *std::move(read);
                    }
                }
                Restored ended;
                ended.clone = *std::move(clone);
            }
            fmt::print(
                "  {:8}{:12} {} ms; us to request {:.0f}, clone {:.0f}, join {:.0f}, descriptors "
                "{:.0f}, threads {:.0f}, filter {:.0f}\n",
                all ? "adopted" : "restore",
                inherited ? "+page tables" : "",
                total.Text(),
                steps[0].Median(),
                steps[1].Median(),
                steps[2].Median(),
                steps[3].Median(),
                steps[4].Median(),
                steps[5].Median());
        }
        if (!all) {
            continue;
        }
        // Spares, each with its recorded pages, and what they hold afterwards.
        Times spare;
        Times second;
        std::vector<std::unique_ptr<Pool>> pools;
        std::vector<Restored> spares;
        for (int i = 0; i < held; ++i) {
            pools.push_back(std::make_unique<Pool>(kNamespaces));
            CloneRequest request;
            request.populate = true;
            request.adopted = true;
            request.restrict_files = true;
            spares.push_back(Restore(**made, *pools.back(), std::move(request)));
            if (!spares.back().error.empty()) {
                fmt::print("{}: {}\n", program.name, spares.back().error);
                return;
            }
        }
        // They wait for their request by then.
        ::poll(nullptr, 0, 100);
        uint64_t dirty = 0;
        uint64_t tables = 0;
        for (const Restored& restored : spares) {
            for (Times* times : {&spare, &second}) {
                const double start = Now();
                if (restored.talk.Ask('p').empty()) {
                    fmt::print("{}: a spare does not answer\n", program.name);
                    return;
                }
                times->values.push_back(Now() - start);
            }
            const int32_t pid = PidOf(restored.clone.pidfd);
            dirty += KilobytesOf(pid, "smaps_rollup", "Private_Dirty:");
            tables += KilobytesOf(pid, "status", "VmPTE:");
        }
        const auto memory = (*made)->ReadMemory();
        fmt::print(
            "  spare {} ms, second request {} ms; clone {} KB private + {} KB page tables; "
            "template {} MB resident; working set {} ranges\n",
            spare.Text(),
            second.Text(),
            dirty / static_cast<uint64_t>(std::max(1, held)),
            tables / static_cast<uint64_t>(std::max(1, held)),
            memory.ok() ? memory->resident_bytes >> 20 : 0,
            working_set.size());
    }
}

int Main(int count, char** arguments) {
    int rounds = 100;
    int held = 20;
    std::set<std::string> wanted;
    std::vector<int> numbers;
    for (int i = 1; i < count; ++i) {
        const int number = std::atoi(arguments[i]);
        if (number > 0) {
            numbers.push_back(number);
        } else {
            wanted.insert(arguments[i]);
        }
    }
    rounds = !numbers.empty() ? numbers[0] : rounds;
    held = numbers.size() > 1 ? numbers[1] : held;
    std::string self(4096, '\0');
    const ssize_t got = ::readlink("/proc/self/exe", self.data(), self.size());
    self.resize(static_cast<size_t>(std::max<ssize_t>(got, 0)));
    const std::vector<Program> programs = {
        {"c", {self.substr(0, self.rfind('/')) + "/testing/snapshot_target", "heap"}},
        {"c-threads", {self.substr(0, self.rfind('/')) + "/testing/snapshot_target", "threads"}},
        {"python", {"/usr/bin/python3", "-c", kPython}},
        {"boto3", {"/usr/bin/python3", "-c", kBoto3}},
        {"node", {"/usr/bin/node", "-e", kNode}},
    };
    for (const Program& program : programs) {
        if ((wanted.empty() || wanted.contains(program.name)) &&
            ::access(program.argv[0].c_str(), X_OK) == 0) {
            Measure(program, rounds, held);
        }
    }
    return 0;
}

}  // namespace
}  // namespace hearth::snapshot

int main(int argc, char** argv) {
    return hearth::snapshot::Main(argc, argv);
}
