#include "vmm/api/api_server.h"

#include "codec/json/json.h"
#include "vmm/api/routes.h"
#include "vmm/event/event_loop.h"
#include "vmm/http/request.h"
#include "vmm/observe/logger.h"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <map>

namespace hearth::vmm {
namespace {

constexpr std::size_t kReadBytes = 16'384;
constexpr int kBacklog = 16;

std::string FaultBody(std::string_view message) {
    codec::JsonWriter out;
    out.BeginObject();
    out.Key("fault_message");
    out.String(message);
    out.EndObject();
    return out.Take();
}

// Of what is no request: not a fault of an action, so it has another name, as in Firecracker.
std::string ErrorBody(std::string_view message) {
    codec::JsonWriter out;
    out.BeginObject();
    out.Key("error");
    out.String(message);
    out.EndObject();
    return out.Take();
}

void LogRequest(const HttpRequest& request) {
    // The guest's metadata may be secrets.
    const bool show_body = request.has_body && !request.path.starts_with("/mmds");
    vmmlog::Info(
        "The API server received a {} request on \"{}\"{}{}.",
        request.method,
        request.path,
        show_body ? " with body " : "",
        show_body ? std::string_view(request.body) : std::string_view());
}

HttpResponse Handle(const HttpRequest& request, const ApiServer::Submit& submit) {
    LogRequest(request);
    auto parsed = ParseApiRequest(request);
    const bool deprecated = parsed.ok() && !parsed->deprecation.empty();
    if (deprecated) {
        vmmlog::Warn("{}", parsed->deprecation);
    }
    auto reply = parsed.ok() ? submit(std::move(parsed->action))
                             : Result<ActionReply>(std::move(parsed).error());
    HttpResponse response;
    response.deprecated = deprecated;
    if (!reply.ok()) {
        response.status = reply.error().http_status();
        response.body = FaultBody(reply.error().message());
        vmmlog::Error(
            "Received Error. Status code: {}. Message: {}",
            response.status,
            reply.error().message());
        return response;
    }
    if (reply->has_value()) {
        response.status = 200;
        response.body = std::move(**reply);
    }
    vmmlog::Info(
        "The request was executed successfully. Status code: {}.",
        response.status == 200 ? "200 OK" : "204 No Content");
    return response;
}

}  // namespace

struct ApiServer::State {
    struct Connection {
        os::Fd fd;
        HttpRequestParser parser;
        std::string out;
        bool closing = false;  // once `out` is out
    };

    ApiServerOptions options;
    Submit submit;
    os::Fd listener;
    std::unique_ptr<EventLoop> loop;
    std::map<int, Connection> connections;

    bool is_listener_watched = true;

    void Close(int fd) {
        loop->Remove(fd);
        connections.erase(fd);
        WatchListener(true);
    }

    // Where no descriptor is left for a client it waits in the listener, which would be ready for
    // ever; a connection that ends leaves one.
    void WatchListener(bool watch) {
        if (is_listener_watched != watch &&
            loop->Modify(listener.get(), watch ? std::uint32_t{EPOLLIN} : 0).ok()) {
            is_listener_watched = watch;
        }
    }

    void Accept() {
        os::Fd fd(::accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
        if (!fd.valid()) {
            if (!connections.empty() && (errno == EMFILE || errno == ENFILE)) {
                WatchListener(false);
            }
            return;
        }
        if (connections.size() >= kHttpConnectionsMax) {
            const HttpResponse response{
                .status = 503, .body = ErrorBody("Too many open connections")};
            const auto text = WriteHttpResponse(response, true, false);
            // A new socket takes this much, or its client is not worth more.
            static_cast<void>(::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL));
            return;
        }
        const int number = fd.get();
        const auto added =
            loop->Add(number, EPOLLIN, [this, number](std::uint32_t) { Serve(number); });
        if (!added.ok()) {
            vmmlog::Error("a connection to the API is lost: {}", added.error().message());
            return;
        }
        const HttpLimits limits{
            .head_bytes_max = kHttpHeadBytesMax,
            .headers_max = 64,
            .body_bytes_max = options.payload_bytes_max};
        connections.emplace(
            number,
            Connection{
                .fd = std::move(fd),
                .parser = HttpRequestParser(limits),
                .out = {},
                .closing = false});
    }

