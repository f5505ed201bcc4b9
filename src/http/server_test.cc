// The server against literal bytes on real sockets: framing, limits, keep-alive, stop.
#include "http/server.h"

#include "http/blocking_client.h"
#include "http/errors.h"
#include "os/fd.h"
#include "rt/event.h"
#include "rt/loops.h"
#include "rt/timer.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace hearth::http {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// For what must come, on a machine of any speed.
constexpr int kPatienceMs = 60'000;

class CallHandler final : public Handler {
  public:
    using Function = std::function<Task<Response>(Request&)>;

    explicit CallHandler(Function function) : function_(std::move(function)) {}

    Task<Response> Handle(Request& request) override { return function_(request); }

  private:
    Function function_;
};

os::Fd ListenOnLoopback(uint16_t* port) {
    os::Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(socket.get(), 128), 0);
    socklen_t size = sizeof address;
    EXPECT_EQ(::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    *port = ntohs(address.sin_port);
    return socket;
}

// A server with its loops; stops when it goes out of scope.
class Running final {
  public:
    explicit Running(CallHandler::Function function, ServerOptions options = {}, int loops = 2)
        : loops_(loops), handler_(std::move(function)) {
        auto socket = ListenOnLoopback(&port_);
        server_ = std::make_unique<Server>(loops_, std::move(socket), handler_, std::move(options));
        server_->Start();
    }

    ~Running() { Stop(); }

    void Stop(milliseconds grace = milliseconds(0)) {
        if (server_ != nullptr) {
            rt::BlockOn(loops_, 0, [&] { return server_->Stop(grace); });
            server_.reset();
        }
    }

    uint16_t port() const { return port_; }

    Server& server() { return *server_; }

    rt::Loops& loops() { return loops_; }

  private:
    uint16_t port_ = 0;
    rt::Loops loops_;
    CallHandler handler_;
    std::unique_ptr<Server> server_;
};

