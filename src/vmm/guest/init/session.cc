#include "vmm/guest/init/session.h"

#include "vmm/guest/exec_protocol.h"
#include "vmm/guest/init/exec_request.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <new>

namespace hearth::vmm {
namespace {

// Where the host names no variable.
char default_path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
char default_home[] = "HOME=/root";
char default_term[] = "TERM=linux";
char* default_variables[] = {default_path, default_home, default_term, nullptr};

class Session {
  public:
    Session(int connection, bool in_guest) : connection_(connection), in_guest_(in_guest) {}

    [[noreturn]] void Run() {
        // Sessions are told apart from what they run: the machine's end asks commands, not them.
        signal(SIGPIPE, SIG_IGN);
        if (!ReadRequest()) {
            _exit(0);
        }
        using Action = GuestExecRequest::Action;
        if (request_.action == Action::kReboot) {
            SendExit(0);
            if (in_guest_) {
                (void)kill(1, SIGINT);
            }
            _exit(0);
        }
        if (request_.action == Action::kPing) {
            SendExit(0);
            _exit(0);
        }
        Start();
        Copy();
        _exit(0);
    }

  private:
    // Reads until the line is there; what follows it belongs to the frames.
    bool ReadRequest() {
        size_t bytes = 0;
        for (;;) {
            // Never more at once than the frames have room for, should they follow.
            const size_t room = sizeof(line_) - bytes;
            const ssize_t got =
                read(connection_, line_ + bytes, room < sizeof(input_) ? room : sizeof(input_));
            if (got <= 0) {
                return false;
            }
            char* end = static_cast<char*>(memchr(line_ + bytes, '\n', static_cast<size_t>(got)));
            bytes += static_cast<size_t>(got);
            if (end != nullptr) {
                const size_t after = static_cast<size_t>(line_ + bytes - (end + 1));
                memcpy(input_, end + 1, after);
                input_bytes_ = after;
                const char* problem =
                    ParseExecRequest(line_, static_cast<size_t>(end - line_), &request_);
                return problem == nullptr || Refuse(problem);
            }
            if (bytes == sizeof(line_)) {
                return Refuse("the request is too long");
            }
        }
    }

    bool Refuse(const char* problem) {
        Complain(problem, "");
        SendExit(125);
        return false;
    }

    void Complain(const char* what, const char* why) {
        char text[256];
        const int bytes = snprintf(
            text, sizeof(text), "hearth-guest-init: %.150s%s%s\n", what, *why ? ": " : "", why);
        SendFrame(ExecStream::kStderr, text, static_cast<size_t>(bytes));
    }

    void SendAll(const void* data, size_t bytes) {
        const char* at = static_cast<const char*>(data);
        while (bytes > 0) {
            const ssize_t sent = send(connection_, at, bytes, MSG_NOSIGNAL);
            if (sent < 0 && errno == EINTR) {
                continue;
            }
            if (sent <= 0) {
                HostIsGone();
            }
            at += sent;
            bytes -= static_cast<size_t>(sent);
        }
    }

    void SendFrame(ExecStream stream, const void* data, size_t bytes) {
        unsigned char header[kFrameHeaderBytes] = {static_cast<unsigned char>(stream)};
        const auto length = static_cast<uint32_t>(bytes);
        memcpy(header + 1, &length, sizeof(length));
        SendAll(header, sizeof(header));
        SendAll(data, bytes);
    }

    void SendExit(int status) {
        const auto value = static_cast<uint32_t>(status);
        SendFrame(ExecStream::kExit, &value, sizeof(value));
    }

    // The host has hung up: the command and all it started end, then this process does.
    [[noreturn]] void HostIsGone() {
        if (group_[0] != '\0') {
            char path[96];
            snprintf(path, sizeof(path), "%s/cgroup.kill", group_);
            const int fd = open(path, O_WRONLY | O_CLOEXEC);
            if (fd >= 0) {
                (void)!write(fd, "1", 1);
                close(fd);
            }
        }
        if (command_ > 0) {
            (void)kill(-command_, SIGKILL);
        }
        _exit(0);
    }

    // A control group of its own, so that nothing the command starts can leave; without one the
    // process group has to do.
    void MakeGroup() {
        snprintf(group_, sizeof(group_), "/sys/fs/cgroup/exec-%d", getpid());
        if (!in_guest_ || mkdir(group_, 0755) != 0) {
            group_[0] = '\0';
        }
    }

