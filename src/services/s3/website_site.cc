#include "services/s3/website_site.h"

#include "aws/auth/policy/policy.h"
#include "aws/protocol/rest_xml.h"
#include "codec/timestamp/timestamp.h"
#include "codec/uri/uri.h"
#include "services/s3/acl.h"
#include "services/s3/byte_range.h"
#include "services/s3/conditionals.h"
#include "services/s3/control_errors.h"
#include "services/s3/control_operations.h"
#include "services/s3/customer_key.h"
#include "services/s3/errors.h"
#include "services/s3/read_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace hearth::s3 {
namespace {

constexpr std::string_view kLabel = "s3-website";
// Where AWS writes a dash before the region instead of a dot.
constexpr std::array<std::string_view, 8> kDashedRegions = {
    "us-east-1",
    "us-west-1",
    "us-west-2",
    "ap-northeast-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "eu-west-1",
    "sa-east-1"};
constexpr int kReadAttemptsMax = 10;
// A page in the path form has the origin of Hearth's own API. The browser gives it an origin of its
// own with this, so it is as foreign to the API as it should be.
constexpr std::string_view kPathFormPolicy =
    "sandbox allow-downloads allow-forms allow-modals allow-popups allow-scripts";

std::string EscapeHtml(std::string_view text) {
    std::string escaped;
    for (const char c : text) {
        switch (c) {
            case '<':
                escaped += "&lt;";
                break;
            case '>':
                escaped += "&gt;";
                break;
            case '&':
                escaped += "&amp;";
                break;
            case '"':
                escaped += "&quot;";
                break;
            default:
                escaped += c;
        }
    }
    return escaped;
}

// S3's own page of an error.
std::string ErrorPage(const Error& error, std::string_view request_id) {
    const std::string title =
        fmt::format("{} {}", error.http_status(), http::ReasonPhrase(error.http_status()));
    std::string page = fmt::format(
        "<html>\n<head><title>{}</title></head>\n<body>\n<h1>{}</h1>\n<ul>\n<li>Code: {}</li>\n"
        "<li>Message: {}</li>\n",
        title,
        title,
        EscapeHtml(error.code()),
        EscapeHtml(error.message()));
    for (const auto& [name, value] : error.fields()) {
        page += fmt::format("<li>{}: {}</li>\n", EscapeHtml(name), EscapeHtml(value));
    }
    page += fmt::format(
        "<li>RequestId: {}</li>\n<li>HostId: {}</li>\n</ul>\n<hr/>\n</body>\n</html>\n",
        EscapeHtml(request_id),
        aws::protocol::HostId(request_id));
    return page;
}

http::Response Redirect(int status, std::string location) {
    http::Response response;
    response.status = status;
    response.headers.emplace_back("Location", std::move(location));
    return response;
}

std::optional<std::string> Optional(std::string_view text) {
    return text.empty() ? std::nullopt : std::optional<std::string>(text);
}

std::optional<WallClock::time_point> Time(std::string_view header) {
    auto parsed = codec::ParseRfc822(header);
    return header.empty() || !parsed.ok() ? std::nullopt
                                          : std::optional<WallClock::time_point>(*parsed);
}

bool IsNotThere(const Error& error) {
    return error.http_status() == 404 || error.http_status() == 405;
}

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

struct WebsiteSite::Visit {
    aws::SiteRequest& request;
    BucketHandle bucket;
    // As asked for, decoded, without its first slash.
    std::string path;
    // What the path means.
    std::string key;

    bool is_head() const { return request.method == "HEAD"; }

    std::string_view scheme() const { return request.secure ? "https" : "http"; }

