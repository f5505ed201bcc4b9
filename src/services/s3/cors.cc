#include "codec/uri/uri.h"
#include "services/s3/control_errors.h"
#include "services/s3/control_operations.h"
#include "services/s3/errors.h"
#include "services/s3/value_or_empty.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

// CORS: the configuration, and the answers to browsers.
namespace hearth::s3 {
namespace {

constexpr size_t kRulesMax = 100;
constexpr size_t kRuleIdMax = 255;

size_t Stars(std::string_view text) {
    return static_cast<size_t>(std::count(text.begin(), text.end(), '*'));
}

Status CheckCorsRule(const model::CORSRule& rule) {
    static constexpr std::array<std::string_view, 5> kMethods = {
        "GET", "PUT", "HEAD", "POST", "DELETE"};
    if (!rule.allowed_methods || rule.allowed_methods->empty() || !rule.allowed_origins ||
        rule.allowed_origins->empty()) {
        return errors::MalformedXml();
    }
    for (const std::string& method : *rule.allowed_methods) {
        if (std::find(kMethods.begin(), kMethods.end(), method) == kMethods.end()) {
            return errors::InvalidRequest(
                "Found unsupported HTTP method in CORS config. Unsupported method is " + method);
        }
    }
    for (const std::string& origin : *rule.allowed_origins) {
        if (Stars(origin) > 1) {
            return errors::InvalidRequest(
                fmt::format("AllowedOrigin \"{}\" can not have more than one wildcard.", origin));
        }
    }
    for (const std::string& header : ValueOrEmpty(rule.allowed_headers)) {
        if (Stars(header) > 1) {
            return errors::InvalidRequest(
                fmt::format("AllowedHeader \"{}\" can not have more than one wildcard.", header));
        }
    }
    for (const std::string& header : ValueOrEmpty(rule.expose_headers)) {
        if (Stars(header) > 0) {
            return errors::InvalidRequest(fmt::format(
                "ExposeHeader \"{}\" contains wildcard. We currently do not support wildcard for "
                "ExposeHeader.",
                header));
        }
    }
    if (rule.id && rule.id->size() > kRuleIdMax) {
        return errors::MalformedXml();
    }
    return Status();
}

Error Forbidden(std::string message, const aws::CrossOriginRequest& request, const char* type) {
    return Error(Error::Kind::kDenied, "AccessForbidden", std::move(message), 403)
        .WithField("Method", request.method.empty() ? "OPTIONS" : std::string(request.method))
        .WithField("ResourceType", type);
}

}  // namespace

Task<Result<model::PutBucketCors::Output>> ControlOperations::PutBucketCors(
    aws::RequestContext& context, model::PutBucketCors::Input input) {
    HEARTH_CO_TRY(
        BucketHandle bucket, co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    const auto rules = input.cors_configuration ? ValueOrEmpty(input.cors_configuration->cors_rules)
                                                : std::vector<model::CORSRule>();
    if (rules.empty() || rules.size() > kRulesMax) {
        co_return errors::MalformedXml();
    }
    for (const model::CORSRule& rule : rules) {
        HEARTH_CO_RETURN_IF_ERROR(CheckCorsRule(rule));
    }
    HEARTH_CO_RETURN_IF_ERROR(co_await Write(
        std::move(bucket),
        std::string(setting::kCors),
        EncodeSetting(model::PutBucketCors::Descriptor(), &input)));
    co_return model::PutBucketCors::Output();
}

Task<Result<model::GetBucketCors::Output>> ControlOperations::GetBucketCors(
    aws::RequestContext& context, model::GetBucketCors::Input input) {
    HEARTH_CO_TRY(
        const BucketHandle bucket,
        co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    HEARTH_CO_TRY(auto put, Read<model::PutBucketCors>(*bucket, setting::kCors));
    if (!put || !put->cors_configuration) {
        co_return errors::NoSuchCorsConfiguration(bucket->record.name);
    }
    model::GetBucketCors::Output output;
    output.cors_rules = std::move(put->cors_configuration->cors_rules);
    co_return output;
}

Task<Result<model::DeleteBucketCors::Output>> ControlOperations::DeleteBucketCors(
    aws::RequestContext& context, model::DeleteBucketCors::Input input) {
    HEARTH_CO_TRY(
        BucketHandle bucket, co_await Bucket(context, input.bucket, input.expected_bucket_owner));
    HEARTH_CO_RETURN_IF_ERROR(
        co_await Write(std::move(bucket), std::string(setting::kCors), std::nullopt));
    co_return model::DeleteBucketCors::Output();
}

Task<Result<std::optional<aws::CrossOriginRules::Headers>>> ControlOperations::Ask(
    const aws::CrossOriginRequest& request) {
    if (request.preflight && request.origin.empty()) {
        co_return Error(
            Error::Kind::kInvalid,
            "BadRequest",
            "Insufficient information. Origin request header needed.",
            400);
    }
    std::string_view name = request.path;
    name.remove_prefix(std::min<size_t>(1, name.size()));
    name = name.substr(0, name.find('/'));
    auto decoded = codec::PercentDecode(name);
    auto bucket = co_await store_.FindBucket(decoded.ok() ? *decoded : std::string());
    if (!bucket.ok()) {
        if (!request.preflight) {
            co_return std::optional<Headers>();
        }
        if (bucket.error().code() == "NoSuchBucket") {
            co_return Forbidden("CORSResponse: Bucket not found", request, "BUCKET");
        }
        co_return std::move(bucket).error();
    }
    const auto cors = (*bucket)->compiled.cors;
    if (cors == nullptr) {
        if (request.preflight) {
            co_return Forbidden(
                "CORSResponse: CORS is not enabled for this bucket.", request, "BUCKET");
        }
        co_return std::optional<Headers>();
    }
    auto headers = cors->Answer(request.origin, request.method, request.request_headers);
    if (!headers && request.preflight) {
        // The spelling is S3's.
        co_return Forbidden(
            "CORSResponse: This CORS request is not allowed. This is usually because the evalution "
            "of Origin, request method / Access-Control-Request-Method or "
            "Access-Control-Request-Headers are not whitelisted by the resource's CORS spec.",
            request,
            "OBJECT");
    }
    co_return headers;
}

}  // namespace hearth::s3