    void JoinGroup() const {
        if (group_[0] == '\0') {
            return;
        }
        char path[96];
        snprintf(path, sizeof(path), "%s/cgroup.procs", group_);
        const int fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd >= 0) {
            (void)!write(fd, "0", 1);
            close(fd);
        }
    }

    void Start() {
        int in[2];
        int out[2];
        int err[2];
        int failed[2];
        if (pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0 ||
            pipe2(failed, O_CLOEXEC) != 0 || pipe2(in, O_CLOEXEC) != 0) {
            Refuse(strerror(errno));
            _exit(0);
        }
        MakeGroup();
        command_ = fork();
        if (command_ < 0) {
            Refuse(strerror(errno));
            _exit(0);
        }
        if (command_ == 0) {
            (void)setsid();
            JoinGroup();
            const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
            dup2(request_.with_stdin ? in[0] : null, 0);
            dup2(out[1], 1);
            dup2(err[1], 2);
            if (request_.directory[0] != '\0' && chdir(request_.directory) != 0) {
                const int error = errno;
                (void)!write(failed[1], &error, sizeof(error));
                _exit(126);
            }
            RunProgram(request_.argv, Environment(), failed[1]);
        }
        close(in[0]);
        close(out[1]);
        close(err[1]);
        close(failed[1]);
        int error = 0;
        if (read(failed[0], &error, sizeof(error)) == static_cast<ssize_t>(sizeof(error))) {
            Complain(request_.argv[0], strerror(error));
        }
        close(failed[0]);
        stdin_ = in[1];
        if (!request_.with_stdin) {
            CloseStdin();
        } else {
            (void)fcntl(stdin_, F_SETFL, O_NONBLOCK);
        }
        output_[0] = out[0];
        output_[1] = err[0];
        for (const int fd : output_) {
            (void)fcntl(fd, F_SETFL, O_NONBLOCK);
        }
        process_ = static_cast<int>(syscall(SYS_pidfd_open, command_, 0));
    }

    // What the host set; PATH at least.
    char** Environment() {
        if (request_.environment_size == 0) {
            return default_variables;
        }
        for (size_t i = 0; i < request_.environment_size; ++i) {
            if (strncmp(request_.environment[i], "PATH=", 5) == 0) {
                return request_.environment;
            }
        }
        if (request_.environment_size < kExecArgumentsMax) {
            request_.environment[request_.environment_size++] = default_path;
            request_.environment[request_.environment_size] = nullptr;
        }
        return request_.environment;
    }

    void CloseStdin() {
        if (stdin_ >= 0) {
            close(stdin_);
            stdin_ = -1;
        }
    }

