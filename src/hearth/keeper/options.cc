#include "hearth/keeper/options.h"

#include <arpa/inet.h>
#include <unistd.h>

#include <cstdlib>

namespace hearth::keeper {
namespace {

bool IsOneOf(const std::string& value, std::initializer_list<std::string_view> allowed) {
    for (const auto candidate : allowed) {
        if (value == candidate) {
            return true;
        }
    }
    return false;
}

Status CheckChoice(
    std::string_view option,
    const std::string& value,
    std::initializer_list<std::string_view> allowed) {
    if (IsOneOf(value, allowed)) {
        return {};
    }
    return errors::Malformed(
        fmt::format("--{} {}: expected one of {}", option, value, fmt::join(allowed, ", ")));
}

// A certificate needs its key, and both need --tls files (the default then).
Status SettleTls(UpOptions* options) {
    const bool has_files = !options->tls_cert.empty() || !options->tls_key.empty();
    if (options->tls_cert.empty() != options->tls_key.empty()) {
        return errors::Malformed("--tls-cert and --tls-key go together");
    }
    if (options->tls.empty()) {
        options->tls = has_files ? "files" : "off";
    }
    HEARTH_RETURN_IF_ERROR(CheckChoice("tls", options->tls, {"off", "self", "files"}));
    if (has_files != (options->tls == "files")) {
        return errors::Malformed(
            has_files ? "--tls-cert and --tls-key contradict --tls " + options->tls
                      : "--tls files needs --tls-cert and --tls-key");
    }
    return {};
}

}  // namespace

bool IsLoopback(const std::string& address) {
    in_addr v4 = {};
    if (inet_pton(AF_INET, address.c_str(), &v4) == 1) {
        return (ntohl(v4.s_addr) >> 24) == 127;
    }
    in6_addr v6 = {};
    return inet_pton(AF_INET6, address.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

Result<UpOptions> CheckUpOptions(UpOptions options) {
    if (options.bind == "localhost") {
        options.bind = "127.0.0.1";
    }
    in6_addr parsed = {};
    if (inet_pton(AF_INET, options.bind.c_str(), &parsed) != 1 &&
        inet_pton(AF_INET6, options.bind.c_str(), &parsed) != 1) {
        return errors::Malformed("--bind " + options.bind + ": not an IP address");
    }
    const bool loopback = IsLoopback(options.bind);
    const bool tls_was_chosen = !options.tls.empty();
    HEARTH_RETURN_IF_ERROR(SettleTls(&options));
    if (options.auth.empty()) {
        options.auth = loopback || options.insecure_open ? "open" : "enforce";
    }
    if (options.egress.empty()) {
        options.egress = loopback ? "on" : "off";
    }
    HEARTH_RETURN_IF_ERROR(CheckChoice("auth", options.auth, {"open", "enforce"}));
    HEARTH_RETURN_IF_ERROR(CheckChoice("egress", options.egress, {"on", "off"}));
    HEARTH_RETURN_IF_ERROR(CheckChoice("cpu", options.cpu, {"shared", "exact"}));
    HEARTH_RETURN_IF_ERROR(
        CheckChoice("isolation", options.isolation, {"auto", "namespaces", "none"}));
    HEARTH_RETURN_IF_ERROR(CheckChoice("durability", options.durability, {"sync", "relaxed"}));
    HEARTH_RETURN_IF_ERROR(CheckChoice("encrypt-at-rest", options.encrypt_at_rest, {"on", "off"}));
    HEARTH_RETURN_IF_ERROR(CheckChoice("runtimes", options.runtimes, {"nearest", "exact"}));
    HEARTH_RETURN_IF_ERROR(
        CheckChoice("snapstart-runtimes", options.snapstart_runtimes, {"all", "aws"}));
    HEARTH_RETURN_IF_ERROR(CheckChoice("snapshots", options.snapshots, {"published", "all"}));
    if (options.account_concurrency < 1 || options.account_concurrency > 1'000'000) {
        return errors::Malformed("--account-concurrency must be between 1 and 1000000");
    }
    if (options.scrub_days < 0 || options.scrub_days > 3'650) {
        return errors::Malformed("--scrub-days must be between 0 and 3650");
    }
    if (options.spares < 0 || options.spares > 1'000) {
        return errors::Malformed("--spares must be between 0 and 1000");
    }
    if (options.spare_memory_mb < 0 || options.spare_memory_mb > 16'777'216) {
        return errors::Malformed("--spare-memory must be between 0 and 16777216");
    }
    if (options.threads < 0 || options.threads > 256) {
        return errors::Malformed("--threads must be between 1 and 256");
    }
    for (const auto& runtime : options.runtime) {
        const size_t equals = runtime.find('=');
        if (equals == 0 || equals == std::string::npos || equals + 1 == runtime.size()) {
            return errors::Malformed("--runtime " + runtime + ": expected NAME=PATH");
        }
    }
    if (!options.hot_reload.empty() && (!loopback || options.auth != "open")) {
        return errors::Malformed(
            "--hot-reload lets callers run what lies on this machine: it works with --auth open on "
            "a "
            "loopback address only");
    }
    if (!loopback && !options.insecure_open) {
        if (options.auth != "enforce") {
            return errors::Malformed(fmt::format(
                "--bind {} is reachable from outside, so every call must be signed: use --auth "
                "enforce (or --insecure-open inside a container whose network you trust)",
                options.bind));
        }
        if (options.tls == "off" && !tls_was_chosen) {
            return errors::Malformed(fmt::format(
                "--bind {} is reachable from outside, so it needs TLS: use --tls self, or "
                "--tls-cert "
                "and --tls-key, or say --tls off if something in front of Hearth does TLS",
                options.bind));
        }
    }
    if (options.data.empty()) {
        options.data = DefaultDataDirectory();
    }
    return options;
}

std::string DefaultDataDirectory() {
    if (::geteuid() == 0) {
        return "/var/lib/hearth";
    }
    if (const char* base = std::getenv("XDG_DATA_HOME"); base != nullptr && base[0] == '/') {
        return std::string(base) + "/hearth";
    }
    if (const char* home = std::getenv("HOME"); home != nullptr && home[0] == '/') {
        return std::string(home) + "/.local/share/hearth";
    }
    return fmt::format("/tmp/hearth-{}", ::geteuid());
}

}  // namespace hearth::keeper
