// A closed-loop client of SQS for figures: many connections on one thread, requests in the JSON
// protocol, signed (SigV4, the key of the day is derived once), answers searched and not parsed, so
// that what is measured is the server and not the client.
//
//   queue_load PORT KEY SECRET QUEUE_URL MODE CONNECTIONS SECONDS COUNT
//
// MODE, at most COUNT messages (0: any number) and at most SECONDS:
//   send    SendMessageBatch of 10 messages of 256 bytes
//   drain   ReceiveMessage of up to 10 and DeleteMessageBatch of what came, until nothing comes
//   cycle   SendMessage, ReceiveMessage of one, DeleteMessage, GetQueueAttributes, in turn
//
// Prints one line of JSON: messages, errors, messages a second, and for each operation p10, p50 and
// p99 in µs.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kBatch = 10;
constexpr size_t kBodyBytes = 256;
constexpr std::string_view kType = "application/x-amz-json-1.0";
constexpr std::string_view kRegion = "us-east-1";

enum Operation { kSend, kReceive, kDelete, kCounts, kOperations };

constexpr std::array<const char*, kOperations> kNames = {"send", "receive", "delete", "counts"};

[[noreturn]] void Die(const char* what) {
    std::perror(what);
    std::exit(1);
}

std::string Hmac(std::string_view key, std::string_view text) {
    std::string out(SHA256_DIGEST_LENGTH, '\0');
    unsigned int size = 0;
    HMAC(
        EVP_sha256(),
        key.data(),
        static_cast<int>(key.size()),
        reinterpret_cast<const unsigned char*>(text.data()),
        text.size(),
        reinterpret_cast<unsigned char*>(out.data()),
        &size);
    return out;
}

std::string Hex(std::string_view bytes) {
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string out;
    out.reserve(bytes.size() * 2);
    for (const char c : bytes) {
        out += kDigits[static_cast<unsigned char>(c) >> 4];
        out += kDigits[static_cast<unsigned char>(c) & 15];
    }
    return out;
}

std::string Sha256Hex(std::string_view text) {
    std::string out(SHA256_DIGEST_LENGTH, '\0');
    SHA256(
        reinterpret_cast<const unsigned char*>(text.data()),
        text.size(),
        reinterpret_cast<unsigned char*>(out.data()));
    return Hex(out);
}

class Signer final {
  public:
    Signer(std::string key, const std::string& secret, uint16_t port)
        : key_(std::move(key)), secret_(secret), host_("127.0.0.1:" + std::to_string(port)) {}

    std::string Request(std::string_view target, std::string_view body) {
        const std::time_t now = std::time(nullptr);
        if (now != signed_at_) {
            signed_at_ = now;
            std::tm utc{};
            gmtime_r(&now, &utc);
            char text[32];
            std::strftime(text, sizeof text, "%Y%m%dT%H%M%SZ", &utc);
            date_ = text;
            const std::string day = date_.substr(0, 8);
            if (day != day_) {
                day_ = day;
                const std::string region = Hmac(Hmac("AWS4" + secret_, day_), kRegion);
                signing_key_ = Hmac(Hmac(region, "sqs"), "aws4_request");
            }
            scope_ = day_ + "/" + std::string(kRegion) + "/sqs/aws4_request";
        }
        std::string canonical = "POST\n/\n\ncontent-type:";
        canonical.append(kType).append("\nhost:").append(host_).append("\nx-amz-date:");
        canonical.append(date_).append("\nx-amz-target:AmazonSQS.").append(target);
        canonical.append("\n\ncontent-type;host;x-amz-date;x-amz-target\n").append(Sha256Hex(body));
        const std::string to_sign =
            "AWS4-HMAC-SHA256\n" + date_ + "\n" + scope_ + "\n" + Sha256Hex(canonical);
        std::string request = "POST / HTTP/1.1\r\nHost: ";
        request.append(host_).append("\r\nContent-Type: ").append(kType);
        request.append("\r\nX-Amz-Date: ").append(date_);
        request.append("\r\nX-Amz-Target: AmazonSQS.").append(target);
        request.append("\r\nAuthorization: AWS4-HMAC-SHA256 Credential=").append(key_).append("/");
        request.append(scope_).append(
            ", SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature=");
        request.append(Hex(Hmac(signing_key_, to_sign))).append("\r\nContent-Length: ");
        request.append(std::to_string(body.size())).append("\r\n\r\n").append(body);
        return request;
    }

  private:
    const std::string key_;
    const std::string secret_;
    const std::string host_;
    std::time_t signed_at_ = 0;
    std::string date_;
    std::string day_;
    std::string scope_;
    std::string signing_key_;
};