    // Everything that the bytes read so far ask for.
    void Answer(Connection& connection) {
        while (!connection.closing) {
            auto next = connection.parser.Next();
            if (!next.ok()) {
                const HttpResponse response{
                    .status = next.error().http_status(),
                    .body = ErrorBody(
                        next.error().message() +
                        "\nAll previous unanswered requests will be dropped.")};
                connection.out += WriteHttpResponse(response, true, false);
                connection.closing = true;
                return;
            }
            if (connection.parser.TakeContinue()) {
                connection.out += "HTTP/1.1 100 Continue\r\n\r\n";
            }
            if (!*next) {
                return;
            }
            const HttpRequest& request = **next;
            const auto response = Handle(request, submit);
            connection.out += WriteHttpResponse(response, request.http_1_1, request.keep_alive);
            connection.closing = !request.keep_alive;
        }
    }

    // False: the connection is gone.
    bool Flush(Connection& connection) {
        while (!connection.out.empty()) {
            const ssize_t sent = ::send(
                connection.fd.get(), connection.out.data(), connection.out.size(), MSG_NOSIGNAL);
            if (sent < 0) {
                if (errno == EINTR) {
                    continue;
                }
                return errno == EAGAIN;
            }
            connection.out.erase(0, static_cast<std::size_t>(sent));
        }
        return !connection.closing;
    }

    void Serve(int number) {
        const auto found = connections.find(number);
        if (found == connections.end()) {
            return;
        }
        auto& connection = found->second;
        // A client that does not read its answers is not read from.
        if (connection.out.empty()) {
            char bytes[kReadBytes];
            const ssize_t read = ::recv(number, bytes, sizeof(bytes), 0);
            if (read == 0 || (read < 0 && errno != EAGAIN && errno != EINTR)) {
                Close(number);
                return;
            }
            if (read < 0) {
                return;
            }
            connection.parser.Append(std::string_view(bytes, static_cast<std::size_t>(read)));
            Answer(connection);
        }
        const bool waited = !connection.out.empty();
        if (!Flush(connection)) {
            Close(number);
            return;
        }
        if (waited || !connection.out.empty()) {
            const std::uint32_t events = connection.out.empty() ? EPOLLIN : EPOLLOUT;
            if (!loop->Modify(number, events).ok()) {
                Close(number);
            }
        }
    }
};

ApiServer::ApiServer(std::unique_ptr<State> state) : state_(std::move(state)) {}

ApiServer::~ApiServer() = default;

Result<std::unique_ptr<ApiServer>> ApiServer::Listen(ApiServerOptions options, Submit submit) {
    auto state = std::make_unique<State>();
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (options.socket_path.empty() || options.socket_path.size() >= sizeof(address.sun_path)) {
        return errors::Malformed(fmt::format(
            "the API socket's path has {} bytes, 1 to {} are possible",
            options.socket_path.size(),
            sizeof(address.sun_path) - 1));
    }
    std::memcpy(address.sun_path, options.socket_path.data(), options.socket_path.size());
    state->listener = os::Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!state->listener.valid() ||
        ::bind(
            state->listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) !=
            0 ||
        ::listen(state->listener.get(), kBacklog) != 0) {
        return errors::System("the API socket " + options.socket_path, errno);
    }
    HEARTH_TRY(state->loop, EventLoop::Create());
    state->options = std::move(options);
    state->submit = std::move(submit);
    auto* raw = state.get();
    HEARTH_RETURN_IF_ERROR(
        state->loop->Add(state->listener.get(), EPOLLIN, [raw](std::uint32_t) { raw->Accept(); }));
    return std::unique_ptr<ApiServer>(new ApiServer(std::move(state)));
}

Status ApiServer::Run() {
    if (state_->options.before_serving) {
        HEARTH_RETURN_IF_ERROR(state_->options.before_serving());
    }
    state_->loop->Run();
    return {};
}

void ApiServer::Stop() {
    state_->loop->Stop();
}

}  // namespace hearth::vmm
