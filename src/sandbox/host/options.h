#pragma once

#include "base/log.h"
#include "base/result.h"

#include <sys/types.h>

#include <string>
#include <vector>

namespace hearth::sandbox {

// hearth-host's command line; README.md says what each option means.
struct HostOptions {
    enum class Mode { kServe, kSweep, kProbe, kEgressSetup, kEgressRemove };
    enum class Isolation { kAuto, kNamespaces, kNone };

    Mode mode = Mode::kServe;
    int channel_fd = -1;
    int data_fd = -1;
    int netns_fd = -1;
    std::string data_name;
    uid_t uid = 0;
    gid_t gid = 0;
    Isolation isolation = Isolation::kAuto;
    std::vector<std::string> exposed;
    std::vector<std::string> shown;
    int pool = 4;
    bool egress = false;
    // Ports of the machine that functions may not reach through the way out: Hearth's own.
    std::vector<int> blocked_ports;
    log::Level log_level = log::Level::kInfo;
};

Result<HostOptions> ParseHostOptions(const std::vector<std::string>& arguments);

// "hearth-" and 12 hex digits of the data directory's path: the name of everything that this Hearth
// makes on the machine and another one must not touch.
std::string InstanceName(const std::string& data_name);
// The first of the instance's 65,536 user ids, above those that distributions and other container
// programs use.
uid_t FirstUid(const std::string& data_name);

}  // namespace hearth::sandbox
