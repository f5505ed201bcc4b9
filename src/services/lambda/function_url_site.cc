#include "services/lambda/function_url_site.h"

#include "aws/auth/policy/policy.h"
#include "base/log.h"
#include "codec/json/json.h"
#include "services/lambda/function_url_cors.h"
#include "services/lambda/http_event.h"
#include "services/lambda/lambda_service.h"
#include "services/lambda/limits.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>

namespace hearth::lambda {
namespace {

constexpr std::string_view kSigningName = "lambda";
constexpr std::string_view kForbidden =
    "Forbidden. For troubleshooting Function URL authorization issues, see: "
    "https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html";
constexpr int kBadGateway = 502;

// A page that a function serves in the path form has the origin of Hearth's own API. The browser
// gives it an origin of its own with this, so it is as foreign to the API as it should be.
constexpr std::string_view kPathFormPolicy =
    "sandbox allow-downloads allow-forms allow-modals allow-popups allow-scripts";

struct Endpoint {
    std::string_view scheme;
    std::string_view host;
    std::string_view port;  // with its colon
};

Endpoint SplitEndpoint(std::string_view text) {
    Endpoint endpoint{"http", {}, {}};
    if (const size_t end = text.find("://"); end != std::string_view::npos) {
        endpoint.scheme = text.substr(0, end);
        text.remove_prefix(end + 3);
    }
    text = text.substr(0, text.find('/'));
    const size_t bracket = text.find(']');
    const size_t colon = text.find(':', bracket == std::string_view::npos ? 0 : bracket);
    endpoint.host = text.substr(0, colon);
    if (colon != std::string_view::npos) {
        endpoint.port = text.substr(colon);
    }
    return endpoint;
}

// Nothing can stand below an address.
bool IsAddress(std::string_view host) {
    return host.starts_with('[') || host.find_first_not_of("0123456789.") == std::string_view::npos;
}

std::string Domain(std::string_view id, const Region& region, std::string_view parent) {
    return fmt::format("{}.{}.{}.{}", id, kFunctionUrlLabel, region.text(), parent);
}

// A URL exists in its region alone.
bool IsInRegion(const aws::SiteRequest& request, const Region& region) {
    if (request.by_path) {
        return true;
    }
    const size_t begin = request.id.size() + kFunctionUrlLabel.size() + 2;
    const size_t end = std::min(request.host.find('.', begin), request.host.size());
    return request.host.substr(begin, end - begin) == region.text();
}

http::Response Answer(int status, std::string_view type, std::string body) {
    http::Response response;
    response.status = status;
    response.headers.emplace_back("Content-Type", "application/json");
    if (!type.empty()) {
        response.headers.emplace_back("x-amzn-ErrorType", type);
    }
    response.body = std::move(body);
    return response;
}

http::Response Refusal(int status, std::string_view type, std::string_view message) {
    codec::JsonWriter json;
    json.BeginObject();
    json.Key("Message");
    json.String(message);
    json.EndObject();
    return Answer(status, type, json.Take());
}

http::Response Forbidden() {
    return Refusal(403, "AccessDeniedException", kForbidden);
}

// What AWS says of an id that nobody has, and of one that nobody has any more.
http::Response NobodysUrl() {
    return Answer(403, "AccessDeniedException", R"({"Message":null})");
}

http::Response TooLarge() {
    return Refusal(
        413,
        "RequestEntityTooLargeException",
        fmt::format(
            "Request must be smaller than {} bytes for the InvokeFunction operation",
            limits::kInvokePayloadBytesMax));
}

// The function failed, or answered what is no answer.
http::Response FunctionFailed() {
    return Answer(kBadGateway, {}, "Internal Server Error");
}

// The call could not be made, or not so.
http::Response ToResponse(const Error& error, std::string_view request_id) {
    const int status = error.http_status();
    if (error.kind() == Error::Kind::kInternal || status >= 500 || status < 400) {
        // Our own troubles; a refusal for lack of room is a metric, not a line per request.
        if (error.kind() != Error::Kind::kUnavailable || error.code().empty()) {
            log::Warn(
                "{} function URL: {} ({}:{})",
                request_id,
                error.message(),
                error.where().file_name(),
                error.where().line());
        }
        return status == 503 || error.kind() == Error::Kind::kUnavailable
                   ? Refusal(503, "ServiceUnavailableException", "Service Unavailable")
                   : FunctionFailed();
    }
    if (error.kind() != Error::Kind::kThrottled) {
        return Refusal(status, error.code(), error.message());
    }
    // As Invoke's answer: clients look at the reason.
    codec::JsonWriter json;
    json.BeginObject();
    for (const auto& [name, value] : error.fields()) {
        json.Key(name);
        json.String(value);
    }
    json.Key("message");
    json.String(error.message());
    json.EndObject();
    http::Response response = Answer(status, error.code(), json.Take());
    response.headers.emplace_back("Retry-After", "1");
    return response;
}

std::string ForwardedPort(const aws::SiteRequest& request) {
    const Endpoint endpoint = SplitEndpoint(request.Header("host"));
    if (endpoint.port.size() > 1) {
        return std::string(endpoint.port.substr(1));
    }
    return request.secure ? "443" : "80";
}

void SetHeader(HttpHeaders& headers, std::string_view name, std::string value) {
    std::erase_if(headers, [&](const auto& header) { return header.first == name; });
    headers.emplace_back(name, std::move(value));
}

// An answer that flows, from its first bytes on.
Task<Status> WriteOn(
    http::BodyWriter& writer, std::string first, std::shared_ptr<StreamedInvocation> stream) {
    // The head goes out now, whenever the body follows.
    HEARTH_CO_RETURN_IF_ERROR(co_await writer.Write(first));
    for (;;) {
        HEARTH_CO_TRY(const std::string bytes, co_await stream->Read());
        if (bytes.empty()) {
            break;
        }
        HEARTH_CO_RETURN_IF_ERROR(co_await writer.Write(bytes));
    }
    if (!stream->end().error_code.empty()) {
        // The client must not take half an answer for a whole one.
        co_return hearth::errors::Unavailable("the function failed in the middle of its answer");
    }
    co_return Status();
}

}  // namespace

std::string FunctionUrlText(std::string_view endpoint, std::string_view id, const Region& region) {
    const Endpoint at = SplitEndpoint(endpoint);
    const std::string host = http::LowerCase(at.host);
    const bool here = host.empty() || host == "localhost" || host.ends_with(".localhost") ||
                      host.size() > 100 || IsAddress(host);
    return fmt::format(
        "{}://{}{}/", at.scheme, Domain(id, region, here ? "localhost" : host), at.port);
}

// One request to one URL.
struct FunctionUrlSite::Visit {
    aws::SiteRequest& request;
    FunctionUrlStore::Found url;
    std::string domain;
    std::string function_arn;
    std::string trace_root;
};

FunctionUrlSite::FunctionUrlSite(LambdaService& service, aws::Metrics& metrics)
    : service_(service), answers_([&] {
          const auto counter = [&](const char* status) {
              return metrics.Counter(
                  "hearth_lambda_url_requests_total",
                  "Requests to function URLs by the status of their answer.",
                  {{"status", status}});
          };
          return std::array{counter("2xx"), counter("3xx"), counter("4xx"), counter("5xx")};
      }()) {}

Task<http::Response> FunctionUrlSite::Serve(aws::SiteRequest& request) {
    http::Response response;
    auto found = co_await service_.urls_.FindById(request.id);
    if (found.ok() && *found) {
        // A function made anew under the name of a deleted one has no part in its URLs.
        auto head = co_await service_.store_.FindHead((*found)->owner.key);
        if (!head.ok()) {
            found = std::move(head).error();
        } else if (
            !*head || (*head)->id != (*found)->owner.function_id ||
            !IsInRegion(request, (*found)->owner.key.region)) {
            found = std::optional<FunctionUrlStore::Found>();
        }
    }
    if (!found.ok()) {
        response = ToResponse(found.error(), request.request_id);
    } else if (!*found) {
        response = NobodysUrl();
    } else {
        Visit visit{.request = request, .url = **std::move(found)};
        response = co_await ServeUrl(visit);
        const auto& cors = visit.url.record.cors;
        if (cors && request.method != "OPTIONS") {
            for (auto& header : CorsAnswerHeaders(*cors, request.Header("origin"))) {
                response.headers.push_back(std::move(header));
            }
        }
        if (!visit.trace_root.empty()) {
            response.headers.emplace_back(
                "X-Amzn-Trace-Id", fmt::format("root={};sampled=0", visit.trace_root));
        }
    }
    response.headers.emplace_back("x-amzn-RequestId", request.request_id);
    if (request.by_path) {
        response.headers.emplace_back("Content-Security-Policy", kPathFormPolicy);
    }
    const int digit = std::clamp(response.status / 100, 2, 5);
    answers_[static_cast<size_t>(digit - 2)].Add();
    co_return response;
}

Task<http::Response> FunctionUrlSite::ServeUrl(Visit& visit) {
    aws::SiteRequest& request = visit.request;
    const FunctionUrlOwner& owner = visit.url.owner;
    const FunctionUrlRecord& url = visit.url.record;
    visit.function_arn =
        FunctionArn(owner.key.account, owner.key.region, owner.key.name, owner.alias);
    visit.domain = request.by_path ? Domain(url.id, owner.key.region, "localhost") : request.host;

    // 1. Preflights are answered here, for who they ask for has not signed anything yet.
    if (url.cors && request.method == "OPTIONS") {
        http::Response response = Answer(200, {}, {});
        const CorsQuestion question{
            .origin = request.Header("origin"),
            .method = request.Header("access-control-request-method"),
            .headers = request.Header("access-control-request-headers")};
        for (auto& header : CorsPreflightHeaders(*url.cors, question)) {
            response.headers.push_back(std::move(header));
        }
        co_return response;
    }

    // 2. Who may call, as far as the head tells; before a body is read.
    const bool is_signed = url.auth_type != "NONE";
    if (is_signed && request.Header("authorization").empty()) {
        co_return Forbidden();
    }
    if (!is_signed) {
        const auto may_call = co_await MayCall(visit, nullptr);
        if (!may_call.ok()) {
            co_return ToResponse(may_call.error(), request.request_id);
        }
        if (!*may_call) {
            co_return Forbidden();
        }
    }

    // 3. The body.
    auto body = co_await request.ReadBody(limits::kInvokePayloadBytesMax);
    if (!body.ok()) {
        if (body.error().http_status() == 413) {
            co_return TooLarge();
        }
        co_return ToResponse(body.error(), request.request_id);
    }

    // 4. The signature covers it.
    std::optional<aws::SiteCaller> caller;
    if (is_signed) {
        auto identified = co_await request.Identify(kSigningName, *body);
        if (!identified.ok()) {
            co_return ToResponse(identified.error(), request.request_id);
        }
        caller = *std::move(identified);
        if (!caller) {
            co_return Forbidden();
        }
        if (caller->region != owner.key.region.text()) {
            co_return Refusal(
                403, "InvalidSignatureException", "Credential should be scoped to a valid region.");
        }
        const auto may_call = co_await MayCall(visit, &caller->caller);
        if (!may_call.ok()) {
            co_return ToResponse(may_call.error(), request.request_id);
        }
        if (!*may_call) {
            co_return Forbidden();
        }
    }

    // 5. The event.
    HttpEvent event;
    event.url_id = url.id;
    event.domain_name = visit.domain;
    event.method = request.method;
    event.path = request.path;
    event.query = request.query;
    event.minor_version = request.minor_version;
    event.source_ip = request.peer_address;
    event.request_id = request.request_id;
    event.time = service_.deps_.wall_clock.Now();
    event.body = *body;
    event.caller = caller ? &caller->caller : nullptr;
    event.headers = request.headers;
    std::string forwarded(request.Header("x-forwarded-for"));
    forwarded += forwarded.empty() ? "" : ", ";
    forwarded += request.peer_address;
    const std::string port = ForwardedPort(request);
    if (request.by_path) {
        SetHeader(event.headers, "host", visit.domain);
    }
    // Only a front may say how the client's TLS was, and this one does not.
    std::erase_if(
        event.headers, [](const auto& header) { return header.first.starts_with("x-amzn-tls-"); });
    SetHeader(event.headers, "x-forwarded-for", std::move(forwarded));
    SetHeader(event.headers, "x-forwarded-proto", request.secure ? "https" : "http");
    SetHeader(event.headers, "x-forwarded-port", port);
    std::string trace(request.Header("x-amzn-trace-id"));
    if (trace.find("Root=") == std::string::npos) {
        const int64_t seconds =
            std::chrono::duration_cast<std::chrono::seconds>(event.time.time_since_epoch()).count();
        trace = fmt::format("Root=1-{:08x}-{}", seconds, service_.deps_.random.Hex(12));
    }
    const size_t root = trace.find("Root=") + 5;
    visit.trace_root = trace.substr(root, trace.find(';', root) - root);
    SetHeader(event.headers, "x-amzn-trace-id", std::move(trace));
    std::string text = WriteHttpEvent(event);
    if (text.size() > limits::kInvokePayloadBytesMax) {
        co_return TooLarge();
    }
    body = std::string();

    // 6. The call.
    auto response = co_await Call(visit, std::move(text));
    if (!response.ok()) {
        co_return ToResponse(response.error(), request.request_id);
    }
    co_return *std::move(response);
}

Task<Result<bool>> FunctionUrlSite::MayCall(const Visit& visit, const aws::Caller* caller) {
    const FunctionUrlOwner& owner = visit.url.owner;
    HEARTH_CO_TRY(const auto document, co_await service_.store_.FindPolicy(owner.key, owner.alias));
    // What identities may do within their account is not judged yet (DESIGN: policies are stored).
    const bool own_account = caller != nullptr && caller->account == owner.key.account;
    if (!document) {
        co_return own_account;
    }
    aws::AccessRequest access;
    if (caller != nullptr) {
        access.principal.arn = caller->arn;
        access.principal.account = caller->account.text();
    }
    access.resource = visit.function_arn;
    access.SetStandardKeys(service_.deps_.wall_clock.Now());
    access.Set("lambda:FunctionUrlAuthType", visit.url.record.auth_type);
    access.Set("lambda:InvokedViaFunctionUrl", std::string("true"));
    access.Set("aws:SourceIp", visit.request.peer_address);
    access.Set("aws:SecureTransport", std::string(visit.request.secure ? "true" : "false"));
    access.Absent("aws:SourceArn");
    access.Absent("aws:SourceAccount");
    access.Absent("lambda:EventSourceToken");
    const auto policy = aws::Policy::Parse(*document);
    if (!policy.ok()) {
        co_return false;
    }
    // Since October 2025 a URL needs both.
    for (const char* action : {"lambda:InvokeFunctionUrl", "lambda:InvokeFunction"}) {
        access.action = action;
        const aws::Verdict verdict = policy->Evaluate(access);
        if (verdict == aws::Verdict::kExplicitDeny ||
            (verdict == aws::Verdict::kNoMatch && !own_account)) {
            co_return false;
        }
    }
    co_return true;
}

Task<Result<http::Response>> FunctionUrlSite::Call(Visit& visit, std::string event) {
    const FunctionUrlOwner& owner = visit.url.owner;
    auto prepared = co_await service_.PrepareCall(
        {owner.key.account, owner.key.region, owner.key.name, owner.alias});
    if (!prepared.ok()) {
        if (prepared.error().kind() == Error::Kind::kNotFound) {
            co_return NobodysUrl();  // deleted this very moment
        }
        co_return std::move(prepared).error();
    }
    if (!service_.invoker_) {
        co_return hearth::errors::Unavailable("there is nothing to run functions with");
    }
    InvokeRequest request;
    request.request_id = visit.request.request_id;
    request.invoked_function_arn = visit.function_arn;
    request.payload = std::move(event);
    request.snapshot = std::move(prepared->snapshot);
    const std::string_view trace = visit.request.Header("x-amzn-trace-id");
    request.trace_header =
        trace.find("Root=") != std::string_view::npos
            ? std::string(trace)
            : fmt::format(
                  "Root={};Parent={};Sampled=0", visit.trace_root, service_.deps_.random.Hex(8));
    if (visit.url.record.streaming) {
        co_return co_await CallStreaming(
            visit,
            std::move(prepared->resolved.function),
            std::move(request),
            std::move(prepared->code));
    }
    HEARTH_CO_TRY(
        InvokeResult result,
        co_await service_.invoker_->Invoke(
            std::move(prepared->resolved.function), std::move(request)));
    if (!result.function_error.empty()) {
        co_return FunctionFailed();
    }
    auto answer = ReadHttpAnswer(std::move(result.payload));
    if (!answer.ok()) {
        log::Debug("{} function URL: {}", visit.request.request_id, answer.error().message());
        co_return FunctionFailed();
    }
    http::Response response;
    response.status = answer->status;
    response.headers = std::move(answer->headers);
    response.body = std::move(answer->body);
    co_return response;
}

Task<Result<http::Response>> FunctionUrlSite::CallStreaming(
    Visit& visit,
    std::shared_ptr<const FunctionVersion> function,
    InvokeRequest request,
    std::shared_ptr<const CodeDirectory> code) {
    HEARTH_CO_TRY(
        std::unique_ptr<StreamedInvocation> started,
        co_await service_.invoker_->InvokeStreaming(std::move(function), std::move(request)));
    const std::shared_ptr<StreamedInvocation> stream = std::move(started);
    http::Response response;
    std::string first;
    if (stream->content_type() == kHttpIntegrationContentType) {
        HttpPreludeReader prelude;
        for (bool complete = false; !complete;) {
            HEARTH_CO_TRY(const std::string bytes, co_await stream->Read());
            if (bytes.empty()) {
                co_return FunctionFailed();
            }
            const auto taken = prelude.Take(bytes);
            if (!taken.ok()) {
                log::Debug(
                    "{} function URL: {}", visit.request.request_id, taken.error().message());
                co_return FunctionFailed();
            }
            complete = *taken;
        }
        response.status = prelude.answer().status;
        response.headers = std::move(prelude.answer().headers);
        first = prelude.TakeBody();
    } else {
        HEARTH_CO_TRY(first, co_await stream->Read());
        if (first.empty() && !stream->end().error_code.empty()) {
            co_return FunctionFailed();
        }
        const std::string& type = stream->content_type();
        response.headers.emplace_back(
            "Content-Type", type.empty() ? std::string("application/octet-stream") : type);
    }
    // Shared because a std::function is copied. The code stays until the answer has flowed.
    response.stream = [stream, code = std::move(code), first = std::move(first)](
                          http::BodyWriter& writer) { return WriteOn(writer, first, stream); };
    co_return response;
}

}  // namespace hearth::lambda