// One keep-alive connection: a request, its whole answer, the next.
class Connection final {
  public:
    explicit Connection(uint16_t port) {
        fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
            Die("connect");
        }
        const int on = 1;
        setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }

    ~Connection() { close(fd_); }

    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    int fd() const { return fd_; }

    // Requests are smaller than a socket's buffer, so this does not wait long.
    void Send(Operation operation_in, const std::string& request) {
        operation = operation_in;
        begun = Clock::now();
        answer_.clear();
        need_ = 0;
        for (size_t sent = 0; sent < request.size();) {
            const ssize_t n = write(fd_, request.data() + sent, request.size() - sent);
            if (n <= 0) {
                Die("write");
            }
            sent += static_cast<size_t>(n);
        }
    }

    // Reads what is there; true when the answer is complete.
    bool Read() {
        char chunk[65536];
        const ssize_t n = recv(fd_, chunk, sizeof chunk, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            return false;
        }
        if (n <= 0) {
            std::fputs("the server hung up\n", stderr);
            std::exit(1);
        }
        answer_.append(chunk, static_cast<size_t>(n));
        if (need_ == 0) {
            const size_t head_end = answer_.find("\r\n\r\n");
            if (head_end == std::string::npos) {
                return false;
            }
            need_ = head_end + 4 + ContentLength(head_end);
        }
        return answer_.size() >= need_;
    }

    bool ok() const {
        return answer_.size() > 9 && answer_[9] == '2' &&
               answer_.find("\"Failed\":[{") == answer_.npos;
    }

    // As they stand in the answer, escapes included.
    std::vector<std::string> Handles() const {
        static constexpr std::string_view kName = "\"ReceiptHandle\":\"";
        std::vector<std::string> handles;
        for (size_t at = answer_.find(kName); at != answer_.npos; at = answer_.find(kName, at)) {
            at += kName.size();
            const size_t end = answer_.find('"', at);
            handles.push_back(answer_.substr(at, end - at));
        }
        return handles;
    }

    const std::string& answer() const { return answer_; }

    Operation operation = kSend;
    Clock::time_point begun;
    std::vector<std::string> handles;

  private:
    size_t ContentLength(size_t head_end) const {
        for (size_t at = answer_.find("\r\n"); at < head_end; at = answer_.find("\r\n", at + 2)) {
            static constexpr char kName[] = "content-length:";
            if (strncasecmp(answer_.c_str() + at + 2, kName, sizeof kName - 1) == 0) {
                return std::strtoull(answer_.c_str() + at + 2 + sizeof kName - 1, nullptr, 10);
            }
        }
        return 0;
    }

    int fd_ = -1;
    std::string answer_;
    size_t need_ = 0;
};

class Load final {
  public:
    Load(Signer signer, std::string queue_url, std::string mode, uint64_t count)
        : signer_(std::move(signer)), mode_(std::move(mode)), count_(count) {
        queue_ = "{\"QueueUrl\":\"" + queue_url + "\"";
        const std::string body(kBodyBytes, 'm');
        send_one_ = queue_ + ",\"MessageBody\":\"" + body + "\"}";
        send_batch_ = queue_ + ",\"Entries\":[";
        for (size_t i = 0; i < kBatch; ++i) {
            send_batch_ += i == 0 ? "" : ",";
            send_batch_ +=
                "{\"Id\":\"" + std::to_string(i) + "\",\"MessageBody\":\"" + body + "\"}";
        }
        send_batch_ += "]}";
    }

    void Run(uint16_t port, size_t connections, double seconds) {
        end_ = Clock::now() + std::chrono::microseconds(static_cast<int64_t>(seconds * 1e6));
        const int poll = epoll_create1(EPOLL_CLOEXEC);
        std::vector<std::unique_ptr<Connection>> all;
        for (size_t i = 0; i < connections; ++i) {
            all.push_back(std::make_unique<Connection>(port));
            epoll_event event{.events = EPOLLIN, .data = {.ptr = all.back().get()}};
            epoll_ctl(poll, EPOLL_CTL_ADD, all.back()->fd(), &event);
        }
        const Clock::time_point begun = Clock::now();
        for (const auto& connection : all) {
            Begin(*connection);
        }
        std::array<epoll_event, 64> events;
        while (running_ > 0) {
            const int ready = epoll_wait(poll, events.data(), events.size(), -1);
            for (int i = 0; i < ready; ++i) {
                auto& connection =
                    *static_cast<Connection*>(events[static_cast<size_t>(i)].data.ptr);
                if (connection.Read()) {
                    Answered(connection);
                }
            }
        }
        const double took = std::chrono::duration<double>(Clock::now() - begun).count();
        close(poll);
        Print(took);
    }

  private:
    bool Over() const {
        return Clock::now() >= end_ || (count_ > 0 && messages_ + under_way_ >= count_);
    }

