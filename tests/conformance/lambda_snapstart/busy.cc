// The C++ function of test_volume.py: threads, a timer, a file, a child and sockets in each call.
// {"n": 7} gives 4 * 7 + 3.
#include "hearth_runtime.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

namespace {

void Require(bool condition, const char* what) {
    if (!condition) {
        throw hearth_runtime::Failure("Busy", what);
    }
}

std::string ReadAll(int socket) {
    std::string text;
    std::array<char, 512> part{};
    for (ssize_t count = 0; (count = read(socket, part.data(), part.size())) > 0;) {
        text.append(part.data(), static_cast<size_t>(count));
    }
    return text;
}

// What `text` is answered by a server of this function's own.
std::string ThroughOwnServer(const std::string& text) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    const int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    Require(bind(server, any, size) == 0 && listen(server, 1) == 0, "no server");
    getsockname(server, any, &size);
    std::thread serving([server] {
        const int caller = accept4(server, nullptr, nullptr, SOCK_CLOEXEC);
        const std::string heard = ReadAll(caller);
        (void)!write(caller, heard.data(), heard.size());
        close(caller);
    });
    const int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool sent = connect(client, any, size) == 0 &&
                      write(client, text.data(), text.size()) == static_cast<ssize_t>(text.size());
    shutdown(client, SHUT_WR);
    std::string answer = ReadAll(client);
    close(client);
    shutdown(server, SHUT_RDWR);
    serving.join();
    close(server);
    Require(sent, "its server is not reached");
    return answer;
}

// ListBuckets: what nobody signed is from the function's role here.
void AskCloud() {
    const std::string url = std::getenv("AWS_ENDPOINT_URL");
    const size_t begin = url.find("//") + 2;
    const size_t colon = url.find(':', begin);
    addrinfo* found = nullptr;
    addrinfo wanted{};
    wanted.ai_family = AF_INET;
    wanted.ai_socktype = SOCK_STREAM;
    Require(
        getaddrinfo(
            url.substr(begin, colon - begin).c_str(),
            url.substr(colon + 1).c_str(),
            &wanted,
            &found) == 0,
        "the endpoint has no address");
    const int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool connected = connect(client, found->ai_addr, found->ai_addrlen) == 0;
    freeaddrinfo(found);
    const std::string request = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    (void)!write(client, request.data(), request.size());
    const std::string answer = ReadAll(client);
    close(client);
    Require(connected && answer.starts_with("HTTP/1.1 200 "), "the cloud does not answer");
}

void WaitForTimer() {
    const int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    const itimerspec once{.it_interval = {}, .it_value = {0, 500'000}};
    timerfd_settime(timer, 0, &once, nullptr);
    uint64_t rang = 0;
    Require(read(timer, &rang, sizeof(rang)) == sizeof(rang) && rang > 0, "the timer");
    close(timer);
}

void RunChild(long n) {
    std::string command = "exit " + std::to_string(n % 7);
    std::string shell = "/bin/sh";
    std::string option = "-c";
    std::array<char*, 4> arguments = {shell.data(), option.data(), command.data(), nullptr};
    pid_t child = 0;
    int status = 0;
    Require(
        posix_spawn(&child, shell.c_str(), nullptr, nullptr, arguments.data(), environ) == 0 &&
            waitpid(child, &status, 0) == child && WEXITSTATUS(status) == n % 7,
        "the child");
}

std::string Busy(const std::string& event) {
    static std::vector<std::string> kept;
    const size_t colon = event.find(':');
    const long n =
        colon == std::string::npos ? 0 : std::strtol(event.c_str() + colon + 1, nullptr, 10);
    kept.emplace_back(10'000, 'x');
    if (kept.size() > 50) {
        kept.clear();
    }
    std::array<long, 3> results{};
    std::vector<std::thread> threads;
    for (long k = 0; k < 3; ++k) {
        threads.emplace_back([&results, n, k] { results[static_cast<size_t>(k)] = n + k; });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    WaitForTimer();
    const std::string name = "/tmp/" + std::to_string(n);
    std::FILE* const file = std::fopen(name.c_str(), "w+");
    long read_back = -1;
    Require(
        file != nullptr && std::fprintf(file, "%ld", n) > 0 && std::fseek(file, 0, SEEK_SET) == 0 &&
            std::fscanf(file, "%ld", &read_back) == 1 && read_back == n,
        "the file");
    std::fclose(file);
    unlink(name.c_str());
    Require(ThroughOwnServer(event) == event, "the echo");
    if (n % 10 == 0) {
        RunChild(n);
        AskCloud();
    }
    return std::to_string(results[0] + results[1] + results[2] + n);
}

}  // namespace

int main() {
    return hearth_runtime::Run(Busy);
}
