#include "vmm/image/run_program.h"

#include "os/file.h"

#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace hearth::vmm {
namespace {

// Reads both to their ends without letting either fill up.
std::array<std::string, 2> ReadBoth(int out, int err) {
    std::array<std::string, 2> texts;
    std::array<pollfd, 2> waiting = {pollfd{out, POLLIN, 0}, pollfd{err, POLLIN, 0}};
    while (waiting[0].fd >= 0 || waiting[1].fd >= 0) {
        if (::poll(waiting.data(), waiting.size(), -1) < 0 && errno != EINTR) {
            break;
        }
        for (size_t i = 0; i < waiting.size(); ++i) {
            if (waiting[i].fd < 0 || waiting[i].revents == 0) {
                continue;
            }
            std::array<char, 32 << 10> buffer;
            const ssize_t bytes = ::read(waiting[i].fd, buffer.data(), buffer.size());
            if (bytes > 0) {
                texts[i].append(buffer.data(), static_cast<size_t>(bytes));
            } else if (bytes == 0 || errno != EINTR) {
                waiting[i].fd = -1;
            }
        }
    }
    return texts;
}

std::vector<std::string> Environment() {
    std::vector<std::string> environment = {"LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive"};
    const char* path = std::getenv("PATH");
    environment.push_back(
        "PATH=" + std::string(path == nullptr ? "/usr/bin:/bin" : path) + ":/usr/sbin:/sbin");
    for (const char* name : {"HOME", "TMPDIR", "http_proxy", "https_proxy", "no_proxy"}) {
        if (const char* value = std::getenv(name); value != nullptr) {
            environment.push_back(std::string(name) + "=" + value);
        }
    }
    return environment;
}

}  // namespace

Result<std::string> RunProgram(const std::vector<std::string>& words) {
    HEARTH_TRY(auto out, os::Pipe(O_CLOEXEC));
    HEARTH_TRY(auto err, os::Pipe(O_CLOEXEC));
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, out.second.get(), 1);
    posix_spawn_file_actions_adddup2(&actions, err.second.get(), 2);
    std::vector<char*> arguments;
    for (const std::string& word : words) {
        arguments.push_back(const_cast<char*>(word.c_str()));
    }
    arguments.push_back(nullptr);
    std::vector<std::string> environment = Environment();
    std::vector<char*> variables;
    for (std::string& variable : environment) {
        variables.push_back(variable.data());
    }
    variables.push_back(nullptr);
    pid_t child = 0;
    const int error =
        ::posix_spawnp(&child, arguments[0], &actions, nullptr, arguments.data(), variables.data());
    posix_spawn_file_actions_destroy(&actions);
    if (error != 0) {
        return errors::Unavailable(fmt::format("{}: {}", words[0], std::strerror(error)));
    }
    out.second.Close();
    err.second.Close();
    auto texts = ReadBoth(out.first.get(), err.first.get());
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        constexpr size_t kShownBytes = 1000;
        std::string said = texts[1].empty() ? texts[0] : texts[1];
        if (said.size() > kShownBytes) {
            said.erase(0, said.size() - kShownBytes);
        }
        return errors::Unavailable(
            fmt::format("{} {} failed: {}", words[0], words.size() > 1 ? words[1] : "", said));
    }
    return std::move(texts[0]);
}

}  // namespace hearth::vmm
