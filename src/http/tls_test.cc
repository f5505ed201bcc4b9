// TLS on the port of plain HTTP, and the authority behind `--tls self`.
#include "http/tls.h"

#include "http/blocking_client.h"
#include "http/certificate_authority.h"
#include "http/server.h"
#include "os/fd.h"
#include "rt/event.h"
#include "rt/loops.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace hearth::http {
namespace {

class Directory final {
  public:
    Directory() {
        std::string pattern = std::filesystem::temp_directory_path() / "hearth-tls-XXXXXX";
        EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
        path_ = pattern;
    }

    ~Directory() { std::filesystem::remove_all(path_); }

    const std::string& path() const { return path_; }

  private:
    std::string path_;
};

std::string Slurp(const std::string& path) {
    const std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

WallClock::time_point Now() {
    return WallClock::System()->Now();
}

std::chrono::milliseconds Days(int count) {
    return std::chrono::hours(24) * count;
}

TEST(CertificateAuthority, IsMadeOnceWithPrivateKeysPrivate) {
    const Directory directory;
    const std::string tls = directory.path() + "/tls";
    const auto names = DefaultCertificateNames("192.0.2.7");
    const auto made = EnsureServerCertificate(tls, names, Now());
    ASSERT_TRUE(made.ok()) << made.error().message();
    EXPECT_TRUE(made->renewed);
    for (const char* key : {"/ca.key", "/server.key"}) {
        struct stat status;
        ASSERT_EQ(::stat((tls + key).c_str(), &status), 0);
        EXPECT_EQ(status.st_mode & 0777, 0600u);
    }
    const auto again = EnsureServerCertificate(tls, names, Now());
    ASSERT_TRUE(again.ok());
    EXPECT_FALSE(again->renewed);
    EXPECT_EQ(again->chain_pem, made->chain_pem);
    EXPECT_EQ(again->authority_pem, Slurp(tls + "/ca.pem"));
}

TEST(CertificateAuthority, RenewsTheServerAndKeepsTheAuthority) {
    const Directory directory;
    const auto first = EnsureServerCertificate(directory.path(), {"localhost"}, Now());
    ASSERT_TRUE(first.ok());
    const auto near_end =
        EnsureServerCertificate(directory.path(), {"localhost"}, Now() + Days(370));
    ASSERT_TRUE(near_end.ok());
    EXPECT_TRUE(near_end->renewed);
    EXPECT_EQ(near_end->authority_pem, first->authority_pem);
    const auto more_names = EnsureServerCertificate(
        directory.path(), {"localhost", "*.localhost", "::1", "10.0.0.1"}, Now() + Days(370));
    ASSERT_TRUE(more_names.ok());
    EXPECT_TRUE(more_names->renewed);
    EXPECT_EQ(more_names->authority_pem, first->authority_pem);
    const auto late = EnsureServerCertificate(directory.path(), {"localhost"}, Now() + Days(3500));
    ASSERT_TRUE(late.ok());
    EXPECT_NE(late->authority_pem, first->authority_pem);
}

TEST(CertificateAuthority, TornFilesAreReplaced) {
    const Directory directory;
    const auto first = EnsureServerCertificate(directory.path(), {"localhost"}, Now());
    ASSERT_TRUE(first.ok());
    std::ofstream(directory.path() + "/server.key") << "torn";
    const auto second = EnsureServerCertificate(directory.path(), {"localhost"}, Now());
    ASSERT_TRUE(second.ok());
    EXPECT_TRUE(second->renewed);
    EXPECT_TRUE(TlsContext::FromPem(second->chain_pem, second->key_pem).ok());
}

TEST(CertificateAuthority, RefusesWhatIsNoName) {
    const Directory directory;
    EXPECT_FALSE(EnsureServerCertificate(directory.path(), {"a,DNS:evil"}, Now()).ok());
}

TEST(TlsContext, SaysWhatIsWrong) {
    const Directory one;
    const Directory two;
    const auto a = EnsureServerCertificate(one.path(), {"localhost"}, Now());
    const auto b = EnsureServerCertificate(two.path(), {"localhost"}, Now());
    EXPECT_TRUE(TlsContext::FromPem(a->chain_pem, a->key_pem).ok());
    EXPECT_FALSE(TlsContext::FromPem("nonsense", a->key_pem).ok());
    EXPECT_FALSE(TlsContext::FromPem(a->chain_pem, "nonsense").ok());
    EXPECT_FALSE(TlsContext::FromPem(a->chain_pem, b->key_pem).ok());
}

class TlsServer final : public Handler {
  public:
    TlsServer() : loops_(2) {
        auto certificate = EnsureServerCertificate(directory_.path(), {"127.0.0.1"}, Now());
        EXPECT_TRUE(certificate.ok());
        auto tls = TlsContext::FromPem(certificate->chain_pem, certificate->key_pem);
        EXPECT_TRUE(tls.ok());
        os::Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        EXPECT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
        EXPECT_EQ(::listen(socket.get(), 64), 0);
        EXPECT_EQ(::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
        port_ = ntohs(address.sin_port);
        ServerOptions options;
        options.tls = *tls;
        server_ = std::make_unique<Server>(loops_, std::move(socket), *this, options);
        server_->Start();
    }

    ~TlsServer() override {
        rt::BlockOn(loops_, 0, [&] { return server_->Stop(std::chrono::milliseconds(0)); });
    }

    BlockingClient::Options Client(bool tls) const {
        BlockingClient::Options options;
        options.port = port_;
        options.tls = tls;
        options.ca_file = directory_.path() + "/ca.pem";
        return options;
    }

    std::atomic<int> waiting = 0;
    std::atomic<int> gone = 0;

  private:
    Task<Response> Handle(Request& request) override {
        Response response;
        if (request.target == "/wait") {
            rt::Event event;
            const auto watch = request.connection->WatchPeer([&] { event.Set(); });
            ++waiting;
            co_await event.Wait();
            ++gone;
            co_return response;
        }
        auto body = co_await request.body->ReadAll(64 << 20);
        response.headers.emplace_back("Secure", request.connection->secure() ? "yes" : "no");
        response.body = body.ok() ? *std::move(body) : body.error().code();
        co_return response;
    }

    Directory directory_;
    rt::Loops loops_;
    uint16_t port_ = 0;
    std::unique_ptr<Server> server_;
};

TEST(Tls, PlainAndTlsOnOnePort) {
    const TlsServer server;
    for (const bool tls : {true, false}) {
        BlockingClient client(server.Client(tls));
        for (int call = 0; call < 3; ++call) {
            const auto response = client.Call({.method = "POST", .body = "hello"});
            ASSERT_TRUE(response.ok()) << response.error().message();
            EXPECT_EQ(response->body, "hello");
            EXPECT_EQ(*response->Find("secure"), tls ? "yes" : "no");
        }
    }
}

TEST(Tls, LargeBodiesBothWays) {
    const TlsServer server;
    BlockingClient client(server.Client(true));
    std::string body;
    for (int i = 0; body.size() < (6 << 20); ++i) {
        body += std::to_string(i);
    }
    for (int call = 0; call < 2; ++call) {
        const auto response = client.Call({.method = "POST", .body = body});
        ASSERT_TRUE(response.ok()) << response.error().message();
        EXPECT_EQ(response->body, body);
    }
}

TEST(Tls, ClientsRefuseAnotherAuthority) {
    const TlsServer server;
    const Directory other;
    ASSERT_TRUE(EnsureServerCertificate(other.path(), {"127.0.0.1"}, Now()).ok());
    auto options = server.Client(true);
    options.ca_file = other.path() + "/ca.pem";
    BlockingClient client(options);
    const auto response = client.Call({});
    ASSERT_FALSE(response.ok());
    EXPECT_NE(response.error().message().find("certificate"), std::string::npos)
        << response.error().message();
    // And the name has to fit.
    options = server.Client(true);
    options.host = "localhost";
    EXPECT_FALSE(BlockingClient(options).Call({}).ok());
}

TEST(Tls, TellsThatThePeerWentAway) {
    TlsServer server;
    auto options = server.Client(true);
    options.read_timeout = std::chrono::milliseconds(200);
    BlockingClient client(options);
    EXPECT_FALSE(client.Call({.target = "/wait"}).ok());
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (server.gone < server.waiting && std::chrono::steady_clock::now() < deadline) {
        std::this_thread::yield();
    }
    EXPECT_GE(server.waiting, 1);
    EXPECT_EQ(server.gone, server.waiting);
}

TEST(Tls, BrokenHandshakesHurtNobody) {
    const TlsServer server;
    for (const std::string_view bytes :
         {std::string_view("\x16\x03\x01\xff\xff"),
          std::string_view("\x16garbage garbage garbage")}) {
        os::Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(server.Client(false).port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        ASSERT_EQ(
            ::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
        ASSERT_GT(::send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL), 0);
        ::shutdown(socket.get(), SHUT_WR);
        char byte = 0;
        while (::recv(socket.get(), &byte, 1, 0) > 0) {
        }
    }
    EXPECT_TRUE(BlockingClient(server.Client(true)).Call({}).ok());
}

}  // namespace
}  // namespace hearth::http
