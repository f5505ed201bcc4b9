#pragma once

#include "base/log.h"
#include "base/result.h"

#include <cstdint>
#include <string>
#include <vector>

namespace hearth::keeper {

// What `hearth up` was asked to do. Text values are kept as given; CheckUpOptions judges them
// together.
struct UpOptions {
    std::string bind = "127.0.0.1";
    uint16_t port = 4566;
    // Empty: DefaultDataDirectory().
    std::string data;
    // "open" or "enforce"; empty: open on loopback, enforce elsewhere.
    std::string auth;
    // 0: one for each core.
    int threads = 0;
    std::string isolation = "auto";
    std::string durability = "sync";
    // "on" or "off": whether objects without a customer's key are stored sealed.
    std::string encrypt_at_rest = "on";
    bool test_clock = false;
    // "off", "self" or "files"; empty: "files" when a certificate is given, else "off".
    std::string tls;
    std::string tls_cert;
    std::string tls_key;
    bool insecure_open = false;
    // "on" or "off"; empty: on on loopback, off elsewhere.
    std::string egress;
    // "shared": in proportion to memory where processors are short; "exact": never more than that.
    std::string cpu = "shared";
    // A directory whose subdirectories may be mounted as live function code.
    std::string hot_reload;
    std::string master_key_file;
    // NAME=DIR, as "archive=/mnt/archive"; of "deep" also nine with commas between them.
    std::vector<std::string> tier;
    // NAME=PATH, as "python3.13=/opt/python3.13/bin/python3.13".
    std::vector<std::string> runtime;
    // "nearest" or "exact".
    std::string runtimes = "nearest";
    // Lambda's quota of concurrent executions, in each account and region.
    int account_concurrency = 1000;
    // Restored environments kept ready for each version in use, and the memory of all of them in
    // MB; 0: an eighth of the machine's.
    int spares = 0;
    // In so many days all stored objects are compared with their check sums; 0: never.
    int scrub_days = 7;
    int spare_memory_mb = 0;
    // "all", or "aws": SnapStart only where AWS has it.
    std::string snapstart_runtimes = "all";
    // "published", or "all": $LATEST too is saved.
    std::string snapshots = "published";
    bool lenient = false;
    log::Level log_level = log::Level::kInfo;
};

// True for 127.0.0.0/8 and ::1.
bool IsLoopback(const std::string& address);

// Fills in what depends on other options (auth, tls, egress, data) and refuses what would expose an
// unprotected cloud. The error's message is a line for the user.
Result<UpOptions> CheckUpOptions(UpOptions options);

// /var/lib/hearth for root, else below XDG_DATA_HOME or ~/.local/share; also what the other
// commands look at when --data is not given.
std::string DefaultDataDirectory();

}  // namespace hearth::keeper
