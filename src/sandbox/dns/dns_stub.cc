#include "sandbox/dns/dns_stub.h"

#include "rt/fd_watch.h"
#include "rt/timeout.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <string>

namespace hearth::sandbox {
namespace {

constexpr size_t kHeaderBytes = 12;
constexpr size_t kUpstreamsMax = 3;
constexpr uint8_t kResponseBit = 0x80;
constexpr uint8_t kServerFailure = 2;

// Length of the first question (name, type, class) after the header; 0 when it does not fit.
size_t QuestionBytes(std::string_view message) {
    size_t at = kHeaderBytes;
    while (at < message.size()) {
        const auto label = static_cast<uint8_t>(message[at]);
        if (label == 0) {
            const size_t end = at + 1 + 4;
            return end <= message.size() ? end - kHeaderBytes : 0;
        }
        // No compression in a question.
        if (label > 63) {
            return 0;
        }
        at += size_t{label} + 1;
    }
    return 0;
}

bool IsQuery(std::string_view message) {
    return message.size() >= kHeaderBytes &&
           (static_cast<uint8_t>(message[2]) & kResponseBit) == 0 && message[4] == 0 &&
           message[5] == 1 && QuestionBytes(message) > 0;
}

// The query with its answer bits set: the name may exist, but nobody could be asked.
std::string ServerFailure(std::string_view query) {
    std::string answer(query.substr(0, kHeaderBytes + QuestionBytes(query)));
    answer[2] = static_cast<char>(static_cast<uint8_t>(answer[2]) | kResponseBit);
    answer[3] = static_cast<char>(0x80 | kServerFailure);
    // No records but the question.
    for (size_t i = 6; i < kHeaderBytes; ++i) {
        answer[i] = 0;
    }
    return answer;
}

bool Answers(std::string_view answer, std::string_view query) {
    const size_t question = QuestionBytes(query);
    return answer.size() >= kHeaderBytes + question && answer.substr(0, 2) == query.substr(0, 2) &&
           (static_cast<uint8_t>(answer[2]) & kResponseBit) != 0 &&
           QuestionBytes(answer) == question;
}

}  // namespace

struct DnsStub::Query {
    std::string message;
    sockaddr_storage from{};
    socklen_t from_size = 0;
};

std::vector<DnsUpstream> ParseResolvConf(std::string_view text) {
    std::vector<DnsUpstream> found;
    while (!text.empty() && found.size() < kUpstreamsMax) {
        const size_t end = text.find('\n');
        std::string_view line = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        static constexpr std::string_view kKeyword = "nameserver";
        if (!line.starts_with(kKeyword)) {
            continue;
        }
        line.remove_prefix(kKeyword.size());
        const size_t begin = line.find_first_not_of(" \t");
        if (begin == 0 || begin == std::string_view::npos) {
            continue;
        }
        const size_t after = line.find_first_of(" \t\r#;%", begin);
        const std::string address(
            line.substr(begin, after == std::string_view::npos ? after : after - begin));
        DnsUpstream upstream;
        sockaddr_in v4{};
        sockaddr_in6 v6{};
        if (inet_pton(AF_INET, address.c_str(), &v4.sin_addr) == 1) {
            v4.sin_family = AF_INET;
            v4.sin_port = htons(53);
            std::memcpy(&upstream.address, &v4, sizeof v4);
            upstream.address_size = sizeof v4;
        } else if (inet_pton(AF_INET6, address.c_str(), &v6.sin6_addr) == 1) {
            v6.sin6_family = AF_INET6;
            v6.sin6_port = htons(53);
            std::memcpy(&upstream.address, &v6, sizeof v6);
            upstream.address_size = sizeof v6;
        } else {
            continue;
        }
        found.push_back(upstream);
    }
    return found;
}

Task<void> DnsStub::Serve(os::Fd socket) {
    auto watch = rt::FdWatch::Make(socket.get());
    if (!watch.ok()) {
        co_return;
    }
    co_await rt::WithTaskGroup([&](rt::TaskGroup& group) -> Task<void> {
        for (;;) {
            const Status readable = co_await watch->Readable();
            if (!readable.ok()) {
                co_return;
            }
            for (;;) {
                Query query;
                query.message.resize(kDnsBytesMax);
                query.from_size = sizeof query.from;
                const ssize_t got = recvfrom(
                    socket.get(),
                    query.message.data(),
                    query.message.size(),
                    MSG_DONTWAIT,
                    reinterpret_cast<sockaddr*>(&query.from),
                    &query.from_size);
                if (got < 0 && errno == EINTR) {
                    continue;
                }
                if (got < 0) {
                    break;
                }
                query.message.resize(static_cast<size_t>(got));
                if (IsQuery(query.message) && group.size() < kDnsQueriesMax) {
                    group.Spawn(Forward(socket.get(), std::move(query)));
                }
            }
        }
    });
}

Task<void> DnsStub::Forward(int socket, Query query) {
    std::string outgoing = query.message;
    const uint64_t id = random_.Uint64();
    outgoing[0] = static_cast<char>(id);
    outgoing[1] = static_cast<char>(id >> 8);
    std::string answer;
    for (const DnsUpstream& upstream : upstreams_) {
        answer = co_await Ask(upstream, outgoing);
        if (!answer.empty()) {
            break;
        }
    }
    if (answer.empty()) {
        answer = ServerFailure(query.message);
    }
    answer.replace(0, 2, query.message, 0, 2);
    // A function that reads no answers loses them: the socket's buffer is its own.
    sendto(
        socket,
        answer.data(),
        answer.size(),
        MSG_DONTWAIT | MSG_NOSIGNAL,
        reinterpret_cast<const sockaddr*>(&query.from),
        query.from_size);
}

Task<std::string> DnsStub::Ask(const DnsUpstream& upstream, const std::string& query) {
    const os::Fd socket(
        ::socket(upstream.address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket.valid() ||
        connect(
            socket.get(),
            reinterpret_cast<const sockaddr*>(&upstream.address),
            upstream.address_size) != 0 ||
        send(socket.get(), query.data(), query.size(), MSG_NOSIGNAL) < 0) {
        co_return std::string();
    }
    auto watch = rt::FdWatch::Make(socket.get());
    if (!watch.ok()) {
        co_return std::string();
    }
    std::string answer(kDnsBytesMax, '\0');
    const auto deadline =
        std::chrono::steady_clock::now() + std::chrono::milliseconds(kDnsAnswerTimeoutMs);
    for (;;) {
        const auto left = deadline - std::chrono::steady_clock::now();
        if (left <= std::chrono::nanoseconds(0)) {
            co_return std::string();
        }
        const auto readable = co_await rt::WithTimeout(watch->Readable(), left);
        if (!readable || !readable->ok()) {
            co_return std::string();
        }
        const ssize_t got = recv(socket.get(), answer.data(), answer.size(), MSG_DONTWAIT);
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
            continue;
        }
        if (got < 0) {
            co_return std::string();
        }
        const std::string_view received(answer.data(), static_cast<size_t>(got));
        if (Answers(received, query)) {
            co_return std::string(received);
        }
        // Somebody else's packet: wait on.
    }
}

}  // namespace hearth::sandbox
