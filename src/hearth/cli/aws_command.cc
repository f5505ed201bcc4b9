#include "hearth/cli/command.h"
#include "hearth/cli/commands.h"

#include <CLI/CLI.hpp>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace hearth::cli {
namespace {

// Debian's first: the one Hearth is tested with.
std::string FindAws() {
    if (::access("/usr/bin/aws", X_OK) == 0) {
        return "/usr/bin/aws";
    }
    return "aws";
}

// Replaces this program by `aws`, pointed at the cloud in a way that every version understands,
// with the cloud's own credentials, so that a mistake never reaches the real AWS with them or them
// it.
Result<int> ExecAws(CloudClient& cloud, const std::vector<std::string>& arguments) {
    const auto set = [](const char* name, const std::string& value) {
        ::setenv(name, value.c_str(), 1);
    };
    set("AWS_ACCESS_KEY_ID", cloud.keys().access_key_id);
    set("AWS_SECRET_ACCESS_KEY", cloud.keys().secret_access_key);
    ::unsetenv("AWS_SESSION_TOKEN");
    if (!cloud.keys().session_token.empty()) {
        set("AWS_SESSION_TOKEN", cloud.keys().session_token);
    }
    ::unsetenv("AWS_PROFILE");
    ::unsetenv("AWS_DEFAULT_PROFILE");
    set("AWS_DEFAULT_REGION", cloud.region());
    set("AWS_REGION", cloud.region());
    set("AWS_ENDPOINT_URL", cloud.endpoint());
    set("AWS_EC2_METADATA_DISABLED", "true");
    set("AWS_CONFIG_FILE", "/dev/null");
    if (!cloud.ca_file().empty()) {
        set("AWS_CA_BUNDLE", cloud.ca_file());
    }
    const std::string program = FindAws();
    std::vector<std::string> all = {program, "--endpoint-url", cloud.endpoint()};
    all.insert(all.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (auto& argument : all) {
        argv.push_back(argument.data());
    }
    argv.push_back(nullptr);
    ::execvp(program.c_str(), argv.data());
    return errors::Malformed(fmt::format(
        "cannot run aws: {} (on Debian: apt-get install awscli)", std::strerror(errno)));
}

}  // namespace

void AddAwsCommand(CLI::App* app, int* exit_status) {
    CLI::App* command = app->add_subcommand(
        "aws", "Run the aws command line against this cloud; everything after `aws` is its own");
    // No options of ours: --region or --endpoint-url here are aws's. HEARTH_ENDPOINT and
    // HEARTH_DATA choose the cloud.
    command->prefix_command();
    command->set_help_flag();
    command->callback([command, exit_status] {
        CloudClient cloud({});
        const auto status = ExecAws(cloud, command->remaining());
        fmt::print(stderr, "hearth: {}\n", status.error().message());
        *exit_status = 127;
    });
}

}  // namespace hearth::cli
