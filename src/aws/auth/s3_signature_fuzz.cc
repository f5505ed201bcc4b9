// Whatever strangers write into the Authorization header, the query and a form's policy is read or
// refused, and never verifies with a secret that its author does not have.
#include "aws/auth/post_policy.h"
#include "aws/auth/s3_signature.h"

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
    const std::string method = take();
    const std::string path = take();
    const std::string query = take();
    std::vector<std::pair<std::string, std::string>> headers = {{"host", "h"}};
    for (const char* name :
         {"authorization", "x-amz-date", "x-amz-content-sha256", "x-amz-security-token"}) {
        if (std::string value = take(); !value.empty()) {
            headers.emplace_back(name, std::move(value));
        }
    }
    const SignedParts parts{method, path, query, headers, {}};
    const hearth::WallClock::time_point now(std::chrono::milliseconds(1'769'853'600'000));
    (void)S3Signature::IsPresignedForS3(query);
    auto signature = S3Signature::Read(parts, path);
    if (signature.ok() && signature->has_value()) {
        (void)(*signature)->CheckExpiry(now);
        if (!(*signature)->Verify("a secret that nobody guesses", now)) {
            __builtin_trap();
        }
    }
    const std::string policy_text(rest);
    auto policy = PostPolicy::Parse(policy_text);
    if (policy.ok()) {
        (void)policy->Check({{"key", path}, {"bucket", method}}, now);
    }
    auto form = S3PolicySignature::Read(
        {.algorithm = method,
         .credential = path,
         .date = query,
         .signature = policy_text,
         .security_token = {},
         .policy = policy_text,
         .old_key_id = path,
         .old_signature = query});
    if (form.ok() && !form->Verify("a secret that nobody guesses", now)) {
        __builtin_trap();
    }
    return 0;
}
