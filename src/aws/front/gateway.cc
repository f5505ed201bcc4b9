#include "aws/front/gateway.h"

#include "aws/auth/errors.h"
#include "aws/front/gateway_walk.h"
#include "aws/front/limits.h"
#include "base/log.h"
#include "codec/uri/uri.h"
#include "http/errors.h"

#include <charconv>
#include <chrono>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <vector>

namespace hearth::aws {
namespace {

constexpr std::string_view kAdminPrefix = "/_hearth/";
constexpr std::string_view kAdminSigningName = "hearth";
constexpr size_t kNotHonouredMax = 256;
// Of a body whose length is not stated.
constexpr size_t kPieceBytes = 64 * 1024;

Error NoSuchService(std::string_view name) {
    if (name.empty()) {
        return Error(
            Error::Kind::kNotFound,
            "UnknownOperationException",
            "No service of Hearth takes this request.",
            404);
    }
    return Error(
        Error::Kind::kUnimplemented,
        "NotImplementedException",
        fmt::format("Hearth does not have the service '{}'.", name.substr(0, 64)),
        501);
}

bool IsLoopback(std::string_view host_name) {
    return host_name == "localhost" || host_name == "127.0.0.1" || host_name == "[::1]" ||
           host_name.ends_with(".localhost");
}

// An answer to HEAD has the length of the body that GET would get: as the operation says, or as its
// output says in a header.
std::optional<uint64_t> LengthOfHead(
    const RequestContext& context, const http::Response& response) {
    if (context.response_stream_bytes) {
        return context.response_stream_bytes;
    }
    for (const auto& [name, value] : response.headers) {
        uint64_t length = 0;
        if (http::EqualsIgnoringCase(name, "content-length") &&
            std::from_chars(value.data(), value.data() + value.size(), length).ec == std::errc()) {
            return length;
        }
    }
    return std::nullopt;
}

// Reading a body failed: which of AWS's errors that is.
Error BodyError(const Error& error) {
    return Error(
        error.kind(),
        error.http_status() == 408 ? "RequestTimeoutException" : "MalformedHttpRequestException",
        error.message(),
        error.http_status());
}

}  // namespace

bool Gateway::MayCallUnsigned(std::string_view origin) const {
    const size_t scheme = origin.find("://");
    if (scheme == std::string_view::npos) {
        return false;
    }
    const std::string_view host = origin.substr(scheme + 3);
    // What a site serves is a customer's code and none of ours, also where its name is below
    // .localhost.
    return IsLoopback(HostName(host)) &&
           (parts_.sites == nullptr || !parts_.sites->FindByHost(host));
}

class Gateway::OutsideHandler final : public http::Handler {
  public:
    explicit OutsideHandler(Gateway& gateway) : gateway_(gateway) {}

    Task<http::Response> Handle(http::Request& request) override {
        return gateway_.Handle(request, nullptr);
    }

    http::Response Refuse(int status, std::string_view reason) override {
        return gateway_.Refuse(status, reason);
    }

