#include "aws/auth/s3_signature.h"

#include "aws/auth/canonical_request.h"
#include "aws/auth/s3_errors.h"
#include "codec/base64/base64.h"
#include "codec/crypto/digest_stream.h"
#include "codec/timestamp/timestamp.h"
#include "codec/uri/uri.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <utility>

namespace hearth::aws {
namespace {

constexpr std::string_view kSigningName = "s3";
constexpr std::string_view kContentHash = "x-amz-content-sha256";
constexpr std::string_view kUnsignedPayload = "UNSIGNED-PAYLOAD";
constexpr size_t kCredentialBytesMax = 512;
// Signature Version 2 names no region.
constexpr std::string_view kDefaultRegionOfOld = "us-east-1";
constexpr std::string_view kCredentialForm = "\"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\"";

std::string_view FindHeader(const SignedParts& request, std::string_view name) {
    for (const auto& [header, value] : request.headers) {
        if (header == name) {
            return value;
        }
    }
    return {};
}

const std::string* FindParameter(
    const std::vector<std::pair<std::string, std::string>>& parameters, std::string_view name) {
    for (const auto& [parameter, value] : parameters) {
        if (parameter == name) {
            return &value;
        }
    }
    return nullptr;
}

// Whether a query has a parameter of that name, without decoding it: presigned ones are never
// encoded.
bool HasParameter(std::string_view query, std::string_view name) {
    while (!query.empty()) {
        std::string_view piece = TakeUntil(query, '&');
        if (TakeUntil(piece, '=') == name) {
            return true;
        }
    }
    return false;
}

bool IsHexSha256(std::string_view text) {
    return text.size() == 64 && std::ranges::all_of(text, [](char c) {
               return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
           });
}

std::string Iso(WallClock::time_point time) {
    return codec::FormatIso8601(time);
}

// Signature Version 2: s3.amazonaws.com takes it for old buckets alone.
Error OldMechanism() {
    return s3_errors::InvalidRequest(
        "The authorization mechanism you have provided is not supported. Please use "
        "AWS4-HMAC-SHA256.");
}

Error TwoMechanisms(std::string_view header) {
    return s3_errors::InvalidArgument(
        "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature "
        "query string parameter or the Authorization header should be specified",
        "Authorization",
        header);
}

Error QueryParametersMissing() {
    return s3_errors::AuthorizationQueryParameters(
        "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, "
        "X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.");
}

}  // namespace

Result<S3Payload> S3Payload::Parse(std::string_view text) {
    S3Payload payload;
    if (text == kUnsignedPayload) {
        return payload;
    }
    if (IsHexSha256(text)) {
        payload.kind = Kind::kHashed;
        payload.sha256 = text;
        for (char& c : payload.sha256) {
            c = c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c;
        }
        return payload;
    }
    if (text == "STREAMING-AWS4-HMAC-SHA256-PAYLOAD") {
        payload.kind = Kind::kSignedChunks;
    } else if (text == "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER") {
        payload.kind = Kind::kSignedChunksTrailers;
    } else if (text == "STREAMING-UNSIGNED-PAYLOAD-TRAILER") {
        payload.kind = Kind::kUnsignedChunksTrailers;
    } else if (text.starts_with("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD")) {
        return s3_errors::NotImplementedHeader(kContentHash);
    } else {
        return s3_errors::InvalidArgument(
            "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, "
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER, "
            "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD, "
            "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER or a valid sha256 value.",
            kContentHash,
            text);
    }
    return payload;
}

bool S3Signature::IsPresigned(std::string_view query) {
    return HasParameter(query, "X-Amz-Algorithm") || HasParameter(query, "X-Amz-Credential") ||
           (HasParameter(query, "AWSAccessKeyId") && HasParameter(query, "Signature"));
}

bool S3Signature::IsPresignedForS3(std::string_view query) {
    if (!IsPresigned(query)) {
        return false;
    }
    std::string_view rest = query;
    while (!rest.empty()) {
        std::string_view piece = TakeUntil(rest, '&');
        if (TakeUntil(piece, '=') != "X-Amz-Credential") {
            continue;
        }
        const auto credential = codec::PercentDecode(piece);
        return credential.ok() &&
               credential->ends_with(fmt::format("/{}/{}", kSigningName, kScopeTerminator));
    }
    return HasParameter(query, "AWSAccessKeyId");
}

Result<std::optional<S3Signature>> S3Signature::Read(
    const SignedParts& request, std::string_view resource) {
    const std::string_view header = FindHeader(request, "authorization");
    if (!IsPresigned(request.query)) {
        if (header.empty()) {
            return std::optional<S3Signature>();
        }
        HEARTH_TRY(S3Signature signature, ReadHeader(request, header));
        return std::optional<S3Signature>(std::move(signature));
    }
    if (!header.empty()) {
        return TwoMechanisms(header);
    }
    auto parameters = codec::ParseQuery(request.query);
    if (!parameters.ok()) {
        return QueryParametersMissing();
    }
    const bool is_old = !HasParameter(request.query, "X-Amz-Algorithm") &&
                        HasParameter(request.query, "AWSAccessKeyId");
    HEARTH_TRY(
        S3Signature signature,
        is_old ? ReadOldQuery(request, *std::move(parameters), resource)
               : ReadQuery(request, *std::move(parameters)));
    return std::optional<S3Signature>(std::move(signature));
}

Error S3Signature::Malformed(std::string_view what) const {
    return presigned_ ? s3_errors::AuthorizationQueryParameters(
                            fmt::format("Error parsing the X-Amz-Credential parameter; {}", what))
                      : s3_errors::AuthorizationHeaderMalformed(what);
}

Status S3Signature::ReadCredential(std::string_view credential) {
    // From the right: a key id may have slashes, the rest has none.
    std::string_view rest = credential;
    size_t slashes = 0;
    for (size_t at = rest.size(); at > 0 && slashes < 4; --at) {
        if (rest[at - 1] == '/' && ++slashes == 4) {
            key_id_ = rest.substr(0, at - 1);
            scope_ = rest.substr(at);
        }
    }
    if (slashes < 4 || key_id_.empty() || credential.size() > kCredentialBytesMax) {
        return Malformed(
            fmt::format("the Credential is mal-formed; expecting {}.", kCredentialForm));
    }
    rest = scope_;
    scope_date_ = TakeUntil(rest, '/');
    region_ = TakeUntil(rest, '/');
    service_ = TakeUntil(rest, '/');
    terminator_ = rest;
    return Status();
}

Result<S3Signature> S3Signature::ReadHeader(const SignedParts& request, std::string_view header) {
    S3Signature read(request);
    std::string_view rest = Trim(header);
    const std::string_view algorithm = rest.substr(0, rest.find(' '));
    rest.remove_prefix(algorithm.size());
    if (algorithm == "AWS") {
        return OldMechanism();
    }
    if (algorithm != kSignatureAlgorithm) {
        return s3_errors::InvalidArgument(
            "Unsupported Authorization Type", "Authorization", header);
    }
    std::string_view credential;
    while (!rest.empty()) {
        std::string_view field = Trim(TakeUntil(rest, ','));
        if (field.empty()) {
            continue;
        }
        const std::string_view name = TakeUntil(field, '=');
        if (name == "Credential") {
            credential = field;
        } else if (name == "SignedHeaders") {
            read.signed_headers_ = field;
        } else if (name == "Signature") {
            read.signature_ = field;
        }
    }
    if (credential.empty() || read.signed_headers_.empty() || read.signature_.empty()) {
        return s3_errors::AuthorizationHeaderMalformed(
            "the authorization header requires three components: Credential, SignedHeaders, and "
            "Signature.");
    }
    HEARTH_RETURN_IF_ERROR(read.ReadCredential(credential));
    std::string_view date = FindHeader(request, "x-amz-date");
    if (date.empty()) {
        date = FindHeader(request, "date");
    }
    auto time = codec::ParseBasicIso8601(date);
    if (!time.ok()) {
        time = codec::ParseRfc822(date);
    }
    if (!time.ok()) {
        return s3_errors::AccessDenied(
            "AWS authentication requires a valid Date or x-amz-date header");
    }
    read.time_ = *time;
    read.time_text_ = codec::FormatBasicIso8601(read.time_);
    read.session_token_ = FindHeader(request, "x-amz-security-token");
    read.payload_text_ = FindHeader(request, kContentHash);
    if (read.payload_text_.empty()) {
        return s3_errors::InvalidRequest(
            "Missing required header for this request: x-amz-content-sha256");
    }
    HEARTH_TRY(read.payload_, S3Payload::Parse(read.payload_text_));
    return read;
}

Result<S3Signature> S3Signature::ReadQuery(
    const SignedParts& request, std::vector<std::pair<std::string, std::string>> parameters) {
    S3Signature read(request);
    read.presigned_ = true;
    const auto find = [&](std::string_view name) { return FindParameter(parameters, name); };
    const std::string* algorithm = find("X-Amz-Algorithm");
    const std::string* credential = find("X-Amz-Credential");
    const std::string* signature = find("X-Amz-Signature");
    const std::string* date = find("X-Amz-Date");
    const std::string* signed_headers = find("X-Amz-SignedHeaders");
    const std::string* expires = find("X-Amz-Expires");
    if (algorithm == nullptr || credential == nullptr || signature == nullptr || date == nullptr ||
        signed_headers == nullptr || expires == nullptr) {
        return QueryParametersMissing();
    }
    if (*algorithm != kSignatureAlgorithm) {
        return s3_errors::AuthorizationQueryParameters(
            "X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256 and AWS4-ECDSA-P256-SHA256\"");
    }
    HEARTH_RETURN_IF_ERROR(read.ReadCredential(*credential));
    const auto time = codec::ParseBasicIso8601(*date);
    if (!time.ok()) {
        return s3_errors::AuthorizationQueryParameters(
            "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"");
    }
    read.time_ = *time;
    read.time_text_ = *date;
    int64_t seconds = 0;
    const auto parsed =
        std::from_chars(expires->data(), expires->data() + expires->size(), seconds);
    if (parsed.ptr != expires->data() + expires->size() || parsed.ec != std::errc()) {
        return s3_errors::AuthorizationQueryParameters("X-Amz-Expires should be a number");
    }
    if (seconds < 0) {
        return s3_errors::AuthorizationQueryParameters("X-Amz-Expires must be non-negative");
    }
    if (std::chrono::seconds(seconds) > kPresignedMax) {
        return s3_errors::AuthorizationQueryParameters(
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires "
            "must be less than 604800 seconds");
    }
    read.expires_ = std::chrono::seconds(seconds);
    read.signature_ = *signature;
    read.signed_headers_ = *signed_headers;
    if (const std::string* token = find("X-Amz-Security-Token")) {
        read.session_token_ = *token;
    } else {
        read.session_token_ = FindHeader(request, "x-amz-security-token");
    }
    // Browsers' and phones' uploads do not know the payload when the request is signed.
    read.payload_text_ = FindHeader(request, kContentHash);
    if (read.payload_text_.empty()) {
        const std::string* hash = find("X-Amz-Content-Sha256");
        read.payload_text_ = hash == nullptr ? std::string(kUnsignedPayload) : *hash;
    }
    HEARTH_TRY(read.payload_, S3Payload::Parse(read.payload_text_));
    return read;
}

Result<S3Signature> S3Signature::ReadOldQuery(
    const SignedParts& request,
    std::vector<std::pair<std::string, std::string>> parameters,
    std::string_view resource) {
    S3Signature read(request);
    read.presigned_ = true;
    read.old_ = true;
    read.resource_ = resource;
    const std::string* key_id = FindParameter(parameters, "AWSAccessKeyId");
    const std::string* signature = FindParameter(parameters, "Signature");
    const std::string* expires = FindParameter(parameters, "Expires");
    if (key_id == nullptr || signature == nullptr || expires == nullptr) {
        return s3_errors::AccessDenied(
            "Query-string authentication requires the Signature, Expires and AWSAccessKeyId "
            "parameters");
    }
    int64_t seconds = 0;
    const auto parsed =
        std::from_chars(expires->data(), expires->data() + expires->size(), seconds);
    // Beyond the year 9999 no time can be written.
    constexpr int64_t kSecondsMax = 253'402'300'799;
    if (parsed.ptr != expires->data() + expires->size() || parsed.ec != std::errc() ||
        seconds < 0 || seconds > kSecondsMax) {
        return s3_errors::AccessDenied(fmt::format(
            "Invalid date (should be seconds since epoch): {}", expires->substr(0, 64)));
    }
    read.key_id_ = key_id->substr(0, kCredentialBytesMax);
    read.signature_ = *signature;
    read.time_ = WallClock::time_point(std::chrono::seconds(seconds));
    read.time_text_ = *expires;
    read.region_ = kDefaultRegionOfOld;
    if (const std::string* token = FindParameter(parameters, "x-amz-security-token")) {
        read.session_token_ = *token;
    } else {
        read.session_token_ = FindHeader(request, "x-amz-security-token");
    }
    read.parameters_ = std::move(parameters);
    if (const std::string_view hash = FindHeader(request, kContentHash); !hash.empty()) {
        HEARTH_TRY(read.payload_, S3Payload::Parse(hash));
    }
    return read;
}

// Source: Amazon S3 User Guide, "Signing and authenticating REST requests (AWS signature version
// 2)", 2025.
std::string S3Signature::OldStringToSign(std::string_view resource) const {
    static constexpr std::array<std::string_view, 38> kSubResources = {
        "accelerate",
        "acl",
        "analytics",
        "cors",
        "defaultObjectAcl",
        "delete",
        "encryption",
        "inventory",
        "legal-hold",
        "lifecycle",
        "location",
        "logging",
        "metrics",
        "notification",
        "object-lock",
        "ownershipControls",
        "partNumber",
        "policy",
        "policyStatus",
        "publicAccessBlock",
        "replication",
        "requestPayment",
        "response-cache-control",
        "response-content-disposition",
        "response-content-encoding",
        "response-content-language",
        "response-content-type",
        "response-expires",
        "restore",
        "retention",
        "tagging",
        "torrent",
        "uploadId",
        "uploads",
        "versionId",
        "versioning",
        "versions",
        "website"};
    // Headers may stand in the query as well.
    const auto header = [&](std::string_view name) -> std::string_view {
        if (const std::string_view value = FindHeader(request_, name); !value.empty()) {
            return value;
        }
        const std::string* parameter = FindParameter(parameters_, name);
        return parameter == nullptr ? std::string_view() : std::string_view(*parameter);
    };
    std::string text = fmt::format(
        "{}\n{}\n{}\n{}\n",
        request_.method,
        header("content-md5"),
        header("content-type"),
        time_text_);
    std::map<std::string, std::string> amz;
    const auto add = [&](const std::string& name, const std::string& value) {
        if (name.starts_with("x-amz-")) {
            if (const auto [at, is_new] = amz.emplace(name, value); !is_new) {
                at->second.append(",").append(value);
            }
        }
    };
    for (const auto& [name, value] : request_.headers) {
        add(name, value);
    }
    for (const auto& [name, value] : parameters_) {
        add(name, value);
    }
    for (const auto& [name, value] : amz) {
        text.append(name).append(":").append(value).append("\n");
    }
    text += resource;
    auto sorted = parameters_;
    std::ranges::sort(sorted);
    char separator = '?';
    for (const auto& [name, value] : sorted) {
        if (std::ranges::find(kSubResources, name) == kSubResources.end()) {
            continue;
        }
        text += std::exchange(separator, '&');
        text += name;
        if (!value.empty()) {
            text.append("=").append(value);
        }
    }
    return text;
}

std::optional<Error> S3Signature::VerifyOld(
    std::string_view secret, WallClock::time_point now) const {
    if (auto error = CheckExpiry(now)) {
        return error;
    }
    const std::string to_sign = OldStringToSign(resource_);
    if (codec::EqualInConstantTime(
            codec::Base64Encode(codec::HmacSha1(secret, to_sign)), signature_)) {
        return std::nullopt;
    }
    // A bucket is signed with a slash behind it, which some clients leave out.
    if (resource_.find('/', 1) == std::string::npos &&
        codec::EqualInConstantTime(
            codec::Base64Encode(codec::HmacSha1(secret, OldStringToSign(resource_ + "/"))),
            signature_)) {
        return std::nullopt;
    }
    return s3_errors::SignatureDoesNotMatch(
        {.key_id = key_id_,
         .string_to_sign = to_sign,
         .signature = signature_,
         .canonical_request = {}});
}

std::optional<Error> S3Signature::CheckScope(WallClock::time_point now) const {
    if (service_ != kSigningName) {
        return Malformed(fmt::format(
            "incorrect service \"{}\". This endpoint belongs to \"{}\".", service_, kSigningName));
    }
    if (terminator_ != kScopeTerminator) {
        return Malformed(fmt::format(
            "incorrect terminal \"{}\". This endpoint uses \"{}\".",
            terminator_,
            kScopeTerminator));
    }
    if (scope_date_.size() != 8 || !std::string_view(time_text_).starts_with(scope_date_)) {
        return Malformed(fmt::format(
            "Invalid credential date \"{}\". This date is not the same as X-Amz-Date: \"{}\".",
            scope_date_,
            std::string_view(time_text_).substr(0, 8)));
    }
    if (presigned_) {
        return CheckExpiry(now);
    }
    if (time_ + kS3SkewMax < now || time_ > now + kS3SkewMax) {
        return Error(
                   Error::Kind::kDenied,
                   "RequestTimeTooSkewed",
                   "The difference between the request time and the current time is too large.",
                   403)
            .WithField("RequestTime", time_text_)
            .WithField("ServerTime", Iso(now))
            .WithField(
                "MaxAllowedSkewMilliseconds",
                std::to_string(std::chrono::milliseconds(kS3SkewMax).count()));
    }
    return std::nullopt;
}

std::optional<Error> S3Signature::CheckExpiry(WallClock::time_point now) const {
    if (!presigned_) {
        return std::nullopt;
    }
    if (old_) {
        if (time_ >= now) {
            return std::nullopt;
        }
        return s3_errors::AccessDenied("Request has expired")
            .WithField("Expires", Iso(time_))
            .WithField("ServerTime", Iso(now));
    }
    if (time_ > now + kS3SkewMax) {
        return s3_errors::AccessDenied("Request is not yet valid")
            .WithField("X-Amz-Date", time_text_)
            .WithField("ServerTime", Iso(now));
    }
    if (time_ + expires_ < now) {
        return s3_errors::AccessDenied("Request has expired")
            .WithField("X-Amz-Expires", std::to_string(expires_.count()))
            .WithField("Expires", Iso(time_ + expires_))
            .WithField("ServerTime", Iso(now));
    }
    return std::nullopt;
}

// What changes the meaning of a call must be signed: the host and all x-amz- headers. The payload's
// hash is part of the signed text by itself.
std::optional<Error> S3Signature::CheckSignedHeaders() const {
    std::string unsigned_names;
    const auto require = [&](std::string_view name) {
        if (!IsSigned(signed_headers_, name)) {
            unsigned_names += unsigned_names.empty() ? "" : ", ";
            unsigned_names += name;
        }
    };
    require("host");
    for (const auto& [name, value] : request_.headers) {
        if (name.starts_with("x-amz-") && name != kContentHash) {
            require(name);
        }
    }
    if (unsigned_names.empty()) {
        return std::nullopt;
    }
    return s3_errors::AccessDenied(
               "There were headers present in the request which were not signed")
        .WithField("HeadersNotSigned", std::move(unsigned_names));
}

std::string S3Signature::Canonical(bool path_as_received) const {
    std::string canonical;
    canonical.reserve(512);
    canonical += request_.method;
    canonical += '\n';
    if (path_as_received) {
        canonical += request_.path;
    } else {
        AppendPathEncodedOnce(canonical, request_.path);
    }
    canonical += '\n';
    AppendQuery(canonical, request_.query, presigned_ ? std::string_view("X-Amz-Signature") : "");
    canonical += '\n';
    AppendHeaders(canonical, request_.headers, signed_headers_);
    canonical += '\n';
    canonical += signed_headers_;
    canonical += '\n';
    canonical += payload_text_;
    return canonical;
}

std::optional<Error> S3Signature::Verify(std::string_view secret, WallClock::time_point now) {
    if (old_) {
        return VerifyOld(secret, now);
    }
    if (auto error = CheckScope(now)) {
        return error;
    }
    if (auto error = CheckSignedHeaders()) {
        return error;
    }
    const codec::Sha256Digest& key = SigningKeyFor(secret, scope_date_, region_, service_);
    std::string canonical = Canonical(false);
    const auto string_to_sign = [&](std::string_view text) {
        return fmt::format(
            "{}\n{}\n{}\n{}", kSignatureAlgorithm, time_text_, scope_, codec::Sha256Hex(text));
    };
    std::string to_sign = string_to_sign(canonical);
    std::string expected = codec::Hex(codec::HmacSha256(key, to_sign));
    if (!codec::EqualInConstantTime(expected, signature_)) {
        // Some clients encode more or less than AWS says and sign what they send. It means the same
        // object either way.
        if (const std::string received = Canonical(true); received != canonical) {
            expected = codec::Hex(codec::HmacSha256(key, string_to_sign(received)));
        }
    }
    if (!codec::EqualInConstantTime(expected, signature_)) {
        return s3_errors::SignatureDoesNotMatch(
            {.key_id = key_id_,
             .string_to_sign = to_sign,
             .signature = signature_,
             .canonical_request = canonical});
    }
    chunk_signing_.emplace();
    chunk_signing_->key = key;
    chunk_signing_->time_text = time_text_;
    chunk_signing_->scope = scope_;
    chunk_signing_->seed = signature_;
    chunk_signing_->key_id = key_id_;
    return std::nullopt;
}

Error S3Signature::BadRegion() const {
    return Malformed(fmt::format("the region '{}' is wrong; expecting 'us-east-1'", region_))
        .WithField("Region", "us-east-1");
}

Error S3Signature::UnknownKey() const {
    return s3_errors::InvalidAccessKeyId(key_id_);
}

Error S3Signature::BadToken() const {
    return s3_errors::InvalidToken(session_token_);
}

Error S3Signature::ExpiredSession() const {
    return s3_errors::ExpiredToken(session_token_);
}

Result<S3PolicySignature> S3PolicySignature::Read(Fields fields) {
    const auto missing = [](std::string_view name) {
        return s3_errors::InvalidArgument(
            fmt::format(
                "Bucket POST must contain a field named '{}'.  If it is specified, please check "
                "the order of the fields.",
                name),
            name,
            "");
    };
    S3PolicySignature read(std::move(fields));
    const Fields& given = read.fields_;
    if (!given.old_key_id.empty() && given.algorithm.empty()) {
        if (given.old_signature.empty()) {
            return missing("Signature");
        }
        read.key_id_ = given.old_key_id.substr(0, kCredentialBytesMax);
        read.region_ = kDefaultRegionOfOld;
        return read;
    }
    if (given.algorithm.empty()) {
        return missing("X-Amz-Algorithm");
    }
    if (given.algorithm != kSignatureAlgorithm) {
        return s3_errors::InvalidArgument(
            "X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\"",
            "X-Amz-Algorithm",
            given.algorithm);
    }
    if (given.credential.empty()) {
        return missing("X-Amz-Credential");
    }
    if (given.date.empty()) {
        return missing("X-Amz-Date");
    }
    if (given.signature.empty()) {
        return missing("X-Amz-Signature");
    }
    std::string_view rest = given.credential;
    std::vector<std::string_view> parts;
    while (!rest.empty() && parts.size() < 8) {
        parts.push_back(TakeUntil(rest, '/'));
    }
    const auto time = codec::ParseBasicIso8601(given.date);
    if (parts.size() != 5 || parts[3] != kSigningName || parts[4] != kScopeTerminator ||
        given.credential.size() > kCredentialBytesMax || !time.ok() ||
        !given.date.starts_with(parts[1]) || parts[1].size() != 8) {
        return s3_errors::InvalidArgument(
            fmt::format(
                "Error parsing the X-Amz-Credential parameter; the Credential is mal-formed; "
                "expecting {}.",
                kCredentialForm),
            "X-Amz-Credential",
            given.credential);
    }
    read.key_id_ = parts[0];
    read.scope_date_ = parts[1];
    read.region_ = parts[2];
    return read;
}

std::optional<Error> S3PolicySignature::Verify(
    std::string_view secret, WallClock::time_point /*now*/) {
    const bool old = scope_date_.empty();
    const std::string& given = old ? fields_.old_signature : fields_.signature;
    const std::string expected =
        old ? codec::Base64Encode(codec::HmacSha1(secret, fields_.policy))
            : codec::Hex(codec::HmacSha256(
                  SigningKeyFor(secret, scope_date_, region_, kSigningName), fields_.policy));
    if (codec::EqualInConstantTime(expected, given)) {
        return std::nullopt;
    }
    return s3_errors::SignatureDoesNotMatch(
        {.key_id = key_id_,
         .string_to_sign = fields_.policy,
         .signature = given,
         .canonical_request = {}});
}

Error S3PolicySignature::BadRegion() const {
    return s3_errors::InvalidArgument(
        "Error parsing the X-Amz-Credential parameter; the region is no region.",
        "X-Amz-Credential",
        fields_.credential);
}

Error S3PolicySignature::UnknownKey() const {
    return s3_errors::InvalidAccessKeyId(key_id_);
}

Error S3PolicySignature::BadToken() const {
    return s3_errors::InvalidToken(fields_.security_token);
}

Error S3PolicySignature::ExpiredSession() const {
    return s3_errors::ExpiredToken(fields_.security_token);
}

}  // namespace hearth::aws
