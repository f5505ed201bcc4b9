#include "sandbox/snapshot/dumper.h"
#include "sandbox/snapshot/template.h"
#include "sandbox/snapshot/testing/round_trip.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <array>
#include <filesystem>
#include <set>

// The quiet point in practice: HTTP clients of languages wait for the answer to `next` on a TCP
// connection; in clones a stream pair stands in for it, and they do not notice.
namespace hearth::snapshot {
namespace {

using testing::HasSubstr;
using testing::StartsWith;
using testing_support::Conversation;
using testing_support::Pool;
using testing_support::StreamPair;

constexpr int kEvents = 3;

// One HTTP message without its head's end lost: until the head is whole and as many bytes of body
// as it says are there.
std::string ReadMessage(int fd) {
    std::string message;
    for (;;) {
        const size_t head = message.find("\r\n\r\n");
        if (head != std::string::npos) {
            size_t body = 0;
            for (const char* name : {"Content-Length: ", "content-length: "}) {
                const size_t at = message.find(name);
                body = at < head ? std::stoul(message.substr(at + 16, 10)) : body;
            }
            if (message.size() >= head + 4 + body) {
                return message;
            }
        }
        pollfd poll_fd{fd, POLLIN, 0};
        std::array<char, 4096> bytes{};
        ssize_t got = 0;
        if (::poll(&poll_fd, 1, 20'000) != 1 ||
            (got = ::recv(fd, bytes.data(), bytes.size(), 0)) <= 0) {
            return "";
        }
        message.append(bytes.data(), static_cast<size_t>(got));
    }
}

void Answer(int fd, int status, const std::string& body) {
    const std::string text = fmt::format(
        "HTTP/1.1 {} OK\r\nLambda-Runtime-Aws-Request-Id: r\r\nContent-Length: {}\r\n\r\n{}",
        status,
        body.size(),
        body);
    EXPECT_EQ(
        ::send(fd, text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
}

// A server for one runtime.
class Server final {
  public:
    Server() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t bytes = sizeof(address);
        EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), bytes), 0);
        EXPECT_EQ(::listen(listener_.get(), 16), 0);
        EXPECT_EQ(::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &bytes), 0);
        port_ = ntohs(address.sin_port);
    }

    uint16_t port() const { return port_; }

    os::Fd Accept() const {
        pollfd poll_fd{listener_.get(), POLLIN, 0};
        return os::Fd(
            ::poll(&poll_fd, 1, 20'000) == 1
                ? ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC)
                : -1);
    }

  private:
    os::Fd listener_;
    uint16_t port_ = 0;
};

// The process's sockets but `known`.
std::vector<uint64_t> Sockets(pid_t pid, uint64_t known) {
    std::set<uint64_t> inodes;
    for (const auto& entry : std::filesystem::directory_iterator(fmt::format("/proc/{}/fd", pid))) {
        struct stat status{};
        if (::stat(entry.path().c_str(), &status) == 0 && S_ISSOCK(status.st_mode) &&
            status.st_ino != known) {
            inodes.insert(status.st_ino);
        }
    }
    return {inodes.begin(), inodes.end()};
}

