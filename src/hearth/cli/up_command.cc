#include "hearth/cli/commands.h"
#include "hearth/keeper/up.h"

#include <CLI/CLI.hpp>

#include <memory>

namespace hearth::cli {

void AddUpCommand(CLI::App* app, int* exit_status) {
    CLI::App* up =
        app->add_subcommand("up", "Start a cloud in the foreground; SIGTERM or ^C stops it");
    // Shared by CLI11's option bindings and the callback, which live as long as the app.
    auto options = std::make_shared<keeper::UpOptions>();
    up->add_option("--port", options->port, "TCP port (0: any free one)")->capture_default_str();
    up->add_option("--bind", options->bind, "IP address to listen on")->capture_default_str();
    up->add_option(
        "--data", options->data, "Data directory (default " + keeper::DefaultDataDirectory() + ")");
    up->add_option(
          "--auth",
          options->auth,
          "open: believe unknown keys (default on loopback); enforce: every call signed")
        ->check(CLI::IsMember({"open", "enforce"}));
    up->add_option("--threads", options->threads, "Threads that serve calls (default: the cores)")
        ->check(CLI::Range(1, 256));
    up->add_option("--isolation", options->isolation, "How functions are kept apart")
        ->check(CLI::IsMember({"auto", "namespaces", "none"}))
        ->capture_default_str();
    up->add_option(
          "--durability",
          options->durability,
          "sync: answered writes survive a power cut; relaxed: they survive crashes of Hearth")
        ->check(CLI::IsMember({"sync", "relaxed"}))
        ->capture_default_str();
    up->add_option(
          "--encrypt-at-rest",
          options->encrypt_at_rest,
          "Whether the bytes of S3's objects are stored encrypted")
        ->check(CLI::IsMember({"on", "off"}))
        ->capture_default_str();
    up->add_option(
        "--tier",
        options->tier,
        "NAME=DIR, where objects of colder storage classes lie; NAME: infrequent, archive, deep "
        "(of deep also DIR1,...,DIR9: any three may be lost); repeatable (default: in the data "
        "directory)");
    up->add_option("--tls", options->tls, "self: own certificate authority; files: the next two")
        ->check(CLI::IsMember({"off", "self", "files"}));
    up->add_option("--tls-cert", options->tls_cert, "Certificate chain, PEM");
    up->add_option("--tls-key", options->tls_key, "Its private key, PEM");
    up->add_flag(
        "--insecure-open",
        options->insecure_open,
        "Allow open mode on an address that is reachable from outside");
    up->add_option(
          "--egress",
          options->egress,
          "Whether functions reach the outside (default: on on loopback)")
        ->check(CLI::IsMember({"on", "off"}));
    up->add_option(
          "--cpu",
          options->cpu,
          "exact: a function never gets more processor and bandwidth than its memory buys on AWS")
        ->check(CLI::IsMember({"shared", "exact"}))
        ->capture_default_str();
    up->add_option(
        "--hot-reload",
        options->hot_reload,
        "Directory whose subdirectories may be live function code");
    up->add_option(
        "--master-key-file", options->master_key_file, "Key that encrypts stored secrets");
    up->add_option(
        "--runtime", options->runtime, "NAME=PATH of a runtime's interpreter; repeatable");
    up->add_option(
          "--runtimes", options->runtimes, "exact: refuse a runtime of another minor version")
        ->check(CLI::IsMember({"nearest", "exact"}))
        ->capture_default_str();
    up->add_option(
          "--account-concurrency",
          options->account_concurrency,
          "How many calls of functions may run at once in each account and region")
        ->capture_default_str();
    up->add_option(
          "--spares",
          options->spares,
          "How many restored environments to keep ready for each function with SnapStart in use")
        ->capture_default_str();
    up->add_option(
          "--scrub-days",
          options->scrub_days,
          "In so many days all stored objects are compared with their check sums; 0: never")
        ->capture_default_str();
    up->add_option(
        "--spare-memory",
        options->spare_memory_mb,
        "MB that all spares together may hold (default: an eighth of the memory)");
    up->add_option(
          "--snapstart-runtimes",
          options->snapstart_runtimes,
          "aws: refuse SnapStart where AWS does not have it")
        ->check(CLI::IsMember({"all", "aws"}))
        ->capture_default_str();
    up->add_option(
          "--snapshots",
          options->snapshots,
          "all: $LATEST too starts from a snapshot, made after its first call")
        ->check(CLI::IsMember({"published", "all"}))
        ->capture_default_str();
    up->add_flag("--test-clock", options->test_clock, "Allow `hearth clock advance`");
    up->add_flag(
        "--lenient", options->lenient, "Accept settings that Hearth cannot honour, and name them");
    static const std::map<std::string, log::Level> kLevels = {
        {"debug", log::Level::kDebug},
        {"info", log::Level::kInfo},
        {"warn", log::Level::kWarn},
        {"error", log::Level::kError}};
    up->add_option("--log-level", options->log_level, "debug, info, warn or error")
        ->transform(CLI::CheckedTransformer(kLevels).description(""));
    up->callback([options, exit_status] { *exit_status = keeper::Up(*options); });
}

}  // namespace hearth::cli