  private:
    Gateway& gateway_;
};

Gateway::Gateway(Parts parts)
    : parts_(parts),
      router_([&] {
          std::vector<const model::Service*> models;
          for (const ServiceApi* service : parts.dispatcher.services()) {
              models.push_back(&service->Model());
          }
          return models;
      }()),
      admission_(parts.limits),
      outside_(std::make_unique<OutsideHandler>(*this)),
      refused_(parts.metrics.Counter(
          "hearth_requests_refused_total",
          "Requests refused because too much was going on already.")) {}

Gateway::~Gateway() = default;

http::Handler& Gateway::handler() {
    return *outside_;
}

http::Response Gateway::Refuse(int status, std::string_view reason) {
    const Error error = status == 500 ? errors::Internal(std::string(reason))
                                      : Error(
                                            Error::Kind::kInvalid,
                                            "MalformedHttpRequestException",
                                            fmt::format("The request cannot be read: {}.", reason),
                                            status);
    return ToResponse(protocol::EncodeErrorWithoutService(error, parts_.random.Uuid()));
}

// A stated length takes its room at once; a chunked body takes it as it comes.
Task<Result<std::string>> Gateway::ReadBody(
    http::BodyReader& body, uint64_t bytes_max, Room& room) {
    const std::optional<uint64_t> length = body.Length();
    if (length) {
        if (*length <= bytes_max && !room.AddBodyBytes(*length)) {
            refused_.Add();
            co_return TooMuchAtOnce();
        }
        co_return co_await body.ReadAll(bytes_max);
    }
    std::string text;
    std::vector<char> piece(kPieceBytes);
    for (;;) {
        HEARTH_CO_TRY(const size_t read, co_await body.Read(piece));
        if (read == 0) {
            co_return text;
        }
        if (text.size() + read > bytes_max) {
            co_return http::errors::BodyTooLarge(bytes_max);
        }
        if (!room.AddBodyBytes(read)) {
            refused_.Add();
            co_return TooMuchAtOnce();
        }
        text.append(piece.data(), read);
    }
}

Task<http::Response> Gateway::Handle(
    http::Request& request, const DoorIdentity* door, Admission* own_limits) {
    Walk walk;
    walk.began = parts_.monotonic_clock.Now();
    walk.request_id = parts_.random.Uuid();

    // 1. Admit: a place among the requests in flight, before anything is read or allocated.
    Room room{
        .cloud = admission_.Admit(),
        .door = own_limits == nullptr ? Admission::Place() : own_limits->Admit()};
    if (!room.cloud || (own_limits != nullptr && !room.door)) {
        refused_.Add();
        http::Response response = walk.Fail(TooMuchAtOnce());
        response.close = true;
        co_return response;
    }

    http::Response response;
    try {
        response = co_await HandleAdmitted(request, door, room, walk);
    } catch (const std::bad_alloc&) {
        response = walk.Fail(errors::Unavailable("out of memory"));
    }

    // What flows keeps its place until it has flowed.
    if (response.stream) {
        response.stream = [held = std::make_shared<Room>(std::move(room)),
                           write = std::move(response.stream)](http::BodyWriter& writer) {
            return write(writer);
        };
    }

    // 11. Count and log: once, here.
    const auto duration = parts_.monotonic_clock.Now() - walk.began;
    if (walk.operation != nullptr) {
        parts_.dispatcher.Count(*walk.service, *walk.operation, response.status, duration);
    }
    if (log::Enabled(log::Level::kDebug)) {
        log::Debug(
            "{} {} {} {} {} {} {}us",
            walk.request_id,
            request.method,
            request.target.substr(0, request.target.find('?')),
            walk.operation == nullptr ? "-" : walk.operation->name,
            walk.caller_arn.empty() ? "-" : walk.caller_arn,
            response.status,
            std::chrono::duration_cast<std::chrono::microseconds>(duration).count());
    }
    co_return response;
}

Task<http::Response> Gateway::HandleAdmitted(
    http::Request& request, const DoorIdentity* door, Room& room, Walk& walk) {
    // 2. The head as the lower layers want it: names in lower case, path and query apart.
    walk.headers.reserve(request.fields.size());
    for (const http::Field& field : request.fields) {
        walk.headers.emplace_back(http::LowerCase(field.name), field.value);
    }
    const size_t question_mark = request.target.find('?');
    walk.parts.method = request.method;
    walk.parts.path = request.target.substr(0, question_mark);
    if (question_mark != std::string_view::npos) {
        walk.parts.query = request.target.substr(question_mark + 1);
    }
    walk.parts.headers = walk.headers;

    // A customer's own web traffic is no call of an operation: its site answers it.
    if (parts_.sites != nullptr) {
        auto address = parts_.sites->FindByHost(walk.parts.Header("host"));
        if (!address) {
            address = parts_.sites->FindByPath(walk.parts.path);
        }
        if (address) {
            co_return co_await HandleSite(*std::move(address), request, door, room, walk);
        }
    }
    if (walk.parts.path.starts_with(kAdminPrefix)) {
        co_return co_await HandleAdmin(request, door, room, walk);
    }

    // 3. Route: service, and where the head tells, operation.
    const std::optional<CredentialScope> scope = PeekScope(walk.parts.Header("authorization"));
    walk.service = router_.FindByHead(walk.parts, scope);
    if (walk.service != nullptr && walk.service == router_.s3()) {
        // S3 signs heads alone and takes bodies as they flow: gateway_s3.cc, up to step 6.
        co_return co_await HandleS3(request, door, room, walk);
    }
    std::optional<Error> route_error;
    protocol::Match match;
    const auto find_operation = [&] {
        auto found = protocol::FindOperation(*walk.service, walk.parts);
        if (found.ok()) {
            match = *std::move(found);
            walk.operation = match.operation;
        } else {
            route_error = std::move(found).error();
        }
    };
    const bool body_names_operation =
        walk.service == nullptr || walk.service->protocol == model::Protocol::kQuery;
    if (!body_names_operation) {
        find_operation();
    } else if (walk.service == nullptr && scope && !scope->service.empty()) {
        co_return walk.Fail(NoSuchService(scope->service));
    }

    // Who has no signature at all is not worth a body, where every call needs one.
    if (walk.service != nullptr && parts_.authenticator.enforce() &&
        walk.parts.Header("authorization").empty()) {
        const auto problem = ParseAuthorization({.headers = walk.headers});
        co_return walk.Fail(SignatureError(problem.error(), walk.service->protocol));
    }

    // 4. Read the body, under its limit and within the memory for all bodies. A request that was
    //    refused so far is answered without it, and the client never sends it.
    const uint64_t bytes_max =
        walk.service == nullptr ? kAdminBodyBytesMax : BodyBytesMax(*walk.service, walk.operation);
    const std::optional<uint64_t> length = request.body->Length();
    if (length.value_or(0) > bytes_max) {
        co_return walk.Fail(
            walk.service == nullptr ? http::errors::BodyTooLarge(bytes_max)
                                    : BodyTooLarge(*walk.service, walk.operation, bytes_max));
    }
    if (length != 0) {
        auto body = co_await ReadBody(*request.body, bytes_max, room);
        if (!body.ok()) {
            if (body.error().http_status() == 503) {
                co_return walk.Fail(body.error());
            }
            if (body.error().http_status() == 413 && walk.service != nullptr) {
                co_return walk.Fail(BodyTooLarge(*walk.service, walk.operation, bytes_max));
            }
            co_return walk.Fail(BodyError(body.error()));
        }
        walk.body = *std::move(body);
        walk.parts.body = walk.body;
    }
    if (body_names_operation) {
        if (walk.service == nullptr) {
            walk.service = router_.FindByBody(walk.parts);
        }
        if (walk.service == nullptr) {
            co_return walk.Fail(NoSuchService(""));
        }
        find_operation();
    }

    // 5. Verify the signature, over the bytes as received. Before the operation is looked at, so
    //    that who may not call learns nothing.
    const SignedParts signed_parts{
        .method = walk.parts.method,
        .path = walk.parts.path,
        .query = walk.parts.query,
        .headers = walk.headers,
        .body = walk.body};
    auto identity = co_await parts_.authenticator.Identify(
        signed_parts, walk.service->signing_name, walk.service->protocol, door);
    if (!identity.ok()) {
        co_return walk.Fail(identity.error());
    }
    walk.caller_arn = identity->caller.arn;
    const std::string_view origin = walk.parts.Header("origin");
    if (!origin.empty() && !identity->caller.verified && !MayCallUnsigned(origin)) {
        co_return walk.Fail(ForeignPage());
    }
    if (route_error) {
        co_return walk.Fail(*route_error);
    }
    const OperationTable::Entry* entry = parts_.dispatcher.Find(*walk.service, *walk.operation);
    if (entry == nullptr) {
        co_return walk.Fail(protocol::NotImplemented(*walk.service, *walk.operation));
    }

    co_return co_await Perform(
        {.request = request,
         .door = door,
         .room = room,
         .walk = walk,
         .match = match,
         .entry = *entry,
         .identity = *identity,
         .signed_by = walk.parts.Header("authorization").empty()
                          ? RequestContext::SignedBy::kNothing
                          : RequestContext::SignedBy::kHeader});
}

Task<http::Response> Gateway::Perform(Call call) {
    Walk& walk = call.walk;

    // 6. Decode by contract: body, path, query and headers to the typed input; all constraints.
    const std::shared_ptr<void> input = call.entry.make_input();
    if (Status decoded =
            protocol::DecodeRequest(*walk.service, call.match, walk.parts, input.get());
        !decoded.ok()) {
        co_return walk.Fail(decoded.error());
    }
    walk.parts.body = {};
    std::string().swap(walk.body);

    // 7. The context of the call.
    RequestContext context;
    context.request_id = walk.request_id;
    context.service = walk.service->name;
    context.operation = walk.operation->name;
    context.account = call.identity.caller.account;
    context.caller = std::move(call.identity.caller);
    context.region = Region(
        !call.identity.region.empty() ? std::move(call.identity.region)
        : call.door != nullptr        ? call.door->region.text()
                                      : std::string(kDefaultRegion));
    context.now = parts_.wall_clock.Now();
    context.deadline = walk.began + kRequestTimeMax;
    context.request_body = call.body;
    context.signed_by = call.signed_by;
    context.method = call.request.method;
    context.target = call.request.target;
    if (const http::Connection* connection = call.request.connection) {
        context.peer_address = connection->peer_address();
        context.secure = connection->secure();
    }
    context.endpoint = context.secure ? "https://" : "http://";
    context.endpoint += walk.parts.Header("host").substr(0, 256);
    if (call.door != nullptr) {
        context.calling_function_arn = call.door->function_arn;
    }
    context.headers = std::move(walk.headers);
    walk.parts.headers = context.headers;

    // 8. Authorise. Policies are stored and not yet enforced: answers that store one say so
    //    (x-hearth-not-enforced), and `hearth status` lists them. The operation's row (action and
    //    resource) stands in its descriptor for the day they are.

    // 9. Dispatch.
    const std::shared_ptr<void> output = call.entry.make_output();
    Status status = co_await parts_.dispatcher.Run(call.entry, context, input.get(), output.get());

    // 10. Encode: output or error.
    http::Response response = status.ok() ? ToResponse(protocol::EncodeResponse(
                                                *walk.service,
                                                *walk.operation,
                                                output.get(),
                                                walk.request_id,
                                                context.response_status))
                                          : walk.Fail(status.error());
    if (status.ok() && context.response_stream) {
        // The answer keeps its place among the requests until it has flowed.
        response.body.clear();
        response.stream = [held = std::make_shared<Room>(std::move(call.room)),
                           write = std::move(context.response_stream)](http::BodyWriter& writer) {
            return write(writer);
        };
        response.stream_bytes = context.response_stream_bytes;
    }
    if (status.ok() && context.method == "HEAD") {
        response.stream_bytes = LengthOfHead(context, response);
    }
    if (!context.response_headers.empty()) {
        NoteNotHonoured(walk, context.response_headers);
        for (auto& header : context.response_headers) {
            response.headers.push_back(std::move(header));
        }
    }
    if (context.when_answered) {
        ReportAnswer(walk, std::move(context.when_answered), response);
    }
    // It pointed into the context.
    walk.parts.headers = {};
    co_return response;
}

Task<http::Response> Gateway::HandleAdmin(
    http::Request& request, const DoorIdentity* door, Room& room, Walk& walk) {
    auto path = codec::PercentDecode(walk.parts.path);
    auto query = codec::ParseQuery(walk.parts.query);
    if (!path.ok() || !query.ok()) {
        co_return walk.Fail(errors::Malformed("the path or the query cannot be decoded"));
    }
    const bool health = *path == "/_hearth/health";
    // Functions are no operators.
    if (door != nullptr && !health) {
        co_return walk.Fail(NoSuchService(""));
    }
    const AdminEndpoints::Found found = parts_.admin.Find(request.method, *path);
    const std::optional<uint64_t> length = request.body->Length();
    if (length.value_or(0) > kAdminBodyBytesMax) {
        co_return walk.Fail(http::errors::BodyTooLarge(kAdminBodyBytesMax));
    }
    if (length != 0) {
        auto body = co_await ReadBody(*request.body, kAdminBodyBytesMax, room);
        if (!body.ok()) {
            co_return walk.Fail(body.error());
        }
        walk.body = *std::move(body);
    }
    AdminRequest call;
    if (!health && !found.is_unsigned) {
        const SignedParts signed_parts{
            .method = walk.parts.method,
            .path = walk.parts.path,
            .query = walk.parts.query,
            .headers = walk.headers,
            .body = walk.body};
        auto identity = co_await parts_.authenticator.Identify(
            signed_parts, kAdminSigningName, model::Protocol::kRestJson, nullptr);
        if (!identity.ok()) {
            co_return walk.Fail(identity.error());
        }
        const Caller& caller = identity->caller;
        const std::string_view origin = walk.parts.Header("origin");
        if (!origin.empty() && !caller.verified && !MayCallUnsigned(origin)) {
            co_return walk.Fail(ForeignPage());
        }
        if (caller.type != Caller::Type::kRoot && caller.type != Caller::Type::kAnonymous) {
            co_return walk.Fail(Error(
                Error::Kind::kDenied,
                "AccessDeniedException",
                "Only the root key of an account may call Hearth's own endpoints.",
                403));
        }
        call.caller = caller;
        call.account = caller.account;
        if (!identity->region.empty()) {
            call.region = Region(identity->region);
        }
    }
    if (found.handler == nullptr) {
        co_return walk.Fail(
            found.path_known ? Error(
                                   Error::Kind::kInvalid,
                                   "MethodNotAllowedException",
                                   fmt::format("{} does not take {}.", *path, request.method),
                                   405)
                             : NoSuchService(""));
    }
    call.method = request.method;
    call.path = *std::move(path);
    for (auto& [name, value] : *query) {
        call.query.insert_or_assign(std::move(name), std::move(value));
    }
    call.body = std::move(walk.body);
    std::optional<Result<AdminAnswer>> answer;
    try {
        answer.emplace(co_await (*found.handler)(std::move(call)));
    } catch (const std::logic_error& bug) {
        answer.emplace(errors::Internal(bug.what()));
    }
    if (!answer->ok()) {
        co_return walk.Fail(answer->error());
    }
    AdminAnswer& made = **answer;
    http::Response response;
    response.status = made.status;
    response.headers = std::move(made.headers);
    response.headers.emplace_back("Content-Type", std::move(made.content_type));
    response.headers.emplace_back("x-amzn-RequestId", walk.request_id);
    response.body = std::move(made.body);
    if (made.stream) {
        class Stream final : public AdminStream {
          public:
            explicit Stream(http::BodyWriter& writer) : writer_(writer) {}

            Task<Status> Write(std::string bytes) override {
                co_return co_await writer_.Write(bytes);
            }

          private:
            http::BodyWriter& writer_;
        };

        response.stream = [write =
                               std::move(made.stream)](http::BodyWriter& writer) -> Task<Status> {
            Stream stream(writer);
            co_await write(stream);
            co_return Status();
        };
    }
    co_return response;
}

// A site's request: what it may ask of the walk it is part of.
class Gateway::Visit final : public SiteRequest {
  public:
    Visit(
        Gateway& gateway, http::Request& request, const DoorIdentity* from, Room& room, Walk& walk)
        : gateway_(gateway), request_(request), room_(room), walk_(walk) {
        request_id = walk.request_id;
        began = walk.began;
        host = HostName(walk.parts.Header("host"));
        method = walk.parts.method;
        path = walk.parts.path;
        query = walk.parts.query;
        headers = walk.headers;
        minor_version = request.minor_version;
        if (request.connection != nullptr) {
            peer_address = request.connection->peer_address();
            secure = request.connection->secure();
        }
        door = from;
    }