void RoundTrip(std::vector<std::string> argv) {
    const Server server;
    argv.push_back(std::to_string(server.port()));
    const os::Fd image_file(::memfd_create("image", MFD_CLOEXEC));
    {
        const Pool pool(CLONE_NEWNS);
        const testing_support::Original original(pool, std::move(argv));
        const os::Fd connection = server.Accept();
        ASSERT_TRUE(connection.valid());
        // One event before the snapshot, so that the connection is a kept one.
        ASSERT_THAT(ReadMessage(connection.get()), HasSubstr("invocation/next"));
        Answer(connection.get(), 200, "0");
        ASSERT_THAT(ReadMessage(connection.get()), HasSubstr("answer 0"));
        Answer(connection.get(), 202, "");
        ASSERT_THAT(ReadMessage(connection.get()), HasSubstr("invocation/next"));
        const auto sockets = Sockets(original.pid(), original.inode());
        ASSERT_EQ(sockets.size(), 1U);
        const pid_t helper = ::fork();
        if (helper == 0) {
            DumpRequest request;
            request.pid = original.pid();
            request.image_fd = image_file.get();
            request.stand_ins = {
                {.inode = original.inode(), .id = 0}, {.inode = sockets[0], .id = 1}};
            for (int attempt = 0; attempt < 1'000; ++attempt) {
                const auto report = Dump(request);
                if (report.ok()) {
                    ::_exit(0);
                }
                if (report.error().kind() != Error::Kind::kUnavailable) {
                    fmt::print(stderr, "{}\n", report.error().message());
                    break;
                }
            }
            ::_exit(1);
        }
        int status = 0;
        ASSERT_EQ(::waitpid(helper, &status, 0), helper);
        ASSERT_EQ(status, 0);
    }
    const auto image = ReadImage(image_file.get());
    ASSERT_TRUE(image.ok()) << image.error().message();
    TemplateOptions options;
    options.image_fd = image_file.get();
    const os::Fd root(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
    options.root_fd = root.get();
    const auto made = Template::Start(*image, options);
    ASSERT_TRUE(made.ok()) << made.error().message();
    for (int i = 0; i < 3; ++i) {
        const Pool pool(CLONE_NEWNS);
        auto [our_talk, their_talk] = StreamPair();
        auto [connection, their_connection] = StreamPair();
        CloneRequest request;
        request.sandbox_pidfd = pool.pidfd();
        request.namespaces = pool.namespaces();
        request.stand_ins = {their_talk.get(), their_connection.get()};
        auto clone = (*made)->MakeClone(request);
        ASSERT_TRUE(clone.ok()) << clone.error().message();
        their_connection.Close();
        for (int event = 1; event <= kEvents; ++event) {
            Answer(connection.get(), 200, std::to_string(event));
            EXPECT_THAT(ReadMessage(connection.get()), HasSubstr(fmt::format("answer {}", event)));
            Answer(connection.get(), 202, "");
            EXPECT_THAT(ReadMessage(connection.get()), StartsWith("GET /2018-06-01/"));
        }
        // When the connection ends it makes a new one, to the address that it has always had.
        connection.Close();
        const os::Fd again = server.Accept();
        ASSERT_TRUE(again.valid());
        EXPECT_THAT(ReadMessage(again.get()), HasSubstr("invocation/next"));
        testing_support::Restored ended;
        ended.clone = *std::move(clone);
    }
}

constexpr const char* kPython = R"(
import http.client, sys
connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]))
while True:
    try:
        connection.request("GET", "/2018-06-01/runtime/invocation/next")
        event = connection.getresponse().read().decode()
        connection.request("POST", "/2018-06-01/runtime/invocation/r/response", "answer " + event)
        connection.getresponse().read()
    except (http.client.HTTPException, OSError):
        connection.close()
)";

constexpr const char* kNode = R"(
const http = require("http");
const agent = new http.Agent({keepAlive: true, maxSockets: 1});
function call(method, path, body) {
    return new Promise((resolve, reject) => {
        const options = {agent, method, path, host: "127.0.0.1", port: process.argv[1]};
        const request = http.request(options, response => {
            let text = "";
            response.on("data", part => text += part);
            response.on("end", () => resolve(text));
            response.on("error", reject);
        });
        request.on("error", reject);
        request.end(body);
    });
}
(async () => {
    for (;;) {
        try {
            const event = await call("GET", "/2018-06-01/runtime/invocation/next");
            await call("POST", "/2018-06-01/runtime/invocation/r/response", "answer " + event);
        } catch (error) {}
    }
})();
)";

TEST(RuntimeApi, PythonsClientGoesOnWithAStandIn) {
    if (::access("/usr/bin/python3", X_OK) != 0) {
        GTEST_SKIP() << "no /usr/bin/python3";
    }
    RoundTrip({"/usr/bin/python3", "-c", kPython});
}

TEST(RuntimeApi, NodesClientGoesOnWithAStandIn) {
    if (::access("/usr/bin/node", X_OK) != 0) {
        GTEST_SKIP() << "no /usr/bin/node";
    }
    RoundTrip({"/usr/bin/node", "-e", kNode});
}

}  // namespace
}  // namespace hearth::snapshot
