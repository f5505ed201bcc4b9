#pragma once

#include "base/clock.h"
#include "base/random.h"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace hearth {

namespace aws {
class AdminEndpoints;
class Doors;
class InternalClient;
class Metrics;
class SessionIssuer;
class Sites;
}  // namespace aws

namespace codec {
class MasterKey;
}

namespace flow {
class Courier;
class DueTimes;
class Schedule;
class Wakes;
}  // namespace flow

namespace rt {
class BlockingPool;
class Loops;
}  // namespace rt

namespace sandbox {
class Sandbox;
}

namespace storage {
class BlobStore;
class Kv;
}  // namespace storage

// What the person who started Hearth chose, as far as services care.
struct ServiceOptions {
    // Calls are verified; unsigned and unknown ones are refused.
    bool enforce = false;
    // Settings that Hearth cannot honour are accepted and named in x-hearth-ignored.
    bool lenient = false;
    bool test_clock = false;
    // How clients outside reach this cloud, such as "http://127.0.0.1:4566".
    std::string endpoint;
    // "auto", "namespaces" or "none".
    std::string isolation = "auto";
    bool egress = true;
    // Functions get no more processor than their memory buys on AWS, and streams no more bandwidth.
    bool cpu_exact = false;
    // Absolute path of the installation: bootstraps are below `library_directory`/runtimes.
    std::string library_directory;
    // From `--runtime python3.13=/usr/bin/python3.13`.
    std::map<std::string, std::string> runtime_paths;
    bool runtimes_exact = false;
    // Lambda's quota of concurrent executions, in each account and region.
    int32_t account_concurrency = 1000;
    // How many restored environments are kept ready for each version that is called and has a
    // snapshot, and what all of them together may hold of memory; 0 MB: an eighth of the machine's.
    int32_t spares = 0;
    int32_t spare_memory_mb = 0;
    // SnapStart only where AWS has it: its runtimes, no more than 512 MB of /tmp.
    bool snapstart_as_aws = false;
    // $LATEST too goes on from a snapshot, made after its first call, asked for or not.
    bool snapshot_latest = false;
    // Absolute directory of `--hot-reload`; empty: off. And that directory open, because this
    // process may not be able to reach it; -1: it can. The first to take it owns it.
    std::string hot_reload_directory;
    int hot_reload_fd = -1;
    // What is acknowledged survives a power cut. Off: only the end of this process.
    bool sync = true;
    // Objects are stored sealed, those with a customer's key always.
    bool encrypt_at_rest = true;
    // Where objects of colder storage classes lie: "infrequent", "archive", "deep" to absolute
    // directories. What is missing lies in the data directory.
    std::map<std::string, std::vector<std::string>> tiers;
    // All stored objects are compared with their check sums once in so many days; 0: never.
    int32_t scrub_days = 7;
};

// Everything a service may use of the outside world. The references outlive all services.
// The working directory of the process is the data directory.
struct ServiceDeps {
    storage::Kv& kv;
    storage::BlobStore& blobs;
    flow::Schedule& schedule;
    flow::Wakes& wakes;
    flow::DueTimes& due_times;
    flow::Courier& courier;
    MonotonicClock& monotonic_clock;
    WallClock& wall_clock;
    CloudClock& cloud_clock;
    Random& random;
    rt::Loops& loops;
    rt::BlockingPool& blocking_pool;
    // Null when there is no host process; functions can then be made but not run.
    sandbox::Sandbox* sandbox;
    aws::Metrics& metrics;
    // Further endpoints below /_hearth/.
    aws::AdminEndpoints& admin;
    // Web traffic that is no call of an operation.
    aws::Sites& sites;
    // Listeners inside execution environments.
    aws::Doors& doors;
    aws::InternalClient& client;
    aws::SessionIssuer& sessions;
    codec::MasterKey& master_key;
    const ServiceOptions& options;
};

}  // namespace hearth