// A client that sends and reads bytes as they are.
class RawClient final {
  public:
    explicit RawClient(uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        EXPECT_EQ(
            ::connect(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    }

    // False when the server has closed already.
    bool Send(std::string_view bytes) {
        while (!bytes.empty()) {
            const ssize_t count = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (count <= 0) {
                return false;
            }
            bytes.remove_prefix(static_cast<size_t>(count));
        }
        return true;
    }

    // Reads on until the text has `wanted` in it.
    std::string ReadUntil(std::string_view wanted) {
        while (input_.find(wanted) == std::string::npos) {
            if (!ReadMore()) {
                ADD_FAILURE() << "closed after: " << input_;
                return input_;
            }
        }
        const size_t end = input_.find(wanted) + wanted.size();
        std::string read = input_.substr(0, end);
        input_.erase(0, end);
        return read;
    }

    std::string ReadToEnd() {
        while (ReadMore()) {
        }
        return std::exchange(input_, {});
    }

    void CloseSending() { ::shutdown(socket_.get(), SHUT_WR); }

    void Close() { socket_.Close(); }

  private:
    bool ReadMore() {
        pollfd waiting{socket_.get(), POLLIN, 0};
        if (::poll(&waiting, 1, kPatienceMs) != 1) {
            ADD_FAILURE() << "nothing came; so far: " << input_;
            return false;
        }
        char piece[4096];
        const ssize_t count = ::recv(socket_.get(), piece, sizeof piece, 0);
        if (count <= 0) {
            return false;
        }
        input_.append(piece, static_cast<size_t>(count));
        return true;
    }

    os::Fd socket_;
    std::string input_;
};

// Answers with the request's own parts.
Task<Response> Echo(Request& request) {
    auto body = co_await request.body->ReadAll(1 << 20);
    Response response;
    if (!body.ok()) {
        response.status = body.error().http_status();
        response.body = body.error().code();
        co_return response;
    }
    response.headers.emplace_back("X-Target", std::string(request.target));
    response.body = std::string(request.method) + ":" + *std::move(body);
    co_return response;
}

std::string WithoutDate(std::string text) {
    const size_t at = text.find("Date: ");
    if (at != std::string::npos) {
        text.erase(at, text.find("\r\n", at) + 2 - at);
    }
    return text;
}

TEST(Server, AnswersByteForByte) {
    Running running(Echo);
    RawClient client(running.port());
    client.Send("POST /a?b=%20c HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello");
    EXPECT_EQ(
        WithoutDate(client.ReadUntil("POST:hello")),
        "HTTP/1.1 200 OK\r\nX-Target: /a?b=%20c\r\nContent-Length: 10\r\n\r\nPOST:hello");
}

TEST(Server, KeepsTheConnectionAndServesPipelinedRequestsInOrder) {
    Running running(Echo);
    RawClient client(running.port());
    std::string requests;
    for (int i = 0; i < 100; ++i) {
        requests += "PUT /" + std::to_string(i) + " HTTP/1.1\r\nHost: x\r\n";
        const std::string body = "<" + std::to_string(i) + ">";
        if (i % 2 == 0) {
            requests += "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
        } else {
            requests += "Transfer-Encoding: chunked\r\n\r\n2\r\n" + body.substr(0, 2) + "\r\n";
            requests += std::to_string(body.size() - 2) + ";x=y\r\n" + body.substr(2) +
                        "\r\n0\r\nTrailer: z\r\n\r\n";
        }
    }
    client.Send(requests);
    for (int i = 0; i < 100; ++i) {
        const std::string answer = client.ReadUntil("<" + std::to_string(i) + ">");
        EXPECT_NE(answer.find("X-Target: /" + std::to_string(i) + "\r\n"), std::string::npos);
    }
    EXPECT_EQ(running.server().connections(), 1);
}

TEST(Server, TakesRequestsInSingleBytes) {
    Running running(Echo);
    RawClient client(running.port());
    const std::string text =
        "\r\nPOST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        "3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n";
    for (const char c : text) {
        client.Send(std::string_view(&c, 1));
    }
    client.ReadUntil("\r\n\r\nPOST:abc0123456789");
    client.Send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    EXPECT_TRUE(client.ReadToEnd().ends_with("Connection: close\r\n\r\nGET:"));
}

TEST(Server, RefusesMalformedHeadsAndCloses) {
    struct Case {
        std::string text;
        std::string status;
    };

    const std::string get = "GET / HTTP/1.1\r\n";
    const std::vector<Case> cases{
        {"GET / HTTP/1.1\n\n", "400"},
        {"GET / HTTP/1.1\r\nHost: x\n\r\n", "400"},
        {"\n", "400"},
        {"\x16\x03\x01\x02", "400"},
        {std::string("\0\0", 2), "400"},
        {"GET /\r\n\r\n", "400"},
        {"GET / HTTP/2.0\r\n\r\n", "505"},
        {"GET  / HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
        {"G@T / HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
        {"GET a HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
        {"GET * HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
        {"GET http://x?a HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
        {"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
        {get + "\r\n", "400"},
        {get + "Host: x\r\nHost: y\r\n\r\n", "400"},
        {get + "Host : x\r\n\r\n", "400"},
        {get + "Host: x\r\nA: b\r\n c\r\n\r\n", "400"},
        {get + " Host: x\r\n\r\n", "400"},
        {get + "Host: x\r\nno colon\r\n\r\n", "400"},
        {get + "Host: x\r\n: empty\r\n\r\n", "400"},
        {get + "Host: x\r\nA: b\x01\r\n\r\n", "400"},
        {get + std::string("Host: x\r\nA: b\0c\r\n\r\n", 19), "400"},
        {get + "Host: x\r\nContent-Length: -1\r\n\r\n", "400"},
        {get + "Host: x\r\nContent-Length: +1\r\n\r\n", "400"},
        {get + "Host: x\r\nContent-Length: 1, 1\r\n\r\n", "400"},
        {get + "Host: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", "400"},
        {get + "Host: x\r\nContent-Length: 99999999999999999999\r\n\r\n", "400"},
        {get + "Host: x\r\nContent-Length:\r\n\r\n", "400"},
        {get + "Host: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "400"},
        {get + "Host: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", "400"},
        {get + "Host: x\r\nTransfer-Encoding: gzip\r\n\r\n", "501"},
        {get + "Host: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "501"},
        {get + "Host: x\r\nTransfer-Encoding: xchunked\r\n\r\n", "501"},
        {get + "Host: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
         "400"},
        {"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "400"},
        {get + "Host: x\r\nExpect: a miracle\r\n\r\n", "417"},
    };
    std::atomic<int> calls = 0;
    Running running([&](Request&) -> Task<Response> {
        ++calls;
        co_return Response();
    });
    for (const Case& one : cases) {
        RawClient client(running.port());
        client.Send(one.text);
        const std::string answer = client.ReadToEnd();
        EXPECT_TRUE(answer.starts_with("HTTP/1.1 " + one.status + " "))
            << one.text << "\n-> " << answer;
        EXPECT_NE(answer.find("Connection: close\r\n"), std::string::npos) << answer;
    }
    EXPECT_EQ(calls, 0);
}

TEST(Server, TakesWholeUrlsAsTargets) {
    Running running(Echo);
    RawClient client(running.port());
    client.Send("GET http://x:1/a/b?c HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_NE(client.ReadUntil("GET:").find("X-Target: /a/b?c\r\n"), std::string::npos);
    client.Send("GET HTTPS://x HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_NE(client.ReadUntil("GET:").find("X-Target: /\r\n"), std::string::npos);
}

TEST(Server, LimitsTheHead) {
    Running running(Echo);
    {
        RawClient client(running.port());
        client.Send("GET / HTTP/1.1\r\nHost: x\r\nA: " + std::string(40'000, 'a') + "\r\n\r\n");
        EXPECT_TRUE(client.ReadToEnd().starts_with("HTTP/1.1 431 "));
    }
    {
        RawClient client(running.port());
        client.Send("GET /" + std::string(200'000, 'a'));
        EXPECT_TRUE(client.ReadToEnd().starts_with("HTTP/1.1 431 "));
    }
    {
        std::string text = "GET / HTTP/1.1\r\nHost: x\r\n";
        for (int i = 0; i < 200; ++i) {
            text += "A: b\r\n";
        }
        RawClient client(running.port());
        client.Send(text + "\r\n");
        EXPECT_TRUE(client.ReadToEnd().starts_with("HTTP/1.1 431 "));
    }
    {
        // Below the limit, larger than the first buffer, twice on one connection.
        RawClient client(running.port());
        for (int i = 0; i < 2; ++i) {
            client.Send("GET / HTTP/1.1\r\nHost: x\r\nA: " + std::string(30'000, 'a') + "\r\n\r\n");
            client.ReadUntil("\r\n\r\nGET:");
        }
    }
}

TEST(Server, SendsContinueOnlyWhenTheBodyIsWanted) {
    Running running([](Request& request) -> Task<Response> {
        if (request.target == "/refuse") {
            Response response;
            response.status = 403;
            co_return response;
        }
        co_return co_await Echo(request);
    });
    const std::string expect = "Host: x\r\nExpect: 100-Continue\r\nContent-Length: 4\r\n\r\n";
    {
        RawClient client(running.port());
        client.Send("POST / HTTP/1.1\r\n" + expect);
        EXPECT_EQ(client.ReadUntil("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
        client.Send("body");
        client.ReadUntil("POST:body");
    }
    {
        // Sent along with the head: no need to ask for it.
        RawClient client(running.port());
        client.Send("POST / HTTP/1.1\r\n" + expect + "body");
        EXPECT_TRUE(client.ReadUntil("POST:body").starts_with("HTTP/1.1 200 OK"));
    }
    {
        // Of an empty body nothing is read; clients that asked are told all the same, and the
        // connection goes on.
        RawClient client(running.port());
        const std::string empty = "Host: x\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n";
        for (int i = 0; i < 2; ++i) {
            client.Send("POST / HTTP/1.1\r\n" + empty);
            EXPECT_TRUE(client.ReadUntil("POST:").starts_with(
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK"));
        }
    }
    {
        RawClient client(running.port());
        client.Send("POST /refuse HTTP/1.1\r\n" + expect);
        const std::string answer = client.ReadToEnd();
        EXPECT_TRUE(answer.starts_with("HTTP/1.1 403 "));
        EXPECT_NE(answer.find("Connection: close"), std::string::npos);
    }
}

TEST(Server, LimitsTheBodyBeforeReadingIt) {
    Running running(Echo);
    {
        RawClient client(running.port());
        client.Send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n");
        const std::string answer = client.ReadToEnd();
        EXPECT_TRUE(answer.starts_with("HTTP/1.1 413 ")) << answer;
        EXPECT_TRUE(answer.ends_with(http::errors::kBodyTooLarge));
    }
    {
        // Unstated lengths are counted.
        RawClient client(running.port());
        client.Send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
        std::string chunk = "10000\r\n" + std::string(0x10000, 'a') + "\r\n";
        for (int i = 0; i < 40 && client.Send(chunk); ++i) {
        }
        EXPECT_TRUE(client.ReadToEnd().starts_with("HTTP/1.1 413 "));
    }
}

TEST(Server, ReadsLargeBodiesWhole) {
    Running running([](Request& request) -> Task<Response> {
        const auto body = co_await request.body->ReadAll(64 << 20);
        Response response;
        response.body = body.ok() ? *body : body.error().message();
        co_return response;
    });
    std::string body;
    for (int i = 0; body.size() < (6 << 20); ++i) {
        body += std::to_string(i);
    }
    BlockingClient client({.port = running.port()});
    for (int i = 0; i < 3; ++i) {
        const auto response = client.Call({.method = "POST", .body = body});
        ASSERT_TRUE(response.ok()) << response.error().message();
        EXPECT_EQ(response->body, body);
    }
    EXPECT_EQ(running.server().connections(), 1);
}

TEST(Server, RefusesMalformedChunks) {
    Running running(Echo);
    for (const std::string_view chunks :
         {"x\r\n",
          "-1\r\n",
          "0x1\r\na\r\n",
          "1\na\n0\n\n",
          "1\r\nab\r\n",
          "1\r\na\n0\r\n\r\n",
          "ffffffffffffffffff\r\n",
          "\r\n",
          "1;\x01\r\na\r\n0\r\n\r\n"}) {
        RawClient client(running.port());
        client.Send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
        client.Send(chunks);
        const std::string answer = client.ReadToEnd();
        EXPECT_TRUE(answer.starts_with("HTTP/1.1 400 ")) << chunks << " -> " << answer;
        EXPECT_TRUE(answer.ends_with(http::errors::kBodyMalformed));
    }
}

TEST(Server, SkipsASmallUnreadBodyAndGivesUpOnALargeOne) {
    Running running([](Request&) -> Task<Response> { co_return Response(); });
    RawClient client(running.port());
    for (int i = 0; i < 3; ++i) {
        client.Send(
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 20000\r\n\r\n" +
            std::string(20'000, 'b'));
        EXPECT_TRUE(client.ReadUntil("\r\n\r\n").starts_with("HTTP/1.1 200 "));
    }
    client.Send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n\r\n");
    client.Send(std::string(400'000, 'b'));
    const std::string answer = client.ReadToEnd();
    EXPECT_NE(answer.find("Connection: close"), std::string::npos);
}

TEST(Server, HeadAnswersHaveALengthAndNoBody) {
    Running running([](Request& request) -> Task<Response> {
        Response response;
        if (request.target == "/none") {
            response.status = 204;
        } else {
            response.body = "12345";
        }
        co_return response;
    });
    RawClient client(running.port());
    client.Send("HEAD / HTTP/1.1\r\nHost: x\r\n\r\nGET /none HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(
        WithoutDate(client.ReadUntil("\r\n\r\n")), "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    EXPECT_EQ(WithoutDate(client.ReadUntil("\r\n\r\n")), "HTTP/1.1 204 No Content\r\n\r\n");
}

TEST(Server, HttpOneDotZero) {
    Running running(Echo);
    {
        RawClient client(running.port());
        client.Send("GET / HTTP/1.0\r\n\r\n");
        EXPECT_TRUE(client.ReadToEnd().ends_with("Connection: close\r\n\r\nGET:"));
    }
    RawClient client(running.port());
    for (int i = 0; i < 2; ++i) {
        client.Send("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n");
        EXPECT_TRUE(client.ReadUntil("GET:").ends_with("Connection: keep-alive\r\n\r\nGET:"));
    }
}

TEST(Server, StreamsInChunks) {
    Running running([](Request& request) -> Task<Response> {
        Response response;
        const bool fixed = request.target == "/fixed";
        if (fixed) {
            response.stream_bytes = 100'003;
        }
        response.stream = [](BodyWriter& writer) -> Task<Status> {
            HEARTH_CO_RETURN_IF_ERROR(co_await writer.Write("one"));
            co_await rt::Yield();
            HEARTH_CO_RETURN_IF_ERROR(co_await writer.Write(std::string(100'000, 'x')));
            co_return Status();
        };
        co_return response;
    });
    const std::string body = "one" + std::string(100'000, 'x');
    BlockingClient client({.port = running.port()});
    for (const char* target : {"/chunked", "/fixed", "/chunked"}) {
        const auto response = client.Call({.target = target});
        ASSERT_TRUE(response.ok()) << response.error().message();
        EXPECT_EQ(response->body, body);
        EXPECT_EQ(response->Find("content-length") != nullptr, std::string(target) == "/fixed");
    }
    EXPECT_EQ(running.server().connections(), 1);
    std::string streamed;
    const auto response = client.CallStreaming({.target = "/chunked"}, [&](std::string_view bytes) {
        streamed += bytes;
        return true;
    });
    EXPECT_TRUE(response.ok());
    EXPECT_EQ(streamed, body);
    RawClient old(running.port());
    old.Send("GET /chunked HTTP/1.0\r\n\r\n");
    EXPECT_TRUE(old.ReadToEnd().ends_with("\r\n\r\n" + body));
}

TEST(Server, AFailedStreamTearsTheAnswer) {
    Running running([](Request&) -> Task<Response> {
        Response response;
        response.stream = [](BodyWriter& writer) -> Task<Status> {
            HEARTH_CO_RETURN_IF_ERROR(co_await writer.Write("half"));
            co_return hearth::errors::Unavailable("as intended");
        };
        co_return response;
    });
    BlockingClient client({.port = running.port()});
    EXPECT_FALSE(client.Call({}).ok());
}

TEST(Server, AHandlersBugIsItsRequestsOwn) {
    Running running([](Request& request) -> Task<Response> {
        if (request.target == "/bug") {
            CHECK_REQUEST(false, "as intended");
        }
        Response response;
        if (request.target == "/split") {
            response.headers.emplace_back("X", "a\r\nSet-Cookie: b");
        }
        co_return response;
    });
    RawClient client(running.port());
    client.Send("GET /bug HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_TRUE(client.ReadToEnd().starts_with("HTTP/1.1 500 "));
    RawClient other(running.port());
    other.Send("GET /split HTTP/1.1\r\nHost: x\r\n\r\n");
    const std::string answer = other.ReadUntil("\r\n\r\n");
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 500 "));
    EXPECT_EQ(answer.find("Set-Cookie"), std::string::npos);
}

TEST(Server, SlowHeadsAndBodiesEnd) {
    ServerOptions options;
    options.head_timeout = milliseconds(30);
    options.body_timeout = milliseconds(30);
    Running running(Echo, options);
    RawClient head(running.port());
    head.Send("GET / HTTP/1.1\r\nHo");
    EXPECT_EQ(head.ReadToEnd(), "");
    RawClient body(running.port());
    body.Send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
    EXPECT_TRUE(body.ReadToEnd().starts_with("HTTP/1.1 408 "));
}

TEST(Server, ATricklingBodyEnds) {
    ServerOptions options;
    options.body_timeout = milliseconds(50);
    Running running(Echo, options);
    RawClient client(running.port());
    client.Send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n");
    // Each byte comes well before a time-out of its own.
    std::thread trickle([&] {
        while (client.Send("x")) {
            std::this_thread::sleep_for(milliseconds(1));
        }
    });
    EXPECT_TRUE(client.ReadToEnd().starts_with("HTTP/1.1 408 "));
    client.CloseSending();
    trickle.join();
}

TEST(Server, IdleConnectionsEnd) {
    ServerOptions options;
    options.keep_alive_timeout = milliseconds(30);
    Running running(Echo, options);
    RawClient client(running.port());
    EXPECT_EQ(client.ReadToEnd(), "");
    RawClient again(running.port());
    again.Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    again.ReadUntil("GET:");
    EXPECT_EQ(again.ReadToEnd(), "");
}

TEST(Server, AHandlerMayTakeLongerThanAllTimeouts) {
    ServerOptions options;
    options.keep_alive_timeout = options.head_timeout = options.body_timeout = milliseconds(5);
    Running running(
        [](Request&) -> Task<Response> {
            co_await rt::Sleep(milliseconds(100));
            co_return Response();
        },
        options);
    RawClient client(running.port());
    client.Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_TRUE(client.ReadUntil("\r\n\r\n").starts_with("HTTP/1.1 200 "));
}

TEST(Server, ConnectionsAreLimitedAndSpread) {
    ServerOptions options;
    options.connections_max = 4;
    std::atomic<int> on_loop[2] = {0, 0};
    Running running(
        [&](Request&) -> Task<Response> {
            ++on_loop[rt::CurrentIndex()];
            co_return Response();
        },
        options);
    std::vector<std::unique_ptr<RawClient>> clients;
    for (int i = 0; i < 4; ++i) {
        clients.push_back(std::make_unique<RawClient>(running.port()));
        clients.back()->Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        clients.back()->ReadUntil("\r\n\r\n");
    }
    EXPECT_EQ(on_loop[0], 2);
    EXPECT_EQ(on_loop[1], 2);
    RawClient refused(running.port());
    EXPECT_TRUE(refused.ReadToEnd().starts_with("HTTP/1.1 503 "));
}

TEST(Server, OneLoopWhenAsked) {
    ServerOptions options;
    options.loop = 1;
    Running running(
        [](Request&) -> Task<Response> {
            EXPECT_EQ(rt::CurrentIndex(), 1);
            co_return Response();
        },
        options);
    for (int i = 0; i < 3; ++i) {
        BlockingClient client({.port = running.port()});
        EXPECT_TRUE(client.Call({}).ok());
    }
}

TEST(Server, StopLetsRequestsInFlightEnd) {
    rt::Event* release = nullptr;
    std::atomic<int> entered = 0;
    ServerOptions options;
    options.loop = 1;
    Running running(
        [&](Request&) -> Task<Response> {
            rt::Event event;
            release = &event;
            ++entered;
            co_await event.Wait();
            Response response;
            response.body = "finished";
            co_return response;
        },
        options);
    RawClient idle(running.port());
    RawClient busy(running.port());
    busy.Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    while (entered == 0) {
        std::this_thread::yield();
    }
    std::thread stopper([&] { running.Stop(seconds(3600)); });
    EXPECT_EQ(idle.ReadToEnd(), "");
    running.loops().Post(1, [&] { release->Set(); });
    const std::string answer = busy.ReadToEnd();
    EXPECT_TRUE(answer.ends_with("finished")) << answer;
    EXPECT_NE(answer.find("Connection: close"), std::string::npos);
    stopper.join();
}

TEST(Server, StopBreaksWhatIsLeftAfterTheGrace) {
    std::atomic<int> entered = 0;
    Running running([&](Request& request) -> Task<Response> {
        ++entered;
        const auto body = co_await request.body->ReadAll(100);
        EXPECT_FALSE(body.ok());
        co_return Response();
    });
    RawClient stuck(running.port());
    stuck.Send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n");
    while (entered == 0) {
        std::this_thread::yield();
    }
    running.Stop(milliseconds(1));
    stuck.ReadToEnd();
}

TEST(Server, TellsAHandlerThatThePeerWentAway) {
    std::atomic<int> gone = 0;
    std::atomic<int> waiting = 0;
    Running running([&](Request& request) -> Task<Response> {
        EXPECT_EQ(request.connection->peer_address(), "127.0.0.1");
        rt::Event event;
        if (request.target == "/silenced") {
            const auto watch = request.connection->WatchPeer([&] { ADD_FAILURE(); });
            co_return Response();
        }
        const auto watch = request.connection->WatchPeer([&] { event.Set(); });
        ++waiting;
        co_await event.Wait();
        ++gone;
        co_return Response();
    });
    RawClient client(running.port());
    client.Send("GET /silenced HTTP/1.1\r\nHost: x\r\n\r\n");
    client.ReadUntil("\r\n\r\n");
    client.Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    while (waiting == 0) {
        std::this_thread::yield();
    }
    EXPECT_EQ(gone, 0);
    client.Close();
    const auto deadline = std::chrono::steady_clock::now() + milliseconds(kPatienceMs);
    while (gone == 0 && std::chrono::steady_clock::now() < deadline) {
        std::this_thread::yield();
    }
    EXPECT_EQ(gone, 1);
}

TEST(Server, ManyClientsAtOnce) {
    Running running(Echo, {}, 4);
    std::vector<std::thread> threads;
    std::atomic<int> good = 0;
    for (int t = 0; t < 8; ++t) {
        threads.emplace_back([&, t] {
            for (int connection = 0; connection < 5; ++connection) {
                BlockingClient client({.port = running.port()});
                for (int call = 0; call < 20; ++call) {
                    const std::string body = std::to_string(t * 1000 + call);
                    const auto response = client.Call({.method = "POST", .body = body});
                    good += response.ok() && response->body == "POST:" + body ? 1 : 0;
                }
            }
        });
    }
    for (auto& thread : threads) {
        thread.join();
    }
    EXPECT_EQ(good, 8 * 5 * 20);
}

TEST(BlockingClient, ReconnectsWhenTheServerClosedAnIdleConnection) {
    ServerOptions options;
    options.keep_alive_timeout = milliseconds(20);
    Running running(Echo, options);
    BlockingClient client({.port = running.port()});
    EXPECT_TRUE(client.Call({}).ok());
    while (running.server().connections() > 0) {
        std::this_thread::yield();
    }
    EXPECT_TRUE(client.Call({}).ok());
}

TEST(BlockingClient, SaysWhatIsWrong) {
    uint16_t port = 0;
    {
        const auto closed = ListenOnLoopback(&port);
    }
    BlockingClient client({.port = port});
    const auto response = client.Call({});
    ASSERT_FALSE(response.ok());
    EXPECT_NE(response.error().message().find("Connection refused"), std::string::npos);
}

}  // namespace
}  // namespace hearth::http
