#include "base/check.h"
#include "http/message.h"
#include "services/s3/errors.h"
#include "services/s3/lifecycle_headers.h"
#include "services/s3/limits.h"
#include "services/s3/names.h"
#include "services/s3/object_headers.h"
#include "services/s3/s3_service.h"

#include <utility>

// GetObject and HeadObject.
namespace hearth::s3 {
namespace {

// A version that is overwritten between its record and its bytes is read anew; more often than this
// in one request it is not.
constexpr int kReadAttemptsMax = 10;
// Up to here an answer is made in one piece, which costs less than one that flows.
constexpr uint64_t kWholeAnswerBytesMax = uint64_t{16} << 10;

// A version that goes away each time it is looked at is nothing a client has a name for.
Error AfterLastAttempt(Error error) {
    return error.code() == storage::kBodyGone ? errors::InternalError() : std::move(error);
}

template <class Input>
Result<ReadRequest> ReadRequestOf(const Input& input) {
    ReadRequest request;
    request.key = input.key.value_or(std::string());
    HEARTH_RETURN_IF_ERROR(CheckKey(request.key));
    request.version_id = input.version_id;
    request.conditions = {
        .if_match = input.if_match,
        .if_none_match = input.if_none_match,
        .if_modified_since = input.if_modified_since,
        .if_unmodified_since = input.if_unmodified_since};
    request.range = input.range;
    request.part_number = input.part_number;
    if (request.part_number && (*request.part_number < 1 || *request.part_number > kPartsMax)) {
        return errors::InvalidArgument(
            "Part number must be an integer between 1 and 10000, inclusive",
            "partNumber",
            std::to_string(*request.part_number));
    }
    if (request.part_number && request.range) {
        return errors::InvalidRequest(
            "Cannot specify both Range header and partNumber query parameter");
    }
    HEARTH_TRY(request.customer_key, ReadCustomerKeyOf(input));
    request.checksums = input.checksum_mode == "ENABLED";
    return request;
}

template <class Input>
Status CheckOverrides(const aws::RequestContext& context, const Input& input) {
    const bool any = input.response_cache_control || input.response_content_disposition ||
                     input.response_content_encoding || input.response_content_language ||
                     input.response_content_type || input.response_expires;
    if (any && context.signed_by == aws::RequestContext::SignedBy::kNothing) {
        return errors::InvalidRequest(
            "Request specific response headers cannot be used for anonymous GET requests.");
    }
    return Status();
}

template <class Output, class Input>
Output Show(const ReadPlan& plan, const BucketRecord& bucket, const Input& input) {
    Output output;
    ShowObject(output, bucket, plan.record);
    output.parts_count = plan.parts_count;
    if (!plan.checksum.empty()) {
        ShowChecksum(output, plan.checksum_algorithm, plan.checksum_type, plan.checksum);
    }
    if (plan.partial) {
        output.content_range = ContentRange(plan.range, plan.record.size);
    }
    const auto override_with = [](auto& member, const auto& value) {
        if (value) {
            member = *value;
        }
    };
    override_with(output.cache_control, input.response_cache_control);
    override_with(output.content_disposition, input.response_content_disposition);
    override_with(output.content_encoding, input.response_content_encoding);
    override_with(output.content_language, input.response_content_language);
    override_with(output.content_type, input.response_content_type);
    override_with(output.expires, input.response_expires);
    return output;
}

// 304: only what identifies the version.
template <class Output>
Output ShowNotModified(
    aws::RequestContext& context, const BucketRecord& bucket, const ObjectRecord& record) {
    context.response_status = 304;
    Output output;
    output.e_tag = QuotedEtag(record.etag);
    output.last_modified = record.modified;
    output.version_id = ShownVersionId(bucket, record);
    output.cache_control = record.cache_control;
    output.expires = record.expires;
    return output;
}

// Whether the object's bytes may be kept in memory for others who may read it.
bool IsForMemory(const ObjectRecord& record) {
    return record.body_inline && record.encryption != Encryption::kCustomer;
}

std::optional<std::string> FromMemory(SmallBodyCache& cache, const ReadPlan& plan) {
    if (!IsForMemory(plan.record)) {
        return std::nullopt;
    }
    const SmallBodyCache::Bytes whole = cache.Find(plan.record.unique);
    if (whole == nullptr) {
        return std::nullopt;
    }
    CHECK_REQUEST(whole->size() == plan.record.size, "another body's bytes");
    return whole->substr(plan.range.offset, plan.range.length);
}

void Remember(SmallBodyCache& cache, const ReadPlan& plan, const std::string& bytes) {
    if (IsForMemory(plan.record) && bytes.size() == plan.record.size) {
        cache.Insert(plan.record.unique, std::make_shared<const std::string>(bytes));
    }
}

// All of a small body. Unlike one that flows, damage in it is still told as an error.
Task<Result<std::string>> ReadAll(storage::BodySource& source, uint64_t length) {
    std::string all;
    all.reserve(length);
    while (all.size() < length) {
        HEARTH_CO_TRY(const std::string_view bytes, co_await source.Next());
        CHECK_REQUEST(!bytes.empty(), "a body ended before its length");
        all += bytes;
    }
    co_return all;
}

// The whole answer of the source, in order.
Task<Status> SendAll(std::shared_ptr<storage::BodySource> source, http::BodyWriter& writer) {
    while (true) {
        HEARTH_CO_TRY(const std::string_view bytes, co_await source->Next());
        if (bytes.empty()) {
            co_return Status();
        }
        HEARTH_CO_RETURN_IF_ERROR(co_await writer.Write(bytes));
    }
}

}  // namespace

bool IsArchived(const ObjectRecord& record, CloudClock::time_point now) {
    const bool archived = record.storage_class == "GLACIER" ||
                          record.storage_class == "DEEP_ARCHIVE" || record.tier == "ARCHIVE" ||
                          record.tier == "DEEP_ARCHIVE";
    const bool restored = record.restored_until && UnixMs(*record.restored_until) > UnixMs(now);
    return archived && !restored;
}

Task<Result<S3Service::PartOfObject>> S3Service::FindPart(
    const BucketRecord& bucket, const ObjectRecord& record, int32_t number) {
    PartOfObject found;
    if (record.parts_id.empty()) {
        if (number != 1) {
            co_return errors::InvalidPartNumber(number, 1);
        }
        found.range = {.offset = 0, .length = record.size};
        co_return found;
    }
    // Parts may have been numbered with gaps: on AWS, too, the n-th counts.
    if (number > record.parts_count) {
        co_return errors::InvalidPartNumber(number, record.parts_count);
    }
    uint64_t offset = 0;
    int32_t count = 0;
    std::optional<std::string> from;
    do {
        HEARTH_CO_TRY(S3Store::PartPage page, co_await store_.Parts(bucket, record.parts_id, from));
        for (PartRecord& part : page.parts) {
            if (++count == number) {
                found.range = {.offset = offset, .length = part.size};
                found.checksums = std::move(part.checksums);
                co_return found;
            }
            offset += part.size;
        }
        from = std::move(page.next);
    } while (from);
    co_return Error(
        Error::Kind::kNotFound, storage::kBodyGone, "parts of this version are gone", 404);
}

Task<Result<ReadPlan>> S3Service::PlanRead(
    aws::RequestContext& context, const BucketRecord& bucket, ReadRequest request) {
    HEARTH_CO_TRY(
        S3Store::Located located,
        co_await store_.FindObject(
            bucket, request.key, request.version_id, &context.response_headers));
    ReadPlan plan;
    plan.record = std::move(located.record);
    const ObjectRecord& record = plan.record;
    HEARTH_CO_TRY(const ReadDecision decision, DecideRead(request.conditions, record));
    HEARTH_CO_RETURN_IF_ERROR(CheckReadKey(record, request.customer_key));
    if (decision == ReadDecision::kNotModified) {
        plan.not_modified = true;
        co_return plan;
    }
    if (!request.head && IsArchived(record, deps_.cloud_clock.Now())) {
        co_return errors::InvalidObjectState(
            record.storage_class,
            record.tier == "ARCHIVE"        ? "ARCHIVE_ACCESS"
            : record.tier == "DEEP_ARCHIVE" ? "DEEP_ARCHIVE_ACCESS"
                                            : "");
    }
    plan.range = {.offset = 0, .length = record.size};
    if (request.checksums) {
        plan.checksum_algorithm = record.checksum_algorithm;
        plan.checksum_type = record.checksum_type;
        plan.checksum = record.checksum;
    }
    if (request.part_number) {
        HEARTH_CO_TRY(PartOfObject part, co_await FindPart(bucket, record, *request.part_number));
        plan.range = part.range;
        plan.partial = record.size > 0;
        if (!record.parts_id.empty()) {
            plan.parts_count = record.parts_count;
            plan.checksum.clear();
            const auto of_part = part.checksums.find(record.checksum_algorithm);
            if (request.checksums && of_part != part.checksums.end()) {
                plan.checksum = of_part->second;
            }
        }
    } else if (request.range) {
        HEARTH_CO_TRY(const auto range, ParseRange(*request.range, record.size));
        if (range) {
            plan.range = *range;
            plan.partial = true;
            // That of the whole object says nothing of these bytes.
            if (range->length != record.size) {
                plan.checksum.clear();
            }
        }
    }
    co_return plan;
}

Task<Result<model::GetObject::Output>> S3Service::GetObject(
    aws::RequestContext& context, model::GetObject::Input input) {
    HEARTH_CO_TRY(
        const BucketHandle bucket,
        co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    HEARTH_CO_TRY(const ReadRequest request, ReadRequestOf(input));
    HEARTH_CO_RETURN_IF_ERROR(CheckOverrides(context, input));
    for (int attempt = 1;; ++attempt) {
        auto planned = co_await PlanRead(context, bucket->record, request);
        if (!planned.ok() && planned.error().code() == storage::kBodyGone &&
            attempt < kReadAttemptsMax) {
            continue;
        }
        if (!planned.ok()) {
            co_return AfterLastAttempt(std::move(planned).error());
        }
        const ReadPlan plan = *std::move(planned);
        if (plan.not_modified) {
            co_return ShowNotModified<model::GetObject::Output>(
                context, bucket->record, plan.record);
        }
        std::optional<std::string> bytes = FromMemory(store_.small_bodies(), plan);
        std::shared_ptr<storage::BodySource> source;
        if (!bytes) {
            storage::OpenOptions options;
            options.offset = plan.range.offset;
            options.length = plan.range.length;
            if (request.customer_key) {
                options.customer_key = request.customer_key->key;
            }
            auto opened = co_await OpenObject(bucket->record, plan.record, std::move(options));
            if (!opened.ok() && opened.error().code() == storage::kBodyGone &&
                attempt < kReadAttemptsMax) {
                continue;
            }
            if (!opened.ok()) {
                co_return AfterLastAttempt(std::move(opened).error());
            }
            source = *std::move(opened);
            if (plan.range.length <= kWholeAnswerBytesMax) {
                auto all = co_await ReadAll(*source, plan.range.length);
                if (!all.ok()) {
                    co_return TranslateBodyError(std::move(all).error());
                }
                bytes = *std::move(all);
                Remember(store_.small_bodies(), plan, *bytes);
            }
        }
        co_await lifecycle_.Accessed(bucket->record, plan.record);
        auto output = Show<model::GetObject::Output>(plan, bucket->record, input);
        if (!input.version_id) {
            output.expiration = ExpirationOf(*bucket, plan.record);
        }
        if (plan.partial) {
            context.response_status = 206;
        }
        if (bytes) {
            output.body = std::move(bytes);
            co_return output;
        }
        context.response_stream_bytes = plan.range.length;
        context.response_stream = [source = std::move(source)](http::BodyWriter& writer) {
            return SendAll(source, writer);
        };
        co_return output;
    }
}

Task<Result<model::HeadObject::Output>> S3Service::HeadObject(
    aws::RequestContext& context, model::HeadObject::Input input) {
    HEARTH_CO_TRY(
        const BucketHandle bucket,
        co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    HEARTH_CO_TRY(ReadRequest request, ReadRequestOf(input));
    HEARTH_CO_RETURN_IF_ERROR(CheckOverrides(context, input));
    request.head = true;
    for (int attempt = 1;; ++attempt) {
        auto planned = co_await PlanRead(context, bucket->record, request);
        if (!planned.ok() && planned.error().code() == storage::kBodyGone &&
            attempt < kReadAttemptsMax) {
            continue;
        }
        if (!planned.ok()) {
            co_return AfterLastAttempt(std::move(planned).error());
        }
        const ReadPlan plan = *std::move(planned);
        if (plan.not_modified) {
            co_return ShowNotModified<model::HeadObject::Output>(
                context, bucket->record, plan.record);
        }
        if (plan.record.encryption == Encryption::kCustomer) {
            // A wrong key is told without a byte being read.
            HEARTH_CO_TRY(const auto bodies, co_await BodiesOf(bucket->record, plan.record));
            if (!bodies.empty() &&
                !bodies_->IsCustomerKey(bodies.front(), request.customer_key->key)) {
                co_return errors::AccessDenied();
            }
        }
        auto output = Show<model::HeadObject::Output>(plan, bucket->record, input);
        if (!input.version_id) {
            output.expiration = ExpirationOf(*bucket, plan.record);
        }
        if (plan.record.tier == "ARCHIVE") {
            output.archive_status = "ARCHIVE_ACCESS";
        } else if (plan.record.tier == "DEEP_ARCHIVE") {
            output.archive_status = "DEEP_ARCHIVE_ACCESS";
        }
        if (plan.partial) {
            context.response_status = 206;
        }
        context.response_stream_bytes = plan.range.length;
        co_return output;
    }
}

}  // namespace hearth::s3
