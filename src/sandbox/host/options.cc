#include "sandbox/host/options.h"

#include <charconv>

namespace hearth::sandbox {

namespace {

Result<int64_t> Number(const std::string& name, const std::string& text) {
    int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size() || number < 0 ||
        number > INT32_MAX) {
        return errors::Malformed(name + " takes a number, not '" + text + "'");
    }
    return number;
}

// FNV-1a: names only have to differ, nobody attacks them.
uint64_t Hash(const std::string& text) {
    uint64_t hash = 0xcbf29ce484222325;
    for (const char c : text) {
        hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3;
    }
    return hash;
}

}  // namespace

std::string InstanceName(const std::string& data_name) {
    return fmt::format("hearth-{:012x}", Hash(data_name) & 0xffffffffffff);
}

uid_t FirstUid(const std::string& data_name) {
    // 0x60000000 .. 0x6fffffff: above subordinate ids (524288 up) as useradd gives them, below
    // 2^31.
    return static_cast<uid_t>(0x60000000 + (Hash(data_name) % 4096) * 65536);
}

Result<HostOptions> ParseHostOptions(const std::vector<std::string>& arguments) {
    HostOptions options;
    for (size_t i = 0; i < arguments.size(); ++i) {
        const std::string& name = arguments[i];
        if (name == "--sweep") {
            options.mode = HostOptions::Mode::kSweep;
            continue;
        }
        if (name == "--probe") {
            options.mode = HostOptions::Mode::kProbe;
            continue;
        }
        if (name == "--egress-setup") {
            options.mode = HostOptions::Mode::kEgressSetup;
            continue;
        }
        if (name == "--egress-remove") {
            options.mode = HostOptions::Mode::kEgressRemove;
            continue;
        }
        if (i + 1 == arguments.size()) {
            return errors::Malformed("unknown option, or one without its value: " + name);
        }
        const std::string& value = arguments[++i];
        if (name == "--data-name") {
            options.data_name = value;
        } else if (name == "--expose") {
            options.exposed.push_back(value);
        } else if (name == "--show") {
            options.shown.push_back(value);
        } else if (name == "--isolation") {
            if (value == "auto") {
                options.isolation = HostOptions::Isolation::kAuto;
            } else if (value == "namespaces") {
                options.isolation = HostOptions::Isolation::kNamespaces;
            } else if (value == "none") {
                options.isolation = HostOptions::Isolation::kNone;
            } else {
                return errors::Malformed("--isolation takes auto, namespaces or none");
            }
        } else if (name == "--egress") {
            if (value != "on" && value != "off") {
                return errors::Malformed("--egress takes on or off");
            }
            options.egress = value == "on";
        } else if (name == "--log-level") {
            if (value == "debug") {
                options.log_level = log::Level::kDebug;
            } else if (value == "info") {
                options.log_level = log::Level::kInfo;
            } else if (value == "warn") {
                options.log_level = log::Level::kWarn;
            } else if (value == "error") {
                options.log_level = log::Level::kError;
            } else {
                return errors::Malformed("--log-level takes debug, info, warn or error");
            }
        } else if (
            name == "--channel-fd" || name == "--data-fd" || name == "--netns-fd" ||
            name == "--uid" || name == "--gid" || name == "--pool" || name == "--block-port") {
            HEARTH_TRY(const int64_t number, Number(name, value));
            if (name == "--channel-fd") {
                options.channel_fd = static_cast<int>(number);
            } else if (name == "--data-fd") {
                options.data_fd = static_cast<int>(number);
            } else if (name == "--netns-fd") {
                options.netns_fd = static_cast<int>(number);
            } else if (name == "--uid") {
                options.uid = static_cast<uid_t>(number);
            } else if (name == "--gid") {
                options.gid = static_cast<gid_t>(number);
            } else if (name == "--block-port") {
                options.blocked_ports.push_back(static_cast<int>(number));
            } else {
                options.pool = static_cast<int>(std::min<int64_t>(number, 256));
            }
        } else {
            return errors::Malformed("unknown option " + name);
        }
    }
    if (options.mode == HostOptions::Mode::kServe && options.channel_fd < 0) {
        return errors::Malformed("--channel-fd is missing");
    }
    if (options.mode != HostOptions::Mode::kProbe && !options.data_name.starts_with('/')) {
        return errors::Malformed("--data-name takes an absolute path");
    }
    return options;
}

}  // namespace hearth::sandbox
