#include "hearth/cloud/options.h"

#include <charconv>
#include <filesystem>
#include <functional>
#include <string_view>

namespace hearth::cloud {
namespace {

constexpr int kThreadsMax = 256;

Error Bad(std::string_view option, std::string_view why) {
    return errors::Malformed(fmt::format("{}: {}", option, why));
}

Result<int> ParseNumber(std::string_view option, std::string_view text, int max) {
    int number = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (problem != std::errc() || end != text.data() + text.size() || number < 0 || number > max) {
        return Bad(option, fmt::format("'{}' is no number from 0 to {}", text, max));
    }
    return number;
}

// One of two words; true for the second.
Result<bool> ParseChoice(
    std::string_view option, std::string_view text, std::string_view no, std::string_view yes) {
    if (text != no && text != yes) {
        return Bad(option, fmt::format("'{}' is neither {} nor {}", text, no, yes));
    }
    return text == yes;
}

Status ParseRuntime(std::string_view text, CloudOptions& options) {
    const size_t equal_sign = text.find('=');
    if (equal_sign == 0 || equal_sign == std::string_view::npos) {
        return Bad("--runtime", fmt::format("'{}' is not NAME=PATH", text));
    }
    options.runtimes.insert_or_assign(
        std::string(text.substr(0, equal_sign)), std::string(text.substr(equal_sign + 1)));
    return Status();
}

Status ParseLevel(std::string_view text, CloudOptions& options) {
    if (text == "debug") {
        options.log_level = log::Level::kDebug;
    } else if (text == "info") {
        options.log_level = log::Level::kInfo;
    } else if (text == "warn") {
        options.log_level = log::Level::kWarn;
    } else if (text == "error") {
        options.log_level = log::Level::kError;
    } else {
        return Bad("--log-level", fmt::format("'{}' is no level", text));
    }
    return Status();
}

// Sets the one field that `option` names.
Status Apply(std::string_view option, const std::string& value, CloudOptions& options) {
    static constexpr int kFdMax = 1'000'000;
    static constexpr int kAccountConcurrencyMax = 1'000'000;
    static constexpr int kScrubDaysMax = 3'650;
    static constexpr int kSparesMax = 1'000;
    static constexpr int kSpareMemoryMax = 16'777'216;
    const std::map<std::string_view, int*> descriptors = {
        {"--ready-fd", &options.ready_fd},
        {"--host-fd", &options.host_fd},
        {"--master-key-fd", &options.master_key_fd},
        {"--hot-reload-fd", &options.hot_reload_fd},
        {"--tls-cert-fd", &options.tls_cert_fd},
        {"--tls-key-fd", &options.tls_key_fd}};
    if (const auto it = descriptors.find(option); it != descriptors.end()) {
        HEARTH_TRY(*it->second, ParseNumber(option, value, kFdMax));
        return Status();
    }
    const std::map<std::string_view, std::string*> texts = {
        {"--endpoint", &options.endpoint},
        {"--isolation", &options.isolation},
        {"--tls", &options.tls},
        {"--hot-reload", &options.hot_reload},
        {"--library", &options.library}};
    if (const auto it = texts.find(option); it != texts.end()) {
        *it->second = value;
        return Status();
    }
    if (option == "--listen-fd") {
        HEARTH_TRY(const int fd, ParseNumber(option, value, kFdMax));
        options.listen_fds.push_back(fd);
    } else if (option == "--threads") {
        HEARTH_TRY(options.threads, ParseNumber(option, value, kThreadsMax));
    } else if (option == "--auth") {
        HEARTH_TRY(options.enforce, ParseChoice(option, value, "open", "enforce"));
    } else if (option == "--durability") {
        HEARTH_TRY(options.sync, ParseChoice(option, value, "relaxed", "sync"));
    } else if (option == "--encrypt-at-rest") {
        HEARTH_TRY(options.encrypt_at_rest, ParseChoice(option, value, "off", "on"));
    } else if (option == "--egress") {
        HEARTH_TRY(options.egress, ParseChoice(option, value, "off", "on"));
    } else if (option == "--cpu") {
        HEARTH_TRY(options.cpu_exact, ParseChoice(option, value, "shared", "exact"));
    } else if (option == "--runtimes") {
        HEARTH_TRY(options.runtimes_exact, ParseChoice(option, value, "nearest", "exact"));
    } else if (option == "--account-concurrency") {
        HEARTH_TRY(options.account_concurrency, ParseNumber(option, value, kAccountConcurrencyMax));
    } else if (option == "--scrub-days") {
        HEARTH_TRY(options.scrub_days, ParseNumber(option, value, kScrubDaysMax));
    } else if (option == "--spares") {
        HEARTH_TRY(options.spares, ParseNumber(option, value, kSparesMax));
    } else if (option == "--spare-memory") {
        HEARTH_TRY(options.spare_memory_mb, ParseNumber(option, value, kSpareMemoryMax));
    } else if (option == "--snapstart-runtimes") {
        HEARTH_TRY(options.snapstart_as_aws, ParseChoice(option, value, "all", "aws"));
    } else if (option == "--snapshots") {
        HEARTH_TRY(options.snapshot_latest, ParseChoice(option, value, "published", "all"));
    } else if (
        option == "--tier-infrequent-fd" || option == "--tier-archive-fd" ||
        option == "--tier-deep-fd") {
        HEARTH_TRY(const int fd, ParseNumber(option, value, kFdMax));
        const std::string_view tier = option.substr(7, option.size() - 10);
        options.tiers[std::string(tier)].push_back(fmt::format("/proc/self/fd/{}", fd));
    } else if (option == "--tier-lost") {
        options.tiers[value].emplace_back();
    } else if (option == "--tls-name") {
        options.tls_names.push_back(value);
    } else if (option == "--runtime") {
        return ParseRuntime(value, options);
    } else if (option == "--log-level") {
        return ParseLevel(value, options);
    } else {
        return Bad(option, "no such option");
    }
    return Status();
}

Status CheckTogether(const CloudOptions& options) {
    if (options.listen_fds.empty()) {
        return Bad("--listen-fd", "needed at least once");
    }
    if (options.tls != "off" && options.tls != "self" && options.tls != "files") {
        return Bad("--tls", fmt::format("'{}' is none of off, self, files", options.tls));
    }
    if (options.tls == "files" && (options.tls_cert_fd < 0 || options.tls_key_fd < 0)) {
        return Bad("--tls files", "needs --tls-cert-fd and --tls-key-fd");
    }
    return Status();
}

}  // namespace

Result<CloudOptions> ParseCloudOptions(int argc, char** argv) {
    CloudOptions options;
    for (int i = 1; i < argc; ++i) {
        const std::string_view option = argv[i];
        if (option == "--test-clock") {
            options.test_clock = true;
        } else if (option == "--lenient") {
            options.lenient = true;
        } else if (i + 1 == argc) {
            return Bad(option, "needs a value");
        } else {
            HEARTH_RETURN_IF_ERROR(Apply(option, argv[++i], options));
        }
    }
    HEARTH_RETURN_IF_ERROR(CheckTogether(options));
    if (options.library.empty()) {
        std::error_code ignored;
        options.library =
            std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path().string();
    }
    return options;
}

}  // namespace hearth::cloud
