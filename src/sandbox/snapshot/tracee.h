#pragma once

#include "base/result.h"
#include "sandbox/snapshot/image.h"

#include <sys/user.h>

#include <array>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

// A process of which every thread is stopped by ptrace, so that nothing in it moves.
//
// The process is hostile. It can be gone at any moment (every call may fail), and it chose all
// registers and memory, but while it is stopped it cannot act. System calls run in it one
// instruction at a time with all its signals blocked and its system call filter suspended, where we
// may. When
// whoever holds it dies, the kernel kills the process: it never goes on with our registers.
//
// All calls from the thread that made it, since that thread is the tracer.
namespace hearth::snapshot {

class Tracee final {
  public:
    struct StoppedThread {
        int tid = 0;  // in our pid namespace
        user_regs_struct registers{};
        uint64_t signal_mask = 0;
        bool injected = false;
    };

    // Stops all threads of `pid`, the leader first in threads().
    //   errors    NotSnapshottable: the kernel lets us not trace it; Unavailable: it has ended.
    // Waits for threads in uninterruptible sleep without limit: whoever needs a deadline ends us.
    static Result<Tracee> Seize(int pid);

    Tracee(Tracee&& other) noexcept;
    Tracee& operator=(Tracee&&) = delete;
    // As Release.
    ~Tracee();

    int pid() const { return pid_; }

    std::vector<StoppedThread>& threads() { return threads_; }

    // Where a `syscall` instruction stands, in its vdso: the caller has compared that with ours.
    void SetSyscallAddress(uint64_t address) { syscall_address_ = address; }

    // Runs one system call in a thread. A failed call is a value (-errno), as the kernel gives it.
    Result<int64_t> Call(
        StoppedThread& thread, long number, std::initializer_list<uint64_t> arguments);

    // The vector registers, as the kernel lays them out.
    static Result<std::string> ReadXstate(int tid, uint64_t bytes_max);

    // Reads its memory, where necessary against the page's protection. Errors when a part is not
    // there.
    Status Read(uint64_t address, void* into, size_t bytes) const;

    // Lets it go on where it was.
    void Release();

    // Kills it; it is gone when the tracer has waited for it, which this does.
    void Kill();

  private:
    explicit Tracee(int pid) : pid_(pid) {}

    Status SeizeThread(int tid, bool& gone);
    Status StopThread(int tid, bool& gone);

    int pid_ = -1;
    int memory_fd_ = -1;
    uint64_t syscall_address_ = 0;
    std::vector<StoppedThread> threads_;
};

// Makes registers of a stopped thread ones with which it can go on in another process: a system
// call that the stop has interrupted is made again. Relative timeouts start anew.
void ApplyRestartRule(user_regs_struct& registers);

}  // namespace hearth::snapshot
