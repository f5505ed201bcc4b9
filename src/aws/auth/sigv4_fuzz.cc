// The whole Authorization header and the request around it come from strangers.
#include "aws/auth/sigv4.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace hearth::aws;
    std::string_view rest(reinterpret_cast<const char*>(data), size);
    const auto take = [&rest] {
        const size_t newline = rest.find('\n');
        const std::string_view line = rest.substr(0, newline);
        rest.remove_prefix(newline == std::string_view::npos ? rest.size() : newline + 1);
        return std::string(line);
    };
    const std::string authorization = take();
    const std::string date = take();
    const std::string path = take();
    const std::string query = take();
    const std::string token = take();
    const std::vector<std::pair<std::string, std::string>> headers = {
        {"host", "h"},
        {"x-amz-date", date},
        {"authorization", authorization},
        {"x-amz-security-token", token}};
    const SignedParts parts{"POST", path, query, headers, rest};
    (void)PeekScope(authorization);
    if (const auto parsed = ParseAuthorization(parts)) {
        (void)CheckTimeAndScope(*parsed, "lambda", parsed->time);
        (void)CheckSignature(parts, *parsed, "secret");
    }
    // What is signed verifies, whatever it is.
    const std::vector<std::pair<std::string, std::string>> unsigned_headers = {
        {"host", "h"}, {"x-thing", token}};
    const SignedParts plain{"POST", path, query, unsigned_headers, rest};
    const hearth::WallClock::time_point now(std::chrono::milliseconds(1'769'853'600'000));
    auto signed_headers = unsigned_headers;
    for (auto& header : SignRequest(plain, {"AK", "secret", ""}, "us-east-1", "lambda", now)) {
        signed_headers.push_back(std::move(header));
    }
    SignedParts again = plain;
    again.headers = signed_headers;
    const auto parsed = ParseAuthorization(again);
    if (!parsed || CheckTimeAndScope(*parsed, "lambda", now) ||
        CheckSignature(again, *parsed, "secret")) {
        __builtin_trap();
    }
    return 0;
}
