#include "aws/auth/policy/policy.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

using hearth::aws::AccessPrincipal;
using hearth::aws::AccessRequest;
using hearth::aws::Evaluate;
using hearth::aws::Verdict;

AccessRequest Ask(AccessPrincipal principal) {
    AccessRequest request;
    request.principal = std::move(principal);
    request.action = "lambda:InvokeFunction";
    request.resource = "arn:aws:lambda:us-east-1:111122223333:function:f";
    request.SetStandardKeys(
        hearth::WallClock::time_point(std::chrono::milliseconds(1'790'000'000'000)));
    request.Set("aws:SourceArn", "arn:aws:s3:::bucket");
    request.Set("aws:TagKeys", std::vector<std::string>{"a", "b"});
    request.Set("aws:SourceIp", "192.0.2.7");
    request.Absent("lambda:EventSourceToken");
    return request;
}

}  // namespace

// Hostile documents: none may hang or crash, and what a document allows, the same document with one
// more Deny never allows.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const AccessRequest requests[] = {
        Ask({"arn:aws:sts::444455556666:assumed-role/worker/s", "444455556666", {}}),
        Ask(AccessPrincipal::Service("s3.amazonaws.com")),
        Ask(AccessPrincipal::Anonymous())};
    for (const AccessRequest& request : requests) {
        Evaluate(text, request);
        // The input as one statement among others.
        const std::string allow =
            R"({"Version":"2012-10-17","Statement":[)" + std::string(text) + "]}";
        const std::string deny =
            R"({"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"*"},)" +
            std::string(text) + "]}";
        const Verdict verdict = Evaluate(allow, request);
        if (verdict == Verdict::kAllow && Evaluate(deny, request) == Verdict::kAllow) {
            std::abort();
        }
    }
    return 0;
}