    // The command's pipes and the host's frames, until the command has ended and its output is out.
    void Copy() {
        for (;;) {
            TakeFrames();
            pollfd waiting[] = {
                {input_bytes_ == sizeof(input_) || stdin_left_ > 0 ? -1 : connection_,
                 POLLIN | POLLRDHUP,
                 0},
                {stdin_left_ > 0 && input_bytes_ > 0 ? stdin_ : -1, POLLOUT, 0},
                {output_[0], POLLIN, 0},
                {output_[1], POLLIN, 0},
                {process_, POLLIN, 0},
            };
            // Frames of input that the pipe has no room for: the connection is not read meanwhile,
            // but its end is noticed.
            if (waiting[0].fd < 0 || (stdin_left_ > 0 && input_bytes_ == 0)) {
                waiting[0] = {
                    connection_,
                    static_cast<short>(input_bytes_ == 0 ? POLLIN | POLLRDHUP : POLLRDHUP),
                    0};
            }
            if (poll(waiting, 5, -1) < 0 && errno != EINTR) {
                return;
            }
            if ((waiting[2].revents | waiting[3].revents) != 0) {
                CopyOutput(0);
                CopyOutput(1);
            }
            if ((waiting[0].revents & POLLIN) != 0) {
                ReadFrames();
            } else if ((waiting[0].revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0) {
                HostIsGone();
            }
            int status = 0;
            if (waitpid(command_, &status, WNOHANG) == command_) {
                // All that it wrote is in the pipes already; what its background children write
                // later is nobody's.
                while (CopyOutput(0) || CopyOutput(1)) {
                }
                (void)rmdir(group_);
                SendExit(StatusOf(status));
                return;
            }
        }
    }

    bool CopyOutput(int which) {
        if (output_[which] < 0) {
            return false;
        }
        const ssize_t bytes = read(output_[which], output_buffer_, sizeof(output_buffer_));
        if (bytes > 0) {
            SendFrame(
                which == 0 ? ExecStream::kStdout : ExecStream::kStderr,
                output_buffer_,
                static_cast<size_t>(bytes));
            return true;
        }
        if (bytes == 0 || (errno != EAGAIN && errno != EINTR)) {
            close(output_[which]);
            output_[which] = -1;
        }
        return false;
    }

    void ReadFrames() {
        const ssize_t bytes =
            recv(connection_, input_ + input_bytes_, sizeof(input_) - input_bytes_, MSG_DONTWAIT);
        if (bytes == 0 || (bytes < 0 && errno != EAGAIN && errno != EINTR)) {
            HostIsGone();
        }
        if (bytes > 0) {
            input_bytes_ += static_cast<size_t>(bytes);
        }
    }

    void Consume(size_t bytes) {
        input_bytes_ -= bytes;
        memmove(input_, input_ + bytes, input_bytes_);
    }

    // Whatever of the input can be acted on now.
    void TakeFrames() {
        for (;;) {
            if (stdin_left_ > 0) {
                if (input_bytes_ == 0 || !WriteStdin()) {
                    return;
                }
                continue;
            }
            if (input_bytes_ < kFrameHeaderBytes) {
                return;
            }
            uint32_t length = 0;
            memcpy(&length, input_ + 1, sizeof(length));
            const auto stream = static_cast<ExecStream>(static_cast<unsigned char>(input_[0]));
            if (stream == ExecStream::kStdin && length <= kFrameBytesMax) {
                Consume(kFrameHeaderBytes);
                stdin_left_ = length;
                if (length == 0) {
                    CloseStdin();
                }
            } else if (stream == ExecStream::kSignal && length == 1) {
                if (input_bytes_ < kFrameHeaderBytes + 1) {
                    return;
                }
                (void)kill(-command_, static_cast<unsigned char>(input_[kFrameHeaderBytes]));
                Consume(kFrameHeaderBytes + 1);
            } else {
                HostIsGone();
            }
        }
    }

    // Returns whether something went on.
    bool WriteStdin() {
        const size_t wanted = input_bytes_ < stdin_left_ ? input_bytes_ : stdin_left_;
        size_t gone = wanted;
        if (stdin_ >= 0) {
            const ssize_t bytes = write(stdin_, input_, wanted);
            if (bytes < 0 && (errno == EAGAIN || errno == EINTR)) {
                return false;
            }
            if (bytes < 0) {
                // The command reads no more: what else comes is dropped.
                CloseStdin();
            } else {
                gone = static_cast<size_t>(bytes);
            }
        }
        Consume(gone);
        stdin_left_ -= gone;
        return true;
    }

    int connection_;
    bool in_guest_;
    pid_t command_ = 0;
    int process_ = -1;
    int stdin_ = -1;
    int output_[2] = {-1, -1};
    char group_[64] = "";
    size_t input_bytes_ = 0;
    // Of the frame of input that is under way.
    size_t stdin_left_ = 0;
    GuestExecRequest request_;
    char line_[kExecRequestBytesMax];
    char input_[kFrameBytesMax + kFrameHeaderBytes];
    char output_buffer_[32 << 10];
};

alignas(Session) unsigned char session_memory[sizeof(Session)];

}  // namespace

char* const* DefaultEnvironment() {
    return default_variables;
}

int StatusOf(int wait_status) {
    return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

[[noreturn]] void RunProgram(char* const* argv, char* const* environment, int error_pipe) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    signal(SIGPIPE, SIG_DFL);
    environ = const_cast<char**>(environment);
    execvp(argv[0], argv);
    const int error = errno;
    if (error_pipe >= 0) {
        (void)!write(error_pipe, &error, sizeof(error));
    } else {
        dprintf(STDERR_FILENO, "hearth-guest-init: %s: %s\n", argv[0], strerror(error));
    }
    _exit(error == ENOENT ? 127 : 126);
}

void RunSession(int connection, bool in_guest) {
    auto* session = new (session_memory) Session(connection, in_guest);
    session->Run();
}

}  // namespace hearth::vmm