    // With its port, and in the path form with what stands before the site's own paths.
    std::string host() const {
        std::string host(request.Header("host"));
        if (request.by_path) {
            host += fmt::format("/_hearth/{}/{}", kLabel, request.id);
        }
        return host;
    }
};

WebsiteSite::WebsiteSite(const ServiceDeps& deps, S3Store& store, Open open)
    : deps_(deps), store_(store), open_(std::move(open)) {
    deps_.sites.Add(std::string(kLabel), *this);
    for (const std::string_view region : kDashedRegions) {
        deps_.sites.Add(fmt::format("{}-{}", kLabel, region), *this);
    }
}

Task<http::Response> WebsiteSite::Serve(aws::SiteRequest& request) {
    Visit visit{request, nullptr, {}, {}};
    auto page = co_await ServePage(visit);
    http::Response response;
    if (page.ok()) {
        response = *std::move(page);
    } else {
        const Error& error = page.error();
        response.status = error.http_status();
        response.headers.emplace_back("Content-Type", "text/html; charset=utf-8");
        response.headers.emplace_back("x-amz-error-code", error.code());
        response.headers.emplace_back("x-amz-error-message", error.message());
        response.body = ErrorPage(error, request.request_id);
        if (visit.is_head()) {
            response.stream_bytes = response.body.size();
            response.body.clear();
        }
    }
    response.headers.emplace_back("x-amz-request-id", request.request_id);
    response.headers.emplace_back("x-amz-id-2", aws::protocol::HostId(request.request_id));
    if (request.by_path) {
        response.headers.emplace_back("Content-Security-Policy", kPathFormPolicy);
    }
    const std::string_view origin = request.Header("origin");
    if (!origin.empty() && visit.bucket != nullptr && visit.bucket->compiled.cors != nullptr) {
        if (auto headers = visit.bucket->compiled.cors->Answer(origin, request.method, "")) {
            for (auto& header : *headers) {
                response.headers.push_back(std::move(header));
            }
        }
    }
    co_return response;
}

Task<Result<http::Response>> WebsiteSite::ServePage(Visit& visit) {
    const aws::SiteRequest& request = visit.request;
    // 1. Sites are read.
    if (request.method != "GET" && !visit.is_head()) {
        co_return errors::MethodNotAllowed(request.method, "OBJECT");
    }
    // 2. The bucket, which must be a site.
    HEARTH_CO_TRY(visit.bucket, co_await store_.FindBucket(request.id));
    const auto site = visit.bucket->compiled.website;
    if (site == nullptr) {
        co_return errors::NoSuchWebsiteConfiguration(visit.bucket->record.name);
    }
    // 3. All of it may be elsewhere.
    if (site->redirect_all) {
        co_return Redirect(
            301,
            fmt::format(
                "{}://{}{}{}{}",
                site->redirect_protocol.empty() ? visit.scheme()
                                                : std::string_view(site->redirect_protocol),
                site->redirect_host,
                request.path,
                request.query.empty() ? "" : "?",
                request.query));
    }
    auto decoded = codec::PercentDecode(request.path.substr(1));
    if (!decoded.ok()) {
        co_return Error(
            Error::Kind::kInvalid, "InvalidURI", "Couldn't parse the specified URI.", 400);
    }
    visit.path = *std::move(decoded);
    visit.key = site->KeyOf(visit.path);
    // 4. Rules that look at the key alone.
    if (const WebsiteRoutingRule* rule = site->Route(visit.path, 0)) {
        co_return Redirect(
            rule->redirect.status,
            RedirectLocation(*rule, visit.scheme(), visit.host(), visit.path));
    }
    // 5. The object, or what stands for it.
    auto found = co_await store_.FindObject(visit.bucket->record, visit.key, std::nullopt);
    if (!found.ok()) {
        co_return co_await ServeMissing(visit, std::move(found).error());
    }
    if (!MayRead(visit, found->record)) {
        co_return co_await ServeMissing(visit, errors::AccessDenied());
    }
    co_return co_await ServeObject(visit, found->record, 200);
}

Task<Result<http::Response>> WebsiteSite::ServeMissing(Visit& visit, Error error) {
    if (error.http_status() >= 500) {
        co_return error;
    }
    const auto site = visit.bucket->compiled.website;
    // A folder asked for without its slash.
    if (IsNotThere(error) && !visit.path.empty() && !visit.path.ends_with('/')) {
        const std::string index = visit.path + "/" + site->index_suffix;
        const auto folder = co_await store_.FindObject(visit.bucket->record, index, std::nullopt);
        if (folder.ok()) {
            const std::string base = visit.request.by_path
                                         ? fmt::format("/_hearth/{}/{}", kLabel, visit.request.id)
                                         : std::string();
            co_return Redirect(
                302, fmt::format("{}/{}/", base, codec::PercentEncode(visit.path, true)));
        }
    }
    if (const WebsiteRoutingRule* rule = site->Route(visit.path, error.http_status())) {
        co_return Redirect(
            rule->redirect.status,
            RedirectLocation(*rule, visit.scheme(), visit.host(), visit.path));
    }
    if (!site->error_key.empty()) {
        const auto page =
            co_await store_.FindObject(visit.bucket->record, site->error_key, std::nullopt);
        if (page.ok() && MayRead(visit, page->record)) {
            co_return co_await ServeObject(visit, page->record, error.http_status());
        }
    }
    co_return error;
}

bool WebsiteSite::MayRead(const Visit& visit, const ObjectRecord& record) const {
    if (!deps_.options.enforce) {
        return true;
    }
    const BucketState& bucket = *visit.bucket;
    const auto& block = bucket.compiled.public_access_block;
    const std::string* policy = bucket.Setting(setting::kPolicy);
    if (policy != nullptr) {
        aws::AccessRequest request;
        request.principal = aws::AccessPrincipal::Anonymous();
        request.action = "s3:GetObject";
        request.resource = ResourceArn(bucket.record.name, record.key);
        request.SetStandardKeys(deps_.wall_clock.Now());
        request.Set("aws:SourceIp", visit.request.peer_address);
        request.Set("aws:SecureTransport", visit.request.secure ? "true" : "false");
        const aws::Verdict verdict = aws::Evaluate(*policy, request);
        if (verdict == aws::Verdict::kExplicitDeny) {
            return false;
        }
        if (verdict == aws::Verdict::kAllow && !(block && block->restrict_public_buckets)) {
            return true;
        }
    }
    if (record.acl.empty() || !bucket.compiled.acls_enabled() ||
        (block && block->ignore_public_acls)) {
        return false;
    }
    const auto acl = Acl::Decode(record.acl);
    return acl.ok() &&
           std::any_of(acl->grants.begin(), acl->grants.end(), [](const AclGrant& grant) {
               return grant.group && grant.grantee == kAllUsers &&
                      (grant.permission == "READ" || grant.permission == "FULL_CONTROL");
           });
}

Task<Result<http::Response>> WebsiteSite::ServeObject(
    Visit& visit, const ObjectRecord& first, int status) {
    const BucketRecord& bucket = visit.bucket->record;
    const aws::SiteRequest& request = visit.request;
    ObjectRecord record = first;
    for (int attempt = 1;; ++attempt) {
        if (status == 200 && record.website_redirect) {
            co_return Redirect(301, *record.website_redirect);
        }
        HEARTH_CO_RETURN_IF_ERROR(CheckReadKey(record, std::nullopt));
        if (IsArchived(record, deps_.cloud_clock.Now())) {
            co_return errors::InvalidObjectState(record.storage_class, record.tier);
        }
        http::Response response;
        response.status = status;
        response.headers.emplace_back("ETag", "\"" + record.etag + "\"");
        response.headers.emplace_back("Last-Modified", codec::FormatRfc822(record.modified));
        ByteRange range{0, record.size};
        if (status == 200) {
            HEARTH_CO_TRY(
                const ReadDecision decision,
                DecideRead(
                    {.if_match = Optional(request.Header("if-match")),
                     .if_none_match = Optional(request.Header("if-none-match")),
                     .if_modified_since = Time(request.Header("if-modified-since")),
                     .if_unmodified_since = Time(request.Header("if-unmodified-since"))},
                    record));
            if (decision == ReadDecision::kNotModified) {
                response.status = 304;
                co_return response;
            }
            if (const std::string_view asked = request.Header("range"); !asked.empty()) {
                HEARTH_CO_TRY(const auto part, ParseRange(asked, record.size));
                if (part) {
                    range = *part;
                    response.status = 206;
                    response.headers.emplace_back(
                        "Content-Range", ContentRange(range, record.size));
                }
            }
        }
        const auto tell = [&response](const char* name, const std::optional<std::string>& value) {
            if (value) {
                response.headers.emplace_back(name, *value);
            }
        };
        response.headers.emplace_back(
            "Content-Type", record.content_type.value_or("binary/octet-stream"));
        tell("Cache-Control", record.cache_control);
        tell("Content-Disposition", record.content_disposition);
        tell("Content-Encoding", record.content_encoding);
        tell("Content-Language", record.content_language);
        tell("Expires", record.expires);
        for (const auto& [name, value] : record.metadata) {
            response.headers.emplace_back("x-amz-meta-" + name, value);
        }
        response.headers.emplace_back("Accept-Ranges", "bytes");
        response.stream_bytes = range.length;
        if (visit.is_head()) {
            co_return response;
        }
        storage::OpenOptions options;
        options.offset = range.offset;
        options.length = range.length;
        auto opened = co_await open_(bucket, record, std::move(options));
        if (opened.ok()) {
            std::shared_ptr<storage::BodySource> source = *std::move(opened);
            response.stream = [source = std::move(source)](http::BodyWriter& writer) {
                return SendAll(source, writer);
            };
            co_return response;
        }
        // Overwritten since its record was read.
        if (opened.error().code() != storage::kBodyGone || attempt >= kReadAttemptsMax) {
            co_return std::move(opened).error();
        }
        const std::string key = record.key;
        HEARTH_CO_TRY(auto again, co_await store_.FindObject(bucket, key, std::nullopt));
        record = std::move(again.record);
    }
}

}  // namespace hearth::s3
