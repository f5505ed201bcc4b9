#include "services/s3/object_event_target.h"

#include "services/s3/errors.h"

#include <fmt/format.h>

#include <string_view>
#include <utility>

namespace hearth::s3 {
namespace {

constexpr std::string_view kArn = "arn:aws:s3:::";

}  // namespace

Task<Result<BucketHandle>> ObjectEventTarget::Find(
    const Origin& origin, const std::string& target_arn) {
    if (!target_arn.starts_with(kArn) || target_arn.find('/') != std::string::npos) {
        co_return hearth::errors::Malformed(fmt::format("{} is no ARN of a bucket", target_arn));
    }
    const std::string name = target_arn.substr(kArn.size());
    HEARTH_CO_TRY(BucketHandle bucket, co_await store_.FindBucket(name));
    // Somebody else may own that name by now; AWS leaves that to the role's policies, which are not
    // evaluated yet.
    if (bucket == nullptr || bucket->record.account != origin.account) {
        co_return errors::NoSuchBucket(name);
    }
    co_return bucket;
}

Task<Status> ObjectEventTarget::Check(Origin origin, std::string target_arn) {
    HEARTH_CO_TRY(const BucketHandle bucket, co_await Find(origin, target_arn));
    co_return Status();
}

Task<Status> ObjectEventTarget::Send(Origin origin, std::string target_arn, Event event) {
    if (event.object_key.empty()) {
        co_return hearth::errors::Malformed("an event for a bucket needs an object key");
    }
    HEARTH_CO_TRY(BucketHandle bucket, co_await Find(origin, target_arn));
    co_return co_await put_(
        std::move(bucket),
        std::move(event.object_key),
        std::move(event.body),
        std::move(event.content_type));
}

}  // namespace hearth::s3
