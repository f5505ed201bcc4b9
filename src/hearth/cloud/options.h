#pragma once

#include "base/log.h"
#include "base/result.h"

#include <map>
#include <string>
#include <vector>

namespace hearth::cloud {

// hearth-cloud's command line; README.md says what each option means.
struct CloudOptions {
    std::vector<int> listen_fds;
    int ready_fd = -1;
    int host_fd = -1;
    int master_key_fd = -1;
    std::string endpoint = "http://127.0.0.1:4566";
    bool enforce = false;
    int threads = 0;  // 0: the cores of this machine
    bool sync = true;
    bool encrypt_at_rest = true;
    std::string isolation = "auto";
    bool egress = true;
    bool cpu_exact = false;
    std::string tls = "off";
    int hot_reload_fd = -1;
    int tls_cert_fd = -1;
    int tls_key_fd = -1;
    std::vector<std::string> tls_names;
    bool test_clock = false;
    bool lenient = false;
    std::map<std::string, std::string> runtimes;
    bool runtimes_exact = false;
    int account_concurrency = 1000;
    int scrub_days = 7;
    int spares = 0;
    int spare_memory_mb = 0;
    bool snapstart_as_aws = false;
    bool snapshot_latest = false;
    std::string hot_reload;
    // By name; an empty directory is lost.
    std::map<std::string, std::vector<std::string>> tiers;
    std::string library;
    log::Level log_level = log::Level::kInfo;
};

Result<CloudOptions> ParseCloudOptions(int argc, char** argv);

}  // namespace hearth::cloud