    void Begin(Connection& connection) {
        if (Over()) {
            return;
        }
        ++running_;
        if (mode_ == "send") {
            under_way_ += kBatch;
            connection.Send(kSend, signer_.Request("SendMessageBatch", send_batch_));
        } else if (mode_ == "drain") {
            Receive(connection, kBatch);
        } else {
            ++under_way_;
            connection.Send(kSend, signer_.Request("SendMessage", send_one_));
        }
    }

    void Receive(Connection& connection, size_t max) {
        const std::string body = queue_ + ",\"MaxNumberOfMessages\":" + std::to_string(max) + "}";
        connection.Send(kReceive, signer_.Request("ReceiveMessage", body));
    }

    void Answered(Connection& connection) {
        latencies_[connection.operation].push_back(static_cast<uint32_t>(
            std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - connection.begun)
                .count()));
        if (!connection.ok()) {
            if (errors_++ == 0) {
                std::fprintf(stderr, "%s\n", connection.answer().c_str());
            }
        }
        if (mode_ == "send") {
            messages_ += kBatch;
            under_way_ -= kBatch;
        } else if (mode_ == "drain") {
            if (connection.operation == kReceive) {
                connection.handles = connection.Handles();
                if (connection.handles.empty()) {
                    // Nothing is left.
                    --running_;
                    return;
                }
                under_way_ += connection.handles.size();
                DeleteBatch(connection);
                return;
            }
            messages_ += connection.handles.size();
            under_way_ -= connection.handles.size();
        } else if (!Cycle(connection)) {
            return;
        }
        --running_;
        Begin(connection);
    }

    // True after the last operation of a round.
    bool Cycle(Connection& connection) {
        switch (connection.operation) {
            case kSend:
                Receive(connection, 1);
                return false;
            case kReceive: {
                connection.handles = connection.Handles();
                const std::string handle = connection.handles.empty() ? "" : connection.handles[0];
                const std::string body = queue_ + ",\"ReceiptHandle\":\"" + handle + "\"}";
                connection.Send(kDelete, signer_.Request("DeleteMessage", body));
                return false;
            }
            case kDelete: {
                const std::string body = queue_ + ",\"AttributeNames\":[\"All\"]}";
                connection.Send(kCounts, signer_.Request("GetQueueAttributes", body));
                return false;
            }
            default:
                ++messages_;
                --under_way_;
                return true;
        }
    }

    void DeleteBatch(Connection& connection) {
        std::string body = queue_ + ",\"Entries\":[";
        for (size_t i = 0; i < connection.handles.size(); ++i) {
            body += i == 0 ? "" : ",";
            body.append("{\"Id\":\"").append(std::to_string(i)).append("\",\"ReceiptHandle\":\"");
            body.append(connection.handles[i]).append("\"}");
        }
        body += "]}";
        connection.Send(kDelete, signer_.Request("DeleteMessageBatch", body));
    }

    void Print(double took) {
        std::printf(
            "{\"messages\": %llu, \"errors\": %llu, \"seconds\": %.3f, \"per_second\": %.1f",
            static_cast<unsigned long long>(messages_),
            static_cast<unsigned long long>(errors_),
            took,
            static_cast<double>(messages_) / took);
        for (size_t operation = 0; operation < kOperations; ++operation) {
            std::vector<uint32_t>& all = latencies_[operation];
            if (all.empty()) {
                continue;
            }
            std::sort(all.begin(), all.end());
            std::printf(
                ", \"%s\": {\"p10_us\": %u, \"p50_us\": %u, \"p99_us\": %u}",
                kNames[operation],
                all[all.size() / 10],
                all[all.size() / 2],
                all[all.size() * 99 / 100]);
        }
        std::puts("}");
    }

    Signer signer_;
    const std::string mode_;
    const uint64_t count_;
    std::string queue_;
    std::string send_one_;
    std::string send_batch_;
    Clock::time_point end_;
    size_t running_ = 0;
    uint64_t messages_ = 0;
    uint64_t under_way_ = 0;
    uint64_t errors_ = 0;
    std::array<std::vector<uint32_t>, kOperations> latencies_;
};

}  // namespace

int main(int argc, char** argv) {
    if (argc != 9) {
        std::fputs(
            "usage: queue_load PORT KEY SECRET QUEUE_URL send|drain|cycle CONNECTIONS SECONDS "
            "COUNT\n",
            stderr);
        return 2;
    }
    const auto port = static_cast<uint16_t>(std::atoi(argv[1]));
    Load load(
        Signer(argv[2], argv[3], port), argv[4], argv[5], std::strtoull(argv[8], nullptr, 10));
    load.Run(port, static_cast<size_t>(std::atoi(argv[6])), std::atof(argv[7]));
    return 0;
}
