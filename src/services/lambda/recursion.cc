#include "services/lambda/recursion.h"

#include "services/lambda/errors.h"
#include "services/lambda/lambda_service.h"
#include "services/lineage.h"

#include "gen/lambda/types.gen.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <vector>

namespace hearth::lambda {
namespace {

// A chain through more functions than this forgets those seen least.
constexpr size_t kFunctionsMax = 16;
constexpr int32_t kCountMax = 1'000'000;
constexpr std::string_view kMember = kLineageMember;
constexpr std::string_view kAllow = "Allow";
constexpr std::string_view kTerminate = "Terminate";

struct Ancestor {
    uint32_t function = 0;
    int32_t count = 0;
};

// Takes the member out of the header. What is malformed in it is left away.
std::vector<Ancestor> TakeLineage(std::string& header) {
    std::vector<Ancestor> ancestors;
    const size_t at = header.find(kMember);
    if (at == std::string::npos || (at > 0 && header[at - 1] != ';')) {
        return ancestors;
    }
    const size_t end = std::min(header.find(';', at), header.size());
    std::string member = header.substr(at + kMember.size(), end - at - kMember.size());
    header.erase(at > 0 ? at - 1 : at, end - at + (at > 0 || end < header.size() ? 1 : 0));
    // botocore writes the bars so.
    for (size_t bar = member.find("%7C"); bar != std::string::npos; bar = member.find("%7C")) {
        member.replace(bar, 3, "|");
    }
    std::string_view rest = member;
    while (!rest.empty() && ancestors.size() < kFunctionsMax) {
        const size_t bar = std::min(rest.find('|'), rest.size());
        const std::string_view entry = rest.substr(0, bar);
        rest.remove_prefix(std::min(bar + 1, rest.size()));
        Ancestor ancestor;
        const char* const last = entry.data() + entry.size();
        const auto name = std::from_chars(entry.data(), last, ancestor.function, 16);
        if (name.ec != std::errc() || name.ptr == last || *name.ptr != ':') {
            continue;
        }
        const auto count = std::from_chars(name.ptr + 1, last, ancestor.count);
        if (count.ec != std::errc() || count.ptr != last || ancestor.count < 0 ||
            ancestor.count > kCountMax) {
            continue;
        }
        ancestors.push_back(ancestor);
    }
    return ancestors;
}

}  // namespace

int32_t ExtendLineage(
    std::string& trace_header, std::string_view function_arn, std::string_view caller_arn) {
    if (trace_header.empty() ||
        (caller_arn.empty() && trace_header.find(kMember) == std::string::npos)) {
        return 0;
    }
    std::vector<Ancestor> ancestors = TakeLineage(trace_header);
    const auto find = [&ancestors](std::string_view arn) {
        return std::ranges::find(ancestors, LineageNameOf(arn), &Ancestor::function);
    };
    const auto add = [&ancestors](std::string_view arn, int32_t count) {
        if (ancestors.size() >= kFunctionsMax) {
            ancestors.erase(std::ranges::min_element(ancestors, {}, &Ancestor::count));
        }
        ancestors.push_back({LineageNameOf(arn), count});
    };
    // The first of a chain was called by a client without a lineage.
    if (!caller_arn.empty() && find(caller_arn) == ancestors.end()) {
        add(caller_arn, 0);
    }
    int32_t before = 0;
    if (const auto found = find(function_arn); found != ancestors.end()) {
        before = std::min(found->count + 1, kCountMax);
        found->count = before;
    } else {
        add(function_arn, 0);
    }
    trace_header += trace_header.empty() ? "" : ";";
    trace_header += kMember;
    for (const Ancestor& ancestor : ancestors) {
        trace_header += fmt::format(
            "{}{:08x}:{}",
            &ancestor == ancestors.data() ? "" : "|",
            ancestor.function,
            ancestor.count);
    }
    return before;
}

Error RecursiveInvocation() {
    return Error(
               Error::Kind::kInvalid,
               "RecursiveInvocationException",
               "Lambda has detected your function being invoked in a recursive loop with other "
               "Amazon Web Services resources and stopped your function's invocation.",
               400)
        .WithField("Type", "User");
}

Task<Status> LambdaService::CheckRecursion(
    const aws::RequestContext& context,
    const FunctionReference& reference,
    InvokeRequest& request) {
    const int32_t before = ExtendLineage(
        request.trace_header, request.invoked_function_arn, context.calling_function_arn);
    if (before < kRecursionsMax) {
        co_return Status();
    }
    HEARTH_CO_TRY(const auto head, co_await store_.FindHead(KeyOf(reference)));
    if (head && head->recursive_loop == kAllow) {
        co_return Status();
    }
    co_return RecursiveInvocation();
}

Task<Result<model::PutFunctionRecursionConfig::Output>> LambdaService::PutFunctionRecursionConfig(
    aws::RequestContext& context, model::PutFunctionRecursionConfig::Input input) {
    HEARTH_CO_TRY(const FunctionReference reference, Reference(context, input.function_name));
    const FunctionKey key = KeyOf(reference);
    const FunctionStore::Body body = [&](FunctionTransaction& transaction) -> Task<Status> {
        HEARTH_CO_TRY(auto head, co_await transaction.FindHead(key));
        if (!head) {
            co_return errors::FunctionNotFound(FunctionArn(key.account, key.region, key.name));
        }
        head->recursive_loop = *input.recursive_loop;
        transaction.PutHead(key, *head);
        co_return Status();
    };
    HEARTH_CO_RETURN_IF_ERROR(co_await store_.Transact(body));
    model::PutFunctionRecursionConfig::Output output;
    output.recursive_loop = *input.recursive_loop;
    co_return output;
}

Task<Result<model::GetFunctionRecursionConfig::Output>> LambdaService::GetFunctionRecursionConfig(
    aws::RequestContext& context, model::GetFunctionRecursionConfig::Input input) {
    HEARTH_CO_TRY(const FunctionReference reference, Reference(context, input.function_name));
    const FunctionKey key = KeyOf(reference);
    HEARTH_CO_TRY(const auto head, co_await store_.FindHead(key));
    if (!head) {
        co_return errors::FunctionNotFound(FunctionArn(key.account, key.region, key.name));
    }
    model::GetFunctionRecursionConfig::Output output;
    output.recursive_loop =
        head->recursive_loop.empty() ? std::string(kTerminate) : head->recursive_loop;
    co_return output;
}

}  // namespace hearth::lambda
