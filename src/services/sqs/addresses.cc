#include "services/sqs/addresses.h"

#include "services/sqs/errors.h"
#include "services/sqs/limits.h"

#include <algorithm>

namespace hearth::sqs {
namespace {

bool IsNameCharacter(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '_';
}

bool IsAccount(std::string_view text) {
    return text.size() == 12 &&
           std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

constexpr std::string_view kFifoSuffix = ".fifo";

bool IsQueueName(std::string_view name) {
    if (name.empty() || name.size() > kQueueNameMax) {
        return false;
    }
    if (name.ends_with(kFifoSuffix)) {
        name.remove_suffix(kFifoSuffix.size());
    }
    return !name.empty() && std::ranges::all_of(name, IsNameCharacter);
}

// "/<account>/<name>" at the end of a path.
std::optional<QueueAddress> OfPath(const Region& region, std::string_view path) {
    path = path.substr(0, path.find_first_of("?#"));
    if (path.ends_with('/')) {
        path.remove_suffix(1);
    }
    const size_t before_name = path.rfind('/');
    if (before_name == std::string_view::npos || before_name == 0) {
        return std::nullopt;
    }
    const std::string_view name = path.substr(before_name + 1);
    const std::string_view head = path.substr(0, before_name);
    const std::string_view account = head.substr(head.rfind('/') + 1);
    if (!IsAccount(account) || !IsQueueName(name)) {
        return std::nullopt;
    }
    return QueueAddress{AccountId(std::string(account)), region, std::string(name)};
}

}  // namespace

Status CheckQueueName(std::string_view name, bool fifo) {
    if (fifo) {
        if (!name.ends_with(kFifoSuffix) || !IsQueueName(name)) {
            return errors::InvalidParameterValue(
                "The name of a FIFO queue can only include alphanumeric characters, hyphens, or "
                "underscores, must end with .fifo suffix and be 1 to 80 in length.");
        }
        return {};
    }
    if (name.ends_with(kFifoSuffix) || !IsQueueName(name)) {
        return errors::InvalidParameterValue(
            "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length");
    }
    return {};
}

std::string QueueUrl(const aws::RequestContext& context, const QueueAddress& queue) {
    std::string url = context.endpoint;
    url += '/';
    url += queue.account.text();
    url += '/';
    url += queue.name;
    return url;
}

Result<QueueAddress> ResolveQueueUrl(
    const aws::RequestContext& context, const std::optional<std::string>& url) {
    if (!url || url->empty()) {
        if (context.Header("x-amz-target") == nullptr) {
            if (auto found = OfPath(context.region, context.target)) {
                return *std::move(found);
            }
        }
        return errors::QueueDoesNotExist();
    }
    std::string_view path = *url;
    if (const size_t scheme = path.find("://"); scheme != std::string_view::npos) {
        path.remove_prefix(scheme + 3);
    }
    if (auto found = OfPath(context.region, path)) {
        return *std::move(found);
    }
    return errors::InvalidAddress(*url);
}

}  // namespace hearth::sqs
