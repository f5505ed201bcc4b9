#include "hearth/keeper/ready_text.h"

#include <fmt/format.h>

#include <algorithm>

namespace hearth::keeper {
namespace {

// For a POSIX shell.
std::string Quoted(const std::string& text) {
    const bool plain = std::ranges::all_of(text, [](unsigned char c) {
        return std::isalnum(c) != 0 ||
               std::string_view("/._-:+@%").find(static_cast<char>(c)) != std::string_view::npos;
    });
    if (plain && !text.empty()) {
        return text;
    }
    std::string quoted = "'";
    for (const char c : text) {
        quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
    }
    return quoted + "'";
}

}  // namespace

std::string ReadyText(
    const UpOptions& options, const std::string& endpoint, const std::string& data_path) {
    std::string text = fmt::format("Hearth is ready at {}  (data in {})\n\n", endpoint, data_path);
    // The alias works with every version of the command line; those before 2.13 (Debian's among
    // them) and boto3 before 1.28 ignore AWS_ENDPOINT_URL.
    text += fmt::format(
        "    export AWS_SHARED_CREDENTIALS_FILE={}\n"
        "    export AWS_DEFAULT_REGION=us-east-1 AWS_ENDPOINT_URL={}\n",
        Quoted(data_path + "/credentials"),
        endpoint);
    if (options.tls == "self") {
        text += fmt::format("    export AWS_CA_BUNDLE={}\n", Quoted(data_path + "/ca.pem"));
    }
    text += fmt::format(
        "    alias aws='aws --endpoint-url {}'\n"
        "    aws sts get-caller-identity\n\n",
        endpoint);
    if (options.auth == "enforce") {
        text +=
            "Every call must be signed with a key that Hearth issued. Calls are verified but not "
            "yet\n"
            "authorised: policies are kept, and not enforced.\n";
    } else if (!IsLoopback(options.bind)) {
        text += fmt::format(
            "WARNING: {} is reachable from outside and --insecure-open lets anybody who reaches it "
            "run\n"
            "code here. Use it only inside a container whose network you trust.\n",
            options.bind);
    }
    return text;
}

}  // namespace hearth::keeper
