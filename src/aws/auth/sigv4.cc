#include "aws/auth/sigv4.h"

#include "aws/auth/canonical_request.h"
#include "codec/crypto/crypto.h"
#include "codec/timestamp/timestamp.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>

namespace hearth::aws {
namespace {

using Kind = SignatureProblem::Kind;

constexpr std::string_view kAlgorithm = kSignatureAlgorithm;
constexpr std::string_view kTerminator = kScopeTerminator;
constexpr std::string_view kMismatch =
    "The request signature we calculated does not match the signature you provided. Check your "
    "AWS Secret Access Key and signing method. Consult the service documentation for details.";

using Headers = std::span<const std::pair<std::string, std::string>>;

const std::string* FindHeader(Headers headers, std::string_view name) {
    for (const auto& [header, value] : headers) {
        if (header == name) {
            return &value;
        }
    }
    return nullptr;
}

std::string Sign(
    const SignedParts& request,
    std::string_view signed_headers,
    std::string_view time_text,
    std::string_view scope,
    const codec::Sha256Digest& key) {
    const std::string canonical = CanonicalRequest(request, signed_headers);
    std::string to_sign;
    to_sign.reserve(192);
    to_sign.append(kAlgorithm).append("\n").append(time_text).append("\n").append(scope);
    to_sign.append("\n").append(codec::Sha256Hex(canonical));
    return codec::Hex(codec::HmacSha256(key, to_sign));
}

SignatureProblem Incomplete(std::string message) {
    return {Kind::kIncomplete, std::move(message)};
}

// AWS repeats the header only as a hash, because people put secrets into it by mistake.
std::string HashedHeader(std::string_view header) {
    return "(Hashed with SHA-256 and encoded with Base64) Authorization=" +
           codec::Sha256Base64(header);
}

}  // namespace

std::optional<CredentialScope> PeekScope(std::string_view authorization_header) {
    static constexpr std::string_view kField = "Credential=";
    const size_t at = authorization_header.find(kField);
    if (!authorization_header.starts_with(kAlgorithm) || at == std::string_view::npos) {
        return std::nullopt;
    }
    std::string_view rest = authorization_header.substr(at + kField.size());
    rest = rest.substr(0, rest.find_first_of(", "));
    CredentialScope scope;
    scope.access_key_id = TakeUntil(rest, '/');
    TakeUntil(rest, '/');
    scope.region = TakeUntil(rest, '/');
    scope.service = TakeUntil(rest, '/');
    return scope;
}

std::string CanonicalRequest(const SignedParts& request, std::string_view signed_headers) {
    std::string canonical;
    canonical.reserve(512);
    canonical += request.method;
    canonical += '\n';
    AppendNormalPath(canonical, request.path);
    canonical += '\n';
    AppendQuery(canonical, request.query, {});
    canonical += '\n';
    AppendHeaders(canonical, request.headers, signed_headers);
    canonical += '\n';
    canonical += signed_headers;
    canonical += '\n';
    canonical += codec::Sha256Hex(request.body);
    return canonical;
}

std::expected<Authorization, SignatureProblem> ParseAuthorization(const SignedParts& request) {
    const std::string* header = FindHeader(request.headers, "authorization");
    if (header == nullptr || header->empty()) {
        return std::unexpected(
            SignatureProblem{Kind::kMissing, "Request is missing Authentication Token"});
    }
    Authorization authorization;
    std::string_view rest = Trim(*header);
    const std::string_view algorithm = rest.substr(0, rest.find(' '));
    rest.remove_prefix(algorithm.size());
    if (algorithm.starts_with("AWS4-") && algorithm != kAlgorithm) {
        return std::unexpected(Incomplete(fmt::format(
            "Unsupported AWS 'algorithm': '{}' (only AWS4-HMAC-SHA256 for now). ",
            algorithm.substr(0, 64))));
    }
    std::string_view credential;
    bool has_signed_headers = false;
    if (algorithm == kAlgorithm) {
        rest = Trim(rest);
        while (!rest.empty()) {
            std::string_view field = Trim(TakeUntil(rest, ','));
            if (field.empty()) {
                continue;
            }
            const size_t equal_sign = field.find('=');
            if (equal_sign == std::string_view::npos) {
                return std::unexpected(Incomplete(fmt::format(
                    "Invalid key=value pair (missing equal-sign) in Authorization header {}.",
                    HashedHeader(*header))));
            }
            const std::string_view name = field.substr(0, equal_sign);
            const std::string_view value = field.substr(equal_sign + 1);
            if (name == "Credential") {
                credential = value;
            } else if (name == "SignedHeaders") {
                authorization.signed_headers = value;
                has_signed_headers = !value.empty();
            } else if (name == "Signature") {
                authorization.signature = value;
            }
        }
    }
    const std::string* date = FindHeader(request.headers, "x-amz-date");
    if (date == nullptr) {
        date = FindHeader(request.headers, "date");
    }
    std::string missing;
    if (credential.empty()) {
        missing += "Authorization header requires 'Credential' parameter. ";
    }
    if (authorization.signature.empty()) {
        missing += "Authorization header requires 'Signature' parameter. ";
    }
    if (!has_signed_headers) {
        missing += "Authorization header requires 'SignedHeaders' parameter. ";
    }
    if (date == nullptr || date->empty()) {
        missing +=
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ";
    }
    if (!missing.empty()) {
        return std::unexpected(Incomplete(missing + HashedHeader(*header)));
    }
    auto time = codec::ParseBasicIso8601(*date);
    if (!time.ok()) {
        time = codec::ParseRfc822(*date);
    }
    if (!time.ok()) {
        return std::unexpected(Incomplete(fmt::format(
            "Date must be in ISO-8601 'basic format'. Got '{}'. See "
            "http://en.wikipedia.org/wiki/ISO_8601",
            date->substr(0, 64))));
    }
    authorization.time = *time;
    authorization.time_text = codec::FormatBasicIso8601(authorization.time);
    if (!IsSigned(authorization.signed_headers, "host")) {
        return std::unexpected(SignatureProblem{
            Kind::kDoesNotMatch,
            "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."});
    }
    std::string_view parts = credential;
    authorization.access_key_id = TakeUntil(parts, '/');
    authorization.scope = parts;
    authorization.scope_date = TakeUntil(parts, '/');
    authorization.region = TakeUntil(parts, '/');
    authorization.service = TakeUntil(parts, '/');
    authorization.terminator = TakeUntil(parts, '/');
    if (authorization.terminator.empty() || !parts.empty() || credential.size() > 512) {
        return std::unexpected(Incomplete(fmt::format(
            "Credential must have exactly 5 slash-delimited elements, e.g. "
            "keyid/date/region/service/term, got '{}'",
            credential.substr(0, 128))));
    }
    if (const std::string* token = FindHeader(request.headers, "x-amz-security-token")) {
        authorization.session_token = *token;
    }
    return authorization;
}

std::optional<SignatureProblem> CheckTimeAndScope(
    const Authorization& authorization, std::string_view service, WallClock::time_point now) {
    const auto text = [](WallClock::time_point time) { return codec::FormatBasicIso8601(time); };
    if (authorization.time + kSignatureSkewMax < now) {
        return SignatureProblem{
            Kind::kDoesNotMatch,
            fmt::format(
                "Signature expired: {} is now earlier than {} ({} - 5 min.)",
                authorization.time_text,
                text(now - kSignatureSkewMax),
                text(now))};
    }
    if (authorization.time > now + kSignatureSkewMax) {
        return SignatureProblem{
            Kind::kDoesNotMatch,
            fmt::format(
                "Signature not yet current: {} is still later than {} ({} + 5 min.)",
                authorization.time_text,
                text(now + kSignatureSkewMax),
                text(now))};
    }
    std::string problems;
    if (authorization.region.empty()) {
        problems += "Credential should be scoped to a valid region. ";
    }
    if (authorization.service != service) {
        problems += fmt::format("Credential should be scoped to correct service: '{}'. ", service);
    }
    if (authorization.terminator != kTerminator) {
        problems += fmt::format(
            "Credential should be scoped with a valid terminator: 'aws4_request', not '{}'. ",
            authorization.terminator);
    }
    if (!std::string_view(authorization.time_text).starts_with(authorization.scope_date) ||
        authorization.scope_date.size() != 8) {
        problems += fmt::format(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from "
            "HTTP: '{}' != '{}', from '{}'. ",
            authorization.scope_date,
            authorization.time_text.substr(0, 8),
            authorization.time_text);
    }
    if (!problems.empty()) {
        return SignatureProblem{Kind::kDoesNotMatch, problems};
    }
    return std::nullopt;
}

std::optional<SignatureProblem> CheckSignature(
    const SignedParts& request, const Authorization& authorization, std::string_view secret) {
    const codec::Sha256Digest& key = SigningKeyFor(
        secret, authorization.scope_date, authorization.region, authorization.service);
    const std::string expected = Sign(
        request, authorization.signed_headers, authorization.time_text, authorization.scope, key);
    if (!codec::EqualInConstantTime(expected, authorization.signature)) {
        return SignatureProblem{Kind::kDoesNotMatch, std::string(kMismatch)};
    }
    return std::nullopt;
}

std::vector<std::pair<std::string, std::string>> SignRequest(
    const SignedParts& request,
    const SigningKey& key,
    std::string_view region,
    std::string_view service,
    WallClock::time_point now) {
    const std::string time_text = codec::FormatBasicIso8601(now);
    const std::string date = time_text.substr(0, 8);
    std::vector<std::pair<std::string, std::string>> added;
    added.emplace_back("x-amz-date", time_text);
    if (!key.session_token.empty()) {
        added.emplace_back("x-amz-security-token", key.session_token);
    }
    std::vector<std::pair<std::string, std::string>> headers(
        request.headers.begin(), request.headers.end());
    headers.insert(headers.end(), added.begin(), added.end());
    std::vector<std::string> names;
    for (const auto& [name, value] : headers) {
        names.push_back(name);
    }
    std::ranges::sort(names);
    names.erase(std::ranges::unique(names).begin(), names.end());
    const std::string signed_headers = fmt::format("{}", fmt::join(names, ";"));
    SignedParts parts = request;
    parts.headers = headers;
    const std::string scope = fmt::format("{}/{}/{}/{}", date, region, service, kTerminator);
    const std::string signature = Sign(
        parts,
        signed_headers,
        time_text,
        scope,
        SigningKeyFor(key.secret_access_key, date, region, service));
    added.emplace_back(
        "authorization",
        fmt::format(
            "{} Credential={}/{}, SignedHeaders={}, Signature={}",
            kAlgorithm,
            key.access_key_id,
            scope,
            signed_headers,
            signature));
    return added;
}

}  // namespace hearth::aws