    Task<Result<std::string>> ReadBody(uint64_t bytes_max) override {
        const std::optional<uint64_t> length = request_.body->Length();
        if (length.value_or(0) > bytes_max) {
            co_return http::errors::BodyTooLarge(bytes_max);
        }
        if (length == 0) {
            co_return std::string();
        }
        co_return co_await gateway_.ReadBody(*request_.body, bytes_max, room_);
    }

    Task<Result<std::optional<SiteCaller>>> Identify(
        std::string_view signing_name, std::string_view body) override {
        if (Header("authorization").empty()) {
            co_return std::optional<SiteCaller>();
        }
        // As received: in the path form the whole path is signed.
        const SignedParts parts{
            .method = method,
            .path = walk_.parts.path,
            .query = query,
            .headers = walk_.headers,
            .body = body};
        HEARTH_CO_TRY(
            auto identity,
            co_await gateway_.parts_.authenticator.Identify(
                parts, signing_name, model::Protocol::kRestJson, door));
        const std::string_view origin = Header("origin");
        if (!origin.empty() && !identity.caller.verified && !gateway_.MayCallUnsigned(origin)) {
            co_return ForeignPage();
        }
        walk_.caller_arn = identity.caller.arn;
        co_return std::optional<SiteCaller>(
            SiteCaller{std::move(identity.caller), std::move(identity.region)});
    }

