#include "vmm/mmds/metadata_service.h"

#include "vmm/observe/metrics.h"

#include <fmt/format.h>

#include <charconv>

namespace hearth::vmm {
namespace {

constexpr std::string_view kTokenPath = "/latest/api/token";
constexpr std::string_view kForwardedFor = "X-Forwarded-For";
constexpr std::string_view kTokenHeaders[] = {"X-metadata-token", "X-aws-ec2-metadata-token"};
constexpr std::string_view kTtlHeaders[] = {
    "X-metadata-token-ttl-seconds", "X-aws-ec2-metadata-token-ttl-seconds"};

HttpResponse Text(int status, std::string body) {
    return HttpResponse{.status = status, .body = std::move(body), .content_type = "text/plain"};
}

const std::string* AnyHeader(
    const HttpRequest& request, const std::string_view (&names)[2], std::string_view& found) {
    for (const auto name : names) {
        if (const auto* value = request.Header(name)) {
            found = name;
            return value;
        }
    }
    return nullptr;
}

// "//" is "/" however often it is there.
std::string WithoutDoubleSlashes(std::string_view path) {
    std::string result;
    for (const char c : path) {
        if (c != '/' || !result.ends_with('/')) {
            result += c;
        }
    }
    return result;
}

bool WantsJson(const HttpRequest& request) {
    const auto* accept = request.Header("Accept");
    return accept != nullptr && accept->contains("application/json");
}

HttpResponse NotFound(const HttpRequest& request) {
    return Text(404, fmt::format("Resource not found: {}.", request.path));
}

HttpResponse Get(const MmdsDataStore& store, const HttpRequest& request) {
    const bool json = !store.config.imds_compat && WantsJson(request);
    auto value = store.Read(
        WithoutDoubleSlashes(request.path), json ? MmdsFormat::kJson : MmdsFormat::kImds);
    if (!value.ok()) {
        return value.error().kind() == Error::Kind::kNotFound
                   ? NotFound(request)
                   : Text(value.error().http_status(), value.error().message());
    }
    return HttpResponse{
        .status = 200,
        .body = std::move(*value),
        .content_type = json ? "application/json" : "text/plain"};
}

HttpResponse PutToken(MmdsDataStore& store, const HttpRequest& request, std::uint64_t now_ns) {
    // A request that came through a proxy is what tokens are there to stop.
    if (request.Header(kForwardedFor) != nullptr) {
        return Text(
            400,
            fmt::format("Invalid header. Reason: Unsupported header name. Key: {}", kForwardedFor));
    }
    if (WithoutDoubleSlashes(request.path) != kTokenPath) {
        return NotFound(request);
    }
    std::string_view name;
    const auto* ttl = AnyHeader(request, kTtlHeaders, name);
    if (ttl == nullptr) {
        return Text(
            400,
            "Token time to live value not found. Use `X-metadata-token-ttl-seconds` or "
            "`X-aws-ec2-metadata-token-ttl-seconds` header to specify the token's lifetime.");
    }
    std::uint32_t seconds = 0;
    const auto [end, error] = std::from_chars(ttl->data(), ttl->data() + ttl->size(), seconds);
    if (error != std::errc() || end != ttl->data() + ttl->size()) {
        return Text(
            400,
            fmt::format("Invalid header. Reason: Invalid value. Key:{}; Value:{}", name, *ttl));
    }
    auto token = store.tokens.Generate(seconds, now_ns);
    if (!token.ok()) {
        return Text(400, token.error().message());
    }
    return Text(200, std::move(*token));
}

}  // namespace

HttpResponse AnswerMetadataRequest(
    MmdsDataStore& store, const HttpRequest& request, std::uint64_t now_ns) {
    static Counter& no_token = metrics::Get("mmds", "rx_no_token");
    static Counter& invalid_token = metrics::Get("mmds", "rx_invalid_token");
    if (request.path.empty()) {
        return Text(400, "Invalid URI.");
    }
    if (request.method == "PUT") {
        return PutToken(store, request, now_ns);
    }
    if (request.method != "GET") {
        auto response = Text(405, "Not allowed HTTP method.");
        response.allow = "GET, PUT";
        return response;
    }
    // Version 1 counts what version 2 would have refused.
    const bool checked = store.config.version == MmdsVersion::kV2;
    std::string_view name;
    const auto* token = AnyHeader(request, kTokenHeaders, name);
    if (token == nullptr) {
        no_token.Add();
        if (checked) {
            return Text(
                401,
                "No MMDS token provided. Use `X-metadata-token` or `X-aws-ec2-metadata-token` "
                "header to specify the session token.");
        }
    } else if (!store.tokens.IsValid(*token, now_ns)) {
        invalid_token.Add();
        if (checked) {
            return Text(401, "MMDS token not valid.");
        }
    }
    return Get(store, request);
}

}  // namespace hearth::vmm
