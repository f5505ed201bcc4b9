// A small closed-loop HTTP/1.1 load generator: each connection sends the bytes of a file again and
// again and waits for the whole answer, so that what is measured is the server and not the client.
//
//   load PORT REQUEST_FILE CONNECTIONS SECONDS [--tls]
//
// REQUEST_FILE holds one complete request (signed beforehand; a signature lives five minutes).
// Prints one line of JSON: requests, errors (status other than 2xx), rate per second, p50/p99/max
// in µs.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

struct Tally {
    std::vector<uint32_t> latency_us;
    uint64_t errors = 0;
};

class Connection final {
  public:
    Connection(uint16_t port, SSL_CTX* tls) {
        fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
            std::perror("connect");
            std::exit(1);
        }
        const int on = 1;
        setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (tls != nullptr) {
            ssl_ = SSL_new(tls);
            SSL_set_fd(ssl_, fd_);
            if (SSL_connect(ssl_) != 1) {
                std::fputs("TLS handshake failed\n", stderr);
                std::exit(1);
            }
        }
    }

    ~Connection() {
        if (ssl_ != nullptr) {
            SSL_free(ssl_);
        }
        close(fd_);
    }

    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    // Sends the request and reads the whole answer; false when the server hung up.
    bool Exchange(const std::string& request, bool& ok) {
        size_t sent = 0;
        while (sent < request.size()) {
            const auto n =
                ssl_ != nullptr
                    ? static_cast<ssize_t>(SSL_write(
                          ssl_, request.data() + sent, static_cast<int>(request.size() - sent)))
                    : write(fd_, request.data() + sent, request.size() - sent);
            if (n <= 0) {
                return false;
            }
            sent += static_cast<size_t>(n);
        }
        buffer_.clear();
        size_t head_end = std::string::npos;
        size_t need = 0;
        for (;;) {
            char chunk[65536];
            const auto n = ssl_ != nullptr
                               ? static_cast<ssize_t>(SSL_read(ssl_, chunk, sizeof chunk))
                               : read(fd_, chunk, sizeof chunk);
            if (n <= 0) {
                return false;
            }
            buffer_.append(chunk, static_cast<size_t>(n));
            if (head_end == std::string::npos) {
                head_end = buffer_.find("\r\n\r\n");
                if (head_end == std::string::npos) {
                    continue;
                }
                need = head_end + 4 + ContentLength(head_end);
            }
            if (buffer_.size() >= need) {
                ok = buffer_.size() > 9 && buffer_[9] == '2';
                return true;
            }
        }
    }

  private:
    size_t ContentLength(size_t head_end) const {
        for (size_t at = buffer_.find("\r\n"); at < head_end; at = buffer_.find("\r\n", at + 2)) {
            static constexpr char kName[] = "content-length:";
            if (strncasecmp(buffer_.c_str() + at + 2, kName, sizeof kName - 1) == 0) {
                return std::strtoull(buffer_.c_str() + at + 2 + sizeof kName - 1, nullptr, 10);
            }
        }
        return 0;
    }

    int fd_ = -1;
    SSL* ssl_ = nullptr;
    std::string buffer_;
};

void Drive(
    uint16_t port, SSL_CTX* tls, const std::string& request, Clock::time_point end, Tally& tally) {
    Connection connection(port, tls);
    // Once at least: a cold start is one request.
    do {
        const auto begin = Clock::now();
        bool ok = false;
        if (!connection.Exchange(request, ok)) {
            ++tally.errors;
            return;
        }
        tally.errors += ok ? 0 : 1;
        tally.latency_us.push_back(static_cast<uint32_t>(
            std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - begin).count() /
            1000));
    } while (Clock::now() < end);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 5) {
        std::fputs("usage: load PORT REQUEST_FILE CONNECTIONS SECONDS [--tls]\n", stderr);
        return 2;
    }
    const auto port = static_cast<uint16_t>(std::atoi(argv[1]));
    std::ifstream file(argv[2], std::ios::binary);
    const std::string request((std::istreambuf_iterator<char>(file)), {});
    const auto connections = static_cast<size_t>(std::atoi(argv[3]));
    const double seconds = std::atof(argv[4]);
    SSL_CTX* tls =
        argc > 5 && std::strcmp(argv[5], "--tls") == 0 ? SSL_CTX_new(TLS_client_method()) : nullptr;
    std::vector<Tally> tallies(connections);
    std::vector<std::thread> threads;
    const auto begin = Clock::now();
    const auto end = begin + std::chrono::microseconds(static_cast<int64_t>(seconds * 1e6));
    for (Tally& tally : tallies) {
        threads.emplace_back([&] { Drive(port, tls, request, end, tally); });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    const double took_s = std::chrono::duration<double>(Clock::now() - begin).count();
    std::vector<uint32_t> all;
    uint64_t errors = 0;
    for (const Tally& tally : tallies) {
        all.insert(all.end(), tally.latency_us.begin(), tally.latency_us.end());
        errors += tally.errors;
    }
    if (all.empty()) {
        std::fputs("no request was answered\n", stderr);
        return 1;
    }
    std::sort(all.begin(), all.end());
    std::printf(
        "{\"requests\": %zu, \"errors\": %llu, \"per_second\": %.0f, \"p50_us\": %u, \"p99_us\": "
        "%u, \"max_us\": %u}\n",
        all.size(),
        static_cast<unsigned long long>(errors),
        static_cast<double>(all.size()) / took_s,
        all[all.size() / 2],
        all[all.size() * 99 / 100],
        all.back());
    return 0;
}