  private:
    Gateway& gateway_;
    http::Request& request_;
    Room& room_;
    Walk& walk_;
};

Task<http::Response> Gateway::HandleSite(
    Sites::Address address,
    http::Request& request,
    const DoorIdentity* door,
    Room& room,
    Walk& walk) {
    Visit visit(*this, request, door, room, walk);
    visit.id = std::move(address.id);
    visit.by_path = !address.path.empty();
    if (visit.by_path) {
        visit.path = address.path;
    }
    if (!visit.path.starts_with('/')) {
        co_return Refuse(400, "its target is no path");
    }
    try {
        co_return co_await address.site->Serve(visit);
    } catch (const std::logic_error& bug) {
        co_return walk.Fail(errors::Internal(bug.what()));
    }
}

namespace {

// Passes on what is written, and counts it.
class CountingWriter final : public http::BodyWriter {
  public:
    explicit CountingWriter(http::BodyWriter& writer) : writer_(writer) {}

    Task<Status> Write(std::string_view bytes) override {
        Status status = co_await writer_.Write(bytes);
        if (status.ok()) {
            bytes_ += bytes.size();
        }
        co_return status;
    }

    uint64_t bytes() const { return bytes_; }

  private:
    http::BodyWriter& writer_;
    uint64_t bytes_ = 0;
};

using Report = std::function<void(const AnswerSummary&)>;
using StreamFunction = std::function<Task<Status>(http::BodyWriter&)>;

Task<Status> StreamAndReport(
    http::BodyWriter& writer,
    const StreamFunction& write,
    const Report& report,
    AnswerSummary summary,
    const MonotonicClock& clock,
    MonotonicClock::time_point began) {
    CountingWriter counting(writer);
    Status status = co_await write(counting);
    summary.bytes_sent = counting.bytes();
    summary.total = clock.Now() - began;
    report(summary);
    co_return status;
}

}  // namespace

void Gateway::ReportAnswer(const Walk& walk, Report report, http::Response& response) {
    AnswerSummary summary;
    summary.status = response.status;
    summary.error_code = walk.error_code;
    summary.turnaround = parts_.monotonic_clock.Now() - walk.began;
    if (!response.stream) {
        summary.bytes_sent = response.body.size();
        summary.total = summary.turnaround;
        report(summary);
        return;
    }
    response.stream = [this,
                       began = walk.began,
                       summary = std::move(summary),
                       report = std::move(report),
                       write = std::move(response.stream)](http::BodyWriter& writer) {
        return StreamAndReport(writer, write, report, summary, parts_.monotonic_clock, began);
    };
}

void Gateway::NoteNotHonoured(
    const Walk& walk, const std::vector<std::pair<std::string, std::string>>& headers) {
    for (const auto& [name, value] : headers) {
        if (name == "x-hearth-ignored" || name == "x-hearth-not-enforced") {
            const std::lock_guard lock(not_honoured_mutex_);
            if (not_honoured_.size() < kNotHonouredMax) {
                not_honoured_.insert(
                    fmt::format("{} {}: {}", walk.service->name, walk.operation->name, value));
            }
        }
    }
}

std::vector<std::string> Gateway::NotHonoured() const {
    const std::lock_guard lock(not_honoured_mutex_);
    return {not_honoured_.begin(), not_honoured_.end()};
}

namespace {

// What one environment may hold at once: enough for a busy function, and too little to take the
// room of others.
constexpr int kDoorConnectionsMax = 256;
constexpr Admission::Limits kDoorLimits{
    .requests_max = 128, .body_bytes_max = 128ull * 1024 * 1024};

class GatewayDoor final : public Door, public http::Handler {
  public:
    GatewayDoor(
        rt::Loops& loops, os::Fd listener, Gateway& gateway, DoorIdentity identity, int loop)
        : gateway_(gateway),
          identity_(std::move(identity)),
          server_(loops, std::move(listener), *this, [loop] {
              http::ServerOptions options;
              options.connections_max = kDoorConnectionsMax;
              options.loop = loop;
              return options;
          }()) {
        server_.Start();
    }

    Task<http::Response> Handle(http::Request& request) override {
        return gateway_.Handle(request, &identity_, &limits_);
    }

    http::Response Refuse(int status, std::string_view reason) override {
        return gateway_.Refuse(status, reason);
    }

    Task<void> Close() override { return server_.Stop(std::chrono::milliseconds(0)); }

  private:
    Gateway& gateway_;
    const DoorIdentity identity_;
    Admission limits_{kDoorLimits};
    http::Server server_;
};

}  // namespace

std::unique_ptr<Door> GatewayDoors::Open(os::Fd listener, DoorIdentity identity) {
    CHECK(gateway_ != nullptr, "a door before the gateway");
    return std::make_unique<GatewayDoor>(
        loops_, std::move(listener), *gateway_, std::move(identity), rt::CurrentIndex());
}

}  // namespace hearth::aws
