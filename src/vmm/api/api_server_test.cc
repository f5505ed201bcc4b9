#include "vmm/api/api_server.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <filesystem>
#include <thread>

namespace hearth::vmm {
namespace {

class ApiServerTest : public testing::Test {
  protected:
    ApiServerTest() {
        std::string name = testing::TempDir() + "server.XXXXXX";
        folder_ = ::mkdtemp(name.data());
        path_ = folder_ + "/api.sock";
        ApiServerOptions options;
        options.socket_path = path_;
        options.payload_bytes_max = 1'000;
        server_ =
            std::move(*ApiServer::Listen(std::move(options), [](const ActionRequest& request) {
                return std::holds_alternative<GetVersion>(request)
                           ? Result<ActionReply>(ActionReply("{\"v\":1}"))
                           : Result<ActionReply>(ActionReply());
            }));
        thread_ = std::thread([this] { EXPECT_TRUE(server_->Run().ok()); });
    }

    ~ApiServerTest() override {
        server_->Stop();
        thread_.join();
        std::filesystem::remove_all(folder_);
    }

    os::Fd Connect() const {
        os::Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, path_.c_str(), sizeof(address.sun_path) - 1);
        EXPECT_EQ(
            ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
        return fd;
    }

    static void Send(const os::Fd& fd, std::string_view text) {
        EXPECT_EQ(
            ::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(text.size()));
    }

    // Until `end` has come, or the other side has closed.
    static std::string Hear(const os::Fd& fd, std::string_view end) {
        std::string heard;
        char bytes[1'000];
        while (!heard.contains(end)) {
            const auto count = ::recv(fd.get(), bytes, sizeof(bytes), 0);
            if (count <= 0) {
                return heard + "(closed)";
            }
            heard.append(bytes, static_cast<std::size_t>(count));
        }
        return heard;
    }

    std::string folder_;
    std::string path_;
    std::unique_ptr<ApiServer> server_;
    std::thread thread_;
};

TEST_F(ApiServerTest, KeepsConnectionsAlive) {
    const auto fd = Connect();
    for (int i = 0; i < 3; ++i) {
        Send(fd, "GET /version HTTP/1.1\r\n\r\n");
        EXPECT_EQ(
            Hear(fd, "{\"v\":1}"),
            "HTTP/1.1 200 OK\r\nServer: hearth-vmm\r\nConnection: keep-alive\r\n"
            "Content-Type: application/json\r\nContent-Length: 7\r\n\r\n{\"v\":1}");
    }
    // Several at once, in order.
    Send(fd, "GET /none HTTP/1.1\r\n\r\nGET /version HTTP/1.1\r\nConnection: close\r\n\r\n");
    const auto heard = Hear(fd, "(never)");
    EXPECT_LT(heard.find("400 Bad Request"), heard.find("200 OK"));
    EXPECT_TRUE(
        heard.contains(R"({"fault_message":"Invalid request method and/or path: GET none."})"));
    EXPECT_TRUE(heard.ends_with("{\"v\":1}(closed)"));
}

TEST_F(ApiServerTest, RefusesWhatIsNoRequestAndCloses) {
    auto fd = Connect();
    Send(fd, "DELETE / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n");
    EXPECT_TRUE(Hear(fd, "(never)")
                    .ends_with(R"({"error":"Invalid HTTP Method: Unsupported HTTP method.\n)"
                               R"(All previous unanswered requests will be dropped."}(closed))"));
    fd = Connect();
    Send(fd, "PUT /mmds HTTP/1.1\r\nContent-Length: 1001\r\n\r\n");
    EXPECT_TRUE(Hear(fd, "(never)").starts_with("HTTP/1.1 413 Payload Too Large"));
    fd = Connect();
    Send(fd, std::string(kHttpHeadBytesMax + 1, 'a'));
    EXPECT_TRUE(Hear(fd, "(never)").starts_with("HTTP/1.1 400"));
}

TEST_F(ApiServerTest, SaysContinue) {
    const auto fd = Connect();
    Send(fd, "PUT /mmds HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    EXPECT_EQ(Hear(fd, "\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
    Send(fd, "{}");
    EXPECT_TRUE(Hear(fd, "\r\n\r\n").starts_with("HTTP/1.1 204"));
}

TEST_F(ApiServerTest, HasRoomForTen) {
    std::vector<os::Fd> connections;
    for (std::size_t i = 0; i < kHttpConnectionsMax; ++i) {
        connections.push_back(Connect());
        Send(connections.back(), "GET /version HTTP/1.1\r\n\r\n");
        EXPECT_TRUE(Hear(connections.back(), "{\"v\":1}").starts_with("HTTP/1.1 200"));
    }
    const auto fd = Connect();
    EXPECT_TRUE(Hear(fd, "(never)").contains("Too many open connections"));
    connections.pop_back();
    // Whoever comes after one has gone is served, as soon as the server has seen it go.
    std::string heard;
    while (!heard.starts_with("HTTP/1.1 200")) {
        const auto next = Connect();
        static_cast<void>(::send(next.get(), "GET /version HTTP/1.1\r\n\r\n", 25, MSG_NOSIGNAL));
        heard = Hear(next, "{\"v\":1}");
    }
}

TEST(ApiServer, DoesNotTakeOverAFile) {
    std::string name = testing::TempDir() + "server.XXXXXX";
    const std::string folder = ::mkdtemp(name.data());
    ApiServerOptions options;
    options.socket_path = folder + "/api.sock";
    const auto submit = [](const ActionRequest&) { return Result<ActionReply>(ActionReply()); };
    {
        const auto first = ApiServer::Listen(options, submit);
        EXPECT_TRUE(first.ok());
    }
    const auto second = ApiServer::Listen(options, submit);
    ASSERT_FALSE(second.ok());
    EXPECT_TRUE(second.error().message().contains("Address already in use"));
    options.socket_path = std::string(200, 'x');
    EXPECT_FALSE(ApiServer::Listen(options, submit).ok());
    std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace hearth::vmm
