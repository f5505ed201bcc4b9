// An external extension: counts the calls of a function and says so when the environment ends.
// Works on AWS as well.

#include "hearth_runtime.h"

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <string_view>

namespace {

constexpr std::string_view kApi = "/2020-01-01/extension/";

int Run(const char* program) {
    const char* const api = std::getenv("AWS_LAMBDA_RUNTIME_API");
    if (api == nullptr) {
        std::fprintf(stderr, "AWS_LAMBDA_RUNTIME_API is not set: this runs inside Lambda\n");
        return 1;
    }
    // An extension's name is that of its file.
    std::string_view name = program;
    name.remove_prefix(name.rfind('/') + 1);
    hearth_runtime::Connection connection(api);
    connection.Exchange(
        "POST",
        std::string(kApi) + "register",
        "Lambda-Extension-Name: " + std::string(name) + "\r\n",
        "{\"events\": [\"INVOKE\", \"SHUTDOWN\"]}");
    const std::string identity =
        "Lambda-Extension-Identifier: " + connection.Header("Lambda-Extension-Identifier") + "\r\n";
    int calls = 0;
    while (true) {
        const std::string event =
            connection.Exchange("GET", std::string(kApi) + "event/next", identity, {});
        if (event.find("\"INVOKE\"") == std::string::npos) {
            std::printf("calls in this environment: %d\n", calls);
            return 0;
        }
        ++calls;
    }
}

}  // namespace

int main(int argc, char** argv) {
    try {
        return argc > 0 ? Run(argv[0]) : 1;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
