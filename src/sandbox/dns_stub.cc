#include "sandbox/dns_stub.h"

#include "base/log.h"
#include "rt/fd_watch.h"
#include "rt/timeout.h"

#include <netdb.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <sstream>

namespace hearth::sandbox {

namespace {

constexpr size_t kHeaderBytes = 12;
constexpr size_t kMessageBytesMax = 4096;
constexpr std::chrono::seconds kPatience{3};

uint16_t Number(std::string_view message, size_t at) {
    return static_cast<uint16_t>(
        (static_cast<uint8_t>(message[at]) << 8) | static_cast<uint8_t>(message[at + 1]));
}

// The bytes of the first question, names uncompressed as they must be there; empty when malformed.
std::string_view QuestionSection(std::string_view message) {
    if (message.size() < kHeaderBytes || Number(message, 4) != 1) {
        return {};
    }
    size_t position = kHeaderBytes;
    while (position < message.size() && message[position] != '\0') {
        const auto length = static_cast<uint8_t>(message[position]);
        if (length > 63) {
            return {};
        }
        position += length + 1U;
    }
    if (position + 5 > message.size()) {
        return {};
    }
    return message.substr(kHeaderBytes, position + 5 - kHeaderBytes);
}

// A socket connected to a server of resolv.conf.
Result<os::Fd> Connect(const std::string& server) {
    const size_t hash = server.find('#');
    const std::string host = server.substr(0, hash);
    const std::string port = hash == std::string::npos ? "53" : server.substr(hash + 1);
    addrinfo hints{};
    hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
    hints.ai_socktype = SOCK_DGRAM;
    addrinfo* found = nullptr;
    if (const int error = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &found); error != 0) {
        return errors::Malformed("name server " + server);
    }
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, &::freeaddrinfo);
    os::Fd fd(::socket(found->ai_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd.valid() || ::connect(fd.get(), found->ai_addr, found->ai_addrlen) != 0) {
        return errors::System("name server " + server, errno);
    }
    return fd;
}

// Waits for the answer to `question` on a connected socket.
Task<std::string> ReadAnswer(int fd, std::string_view question) {
    auto watch = rt::FdWatch::Make(fd);
    if (!watch.ok()) {
        co_return std::string();
    }
    for (;;) {
        if (!(co_await watch->Readable()).ok()) {
            co_return std::string();
        }
        char buffer[kMessageBytesMax];
        const ssize_t count = ::recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);
        if (count < 0 && errno != EAGAIN && errno != EINTR) {
            co_return std::string();  // refused: try the next one
        }
        if (count > 0) {
            std::string answer(buffer, static_cast<size_t>(count));
            if (IsAnswerTo(answer, question)) {
                co_return answer;
            }
        }
    }
}

}  // namespace

std::vector<std::string> ParseNameServers(const std::string& resolv_conf) {
    std::vector<std::string> servers;
    std::istringstream lines(resolv_conf);
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words(line);
        std::string keyword;
        std::string address;
        if (words >> keyword >> address && keyword == "nameserver" && servers.size() < 3) {
            servers.push_back(address);
        }
    }
    return servers;
}

bool IsAnswerTo(std::string_view answer, std::string_view question) {
    const std::string_view asked = QuestionSection(question);
    return answer.size() >= kHeaderBytes && !asked.empty() &&
           Number(answer, 0) == Number(question, 0) && (answer[2] & '\x80') != 0 &&
           QuestionSection(answer) == asked;
}

DnsStub::DnsStub(os::Fd socket, std::vector<std::string> servers)
    : socket_(std::move(socket)), servers_(std::move(servers)) {}

Task<void> DnsStub::Run() {
    auto watch = rt::FdWatch::Make(socket_.get());
    if (!watch.ok()) {
        log::Error("sandbox: name server socket: {}", watch.error().message());
        co_return;
    }
    std::exception_ptr thrown;
    try {
        while ((co_await watch->Readable()).ok()) {
            for (;;) {
                char buffer[kMessageBytesMax];
                sockaddr_storage from{};
                socklen_t from_size = sizeof(from);
                const ssize_t count = ::recvfrom(
                    socket_.get(),
                    buffer,
                    sizeof(buffer),
                    MSG_DONTWAIT,
                    reinterpret_cast<sockaddr*>(&from),
                    &from_size);
                if (count < 0) {
                    break;
                }
                std::string question(buffer, static_cast<size_t>(count));
                const bool is_query = question.size() >= kHeaderBytes &&
                                      (question[2] & '\x80') == 0 &&
                                      !QuestionSection(question).empty();
                if (is_query && questions_.size() < kQuestionsMax) {
                    std::string address(reinterpret_cast<const char*>(&from), from_size);
                    questions_.Spawn(Answer(std::move(question), std::move(address)));
                }
            }
        }
    } catch (...) {
        // Cancelled: the children go first.
        thrown = std::current_exception();
        questions_.Cancel();
    }
    co_await questions_.Join();
    if (thrown) {
        std::rethrow_exception(thrown);
    }
}

Task<void> DnsStub::Answer(std::string question, std::string from) {
    std::string asked = question;
    if (::getrandom(asked.data(), 2, 0) != 2) {
        co_return;
    }
    std::string answer;
    for (const std::string& server : servers_) {
        auto socket = Connect(server);
        if (!socket.ok() || ::send(socket->get(), asked.data(), asked.size(), MSG_NOSIGNAL) < 0) {
            continue;
        }
        auto read = co_await rt::WithTimeout(ReadAnswer(socket->get(), asked), kPatience);
        if (read.has_value() && !read->empty()) {
            answer = *std::move(read);
            break;
        }
    }
    if (answer.empty()) {
        // Server failure: the program's resolver gives up at once instead of waiting.
        const std::string_view section = QuestionSection(question);
        answer = question.substr(0, kHeaderBytes) + std::string(section);
        answer[2] = static_cast<char>((answer[2] & 0x01) | 0x80);
        answer[3] = '\x82';
        std::fill(answer.begin() + 6, answer.begin() + kHeaderBytes, '\0');
    }
    answer.replace(0, 2, question, 0, 2);
    (void)::sendto(
        socket_.get(),
        answer.data(),
        answer.size(),
        MSG_DONTWAIT | MSG_NOSIGNAL,
        reinterpret_cast<const sockaddr*>(from.data()),
        static_cast<socklen_t>(from.size()));
}

}  // namespace hearth::sandbox
