// A process to be snapshotted: makes state of many kinds, then answers commands, one letter each,
// on descriptor 0. The answer is one line that begins with "ok" when all is as it was before the
// snapshot. Built without sanitizers, whose memory is not what functions have.
//
//   target KIND...    kinds: heap threads files (fired: its timer has) sleepers wipe deny, and
//                     those of MakeRefused
//
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define THREADS 10
#define HEAP_BYTES (8 << 20)

static void Answer(const char* format, ...) {
    char line[256];
    va_list arguments;
    va_start(arguments, format);
    int bytes = vsnprintf(line, sizeof(line) - 1, format, arguments);
    va_end(arguments);
    line[bytes++] = '\n';
    if (write(0, line, (size_t)bytes) != bytes) {
        _exit(3);
    }
}

static void Need(int ok, const char* what) {
    if (!ok) {
        fprintf(stderr, "target: %s: %s\n", what, strerror(errno));
        _exit(2);
    }
}

static void* Forever(void* argument) {
    for (;;) {
        pause();
    }
    return argument;
}

// ---- heap ----

static unsigned char* heap;
static unsigned char* holes;
static unsigned char* sealed;
static int requests;

static unsigned char Pattern(size_t i) {
    return (unsigned char)(i * 31 + (i >> 12) * 7 + 1);
}

static void MakeHeap(void) {
    heap = malloc(HEAP_BYTES);
    for (size_t i = 0; i < HEAP_BYTES; ++i) {
        heap[i] = Pattern(i);
    }
    // 64 MB of which every hundredth page is there.
    holes = mmap(NULL, 64 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    Need(holes != MAP_FAILED, "mmap");
    for (size_t i = 0; i < 64 << 20; i += 409600) {
        holes[i] = 7;
    }
    // Written, then closed to everybody.
    sealed = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    Need(sealed != MAP_FAILED, "mmap");
    memset(sealed, 9, 8192);
    Need(mprotect(sealed, 8192, PROT_NONE) == 0, "mprotect");
    Need(
        mmap(NULL, 1ULL << 40, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) !=
            MAP_FAILED,
        "reserve");
}

static const char* CheckHeap(void) {
    for (size_t i = 0; i < HEAP_BYTES; ++i) {
        if (heap[i] != Pattern(i)) {
            return "heap";
        }
    }
    for (size_t i = 0; i < 64 << 20; i += 4096) {
        if (holes[i] != (i % 409600 == 0 ? 7 : 0)) {
            return "holes";
        }
    }
    if (mprotect(sealed, 8192, PROT_READ) != 0 || sealed[8191] != 9 ||
        mprotect(sealed, 8192, PROT_NONE) != 0) {
        return "sealed";
    }
    return NULL;
}

// Memory that was given back reads as zeros, not as what the snapshot had.
static const char* CheckGivingBack(void) {
    if (madvise(holes, 4096, MADV_DONTNEED) != 0 || holes[0] != 0) {
        return "dontneed";
    }
    holes[0] = 7;
    if (madvise(holes, 4096, MADV_FREE) != 0) {
        return "free";
    }
    holes[0] = 7;
    char* more = sbrk(36 << 20);
    if (more == (char*)-1) {
        return "brk";
    }
    memset(more, 1, 36 << 20);
    return sbrk(-(36 << 20)) == (char*)-1 ? "brk back" : NULL;
}

// ---- threads ----

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int generation;
static int answered;
static __thread uint64_t of_thread;

static void* Work(void* argument) {
    const uint64_t number = (uint64_t)argument;
    of_thread = number * 1000;
    double vector = (double)number;
    pthread_mutex_lock(&mutex);
    int seen = 0;
    ++answered;
    pthread_cond_broadcast(&changed);
    for (;;) {
        while (generation == seen) {
            pthread_cond_wait(&changed, &mutex);
        }
        seen = generation;
        vector += 0.5;
        if (of_thread == number * 1000 && vector == (double)number + 0.5 * seen) {
            ++answered;
        }
        pthread_cond_broadcast(&changed);
    }
    return NULL;
}

static void MakeThreads(void) {
    pthread_t thread;
    for (uint64_t i = 1; i <= THREADS; ++i) {
        Need(pthread_create(&thread, NULL, Work, (void*)i) == 0, "pthread_create");
    }
    pthread_mutex_lock(&mutex);
    while (answered < THREADS) {
        pthread_cond_wait(&changed, &mutex);
    }
    pthread_mutex_unlock(&mutex);
}

static const char* CheckThreads(void) {
    pthread_mutex_lock(&mutex);
    answered = 0;
    ++generation;
    pthread_cond_broadcast(&changed);
    while (answered < THREADS) {
        pthread_cond_wait(&changed, &mutex);
    }
    pthread_mutex_unlock(&mutex);
    return NULL;
}

static void* Nothing(void* argument) {
    return argument;
}

static const char* CheckNewThread(void) {
    pthread_t thread;
    void* result = NULL;
    if (pthread_create(&thread, NULL, Nothing, &thread) != 0 ||
        pthread_join(thread, &result) != 0 || result != &thread) {
        return "thread";
    }
    return gettid() == getpid() && (pid_t)syscall(SYS_gettid) == gettid() ? NULL : "tid";
}

// ---- files ----

static int regular, shared_regular, pipe_ends[2], pair_ends[2], event, timer, poller, listener,
    null;

static void MakeFiles(void) {
    regular = open("/proc/self/exe", O_RDONLY);
    Need(regular >= 0 && lseek(regular, 1, SEEK_SET) == 1, "open");
    shared_regular = dup(regular);
    null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    Need(pipe2(pipe_ends, O_NONBLOCK) == 0 && write(pipe_ends[1], "held", 4) == 4, "pipe");
    Need(
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair_ends) == 0 &&
            write(pair_ends[0], "waits", 5) == 5,
        "socketpair");
    event = eventfd(3, EFD_NONBLOCK);
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct itimerspec often = {{0, 50000000}, {0, 50000000}};
    Need(timerfd_settime(timer, 0, &often, NULL) == 0, "timerfd");
    poller = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event member = {.events = EPOLLIN, .data = {.u64 = 0x1122334455667788}};
    Need(epoll_ctl(poller, EPOLL_CTL_ADD, timer, &member) == 0, "epoll");
    member.data.u64 = 5;
    member.events = EPOLLIN | EPOLLET;
    Need(epoll_ctl(poller, EPOLL_CTL_ADD, pipe_ends[0], &member) == 0, "epoll");
    listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    Need(
        bind(listener, (struct sockaddr*)&address, sizeof(address)) == 0 &&
            listen(listener, 17) == 0,
        "listen");
}

static const char* CheckFiles(void) {
    char bytes[16] = {0};
    if (read(shared_regular, bytes, 3) != 3 || memcmp(bytes, "ELF", 3) != 0 ||
        lseek(regular, 0, SEEK_CUR) != 4 || lseek(regular, 1, SEEK_SET) != 1) {
        return "regular file";
    }
    if (write(null, bytes, 1) != 1 || (fcntl(null, F_GETFD) & FD_CLOEXEC) == 0) {
        return "null";
    }
    if (read(pipe_ends[0], bytes, 16) != 4 || memcmp(bytes, "held", 4) != 0 ||
        write(pipe_ends[1], "held", 4) != 4) {
        return "pipe";
    }
    if (read(pair_ends[1], bytes, 16) != 5 || memcmp(bytes, "waits", 5) != 0 ||
        write(pair_ends[0], "waits", 5) != 5) {
        return "pair";
    }
    uint64_t count = 0;
    if (read(event, &count, 8) != 8 || count != 3 || write(event, &count, 8) != 8) {
        return "eventfd";
    }
    int timed = 0;
    for (int i = 0; i < 100 && !timed; ++i) {
        struct epoll_event ready[4];
        const int found = epoll_wait(poller, ready, 4, 1000);
        for (int j = 0; j < found; ++j) {
            timed |= ready[j].data.u64 == 0x1122334455667788;
        }
    }
    if (!timed || read(timer, &count, 8) != 8) {
        return "timer";
    }
    int listens = 0;
    socklen_t size = sizeof(listens);
    if (getsockopt(listener, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 || !listens) {
        return "listener";
    }
    return NULL;
}

// ---- threads that wait, each in another system call ----

#define SLEEPERS 10
static int wake[SLEEPERS][2];
static int futex_word;
static int woken[SLEEPERS];  // 1: as it should be, else -errno or what came

static int Sleep(int number, int fd) {
    char byte = 0;
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    struct timespec long_time = {100000, 0};
    struct timeval long_value = {100000, 0};
    struct epoll_event event_of = {.events = EPOLLIN, .data = {.u64 = 9}};
    int result = -1;
    switch (number) {
        case 0:
            result = (int)read(fd, &byte, 1);
            break;
        case 1:
            result = (int)recv(fd, &byte, 1, 0);
            break;
        case 2:
            result = poll(&poll_fd, 1, -1);
            break;
        case 3:
            result = ppoll(&poll_fd, 1, &long_time, NULL);
            break;
        case 4: {
            fd_set set;
            FD_ZERO(&set);
            FD_SET(fd, &set);
            result = select(fd + 1, &set, NULL, NULL, &long_value);
            break;
        }
        case 5:
        case 6: {
            const int watcher = epoll_create1(0);
            epoll_ctl(watcher, EPOLL_CTL_ADD, fd, &event_of);
            sigset_t none;
            sigemptyset(&none);
            result = number == 5 ? epoll_wait(watcher, &event_of, 1, -1)
                                 : epoll_pwait(watcher, &event_of, 1, 100000000, &none);
            break;
        }
        case 7:
            result = (int)syscall(SYS_futex, &futex_word, 0, 0, NULL, NULL, 0) == 0 ? 1 : -1;
            break;
        case 8:
            // A wait with a timeout: the kernel restarts it by a call of its own.
            result = (int)syscall(SYS_futex, &futex_word, 0, 0, &long_time, NULL, 0) == 0 ? 1 : -1;
            break;
        case 9: {
            struct timespec short_time = {0, 200000000};
            result = syscall(SYS_nanosleep, &short_time, NULL) == 0 ? 1 : -1;
            break;
        }
        default:
            break;
    }
    return result == 1 ? 1 : -errno;
}

static void* Sleeper(void* argument) {
    const int number = (int)(intptr_t)argument;
    for (;;) {
        const int result = Sleep(number, wake[number][0]);
        __atomic_store_n(&woken[number], result, __ATOMIC_RELEASE);
        syscall(SYS_futex, &woken[number], 1, 1, NULL, NULL, 0);
        if (number != 9) {
            return Forever(NULL);
        }
    }
}

static void MakeSleepers(void) {
    pthread_t thread;
    for (intptr_t i = 0; i < SLEEPERS; ++i) {
        Need(socketpair(AF_UNIX, SOCK_STREAM, 0, wake[i]) == 0, "socketpair");
        Need(pthread_create(&thread, NULL, Sleeper, (void*)i) == 0, "pthread_create");
    }
    // All of them wait: the kernel says so.
    for (int waiting = 0; waiting < SLEEPERS;) {
        waiting = 0;
        for (int tid = getpid() + 1; tid <= getpid() + SLEEPERS; ++tid) {
            char path[64], state[256] = "";
            snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", tid);
            FILE* file = fopen(path, "r");
            waiting += file && fgets(state, sizeof(state), file) && strncmp(state, "run", 3) != 0;
            if (file) {
                fclose(file);
            }
        }
        sched_yield();
    }
}

// Wakes all; everyone must return from the call it was in as if nothing had happened.
static const char* CheckSleepers(void) {
    static char wrong[64];
    futex_word = 1;
    for (int i = 0; i < SLEEPERS; ++i) {
        if (i != 7 && i != 8 && write(wake[i][1], "x", 1) != 1) {
            return "sleeper's socket";
        }
    }
    syscall(SYS_futex, &futex_word, 1, 100, NULL, NULL, 0);
    for (int i = 0; i < SLEEPERS; ++i) {
        int result = 0;
        while ((result = __atomic_load_n(&woken[i], __ATOMIC_ACQUIRE)) == 0) {
            syscall(SYS_futex, &woken[i], 0, 0, NULL, NULL, 0);
        }
        if (result != 1 && !((i == 7 || i == 8) && result == -EAGAIN)) {
            snprintf(wrong, sizeof(wrong), "sleeper %d: %d", i, result);
            return wrong;
        }
    }
    return NULL;
}

// ---- the rest ----

static unsigned char* wiped;
static volatile sig_atomic_t signals;

static void OnSignal(int number) {
    signals += number == SIGUSR1;
}

static void MakeWiped(void) {
    wiped = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    Need(wiped != MAP_FAILED && madvise(wiped, 4096, MADV_WIPEONFORK) == 0, "wipeonfork");
    wiped[0] = 1;
}

static const char* CheckProcess(void) {
    const int before = signals;
    if (raise(SIGUSR1) != 0 || signals != before + 1) {
        return "signal";
    }
    const pid_t child = fork();
    if (child == 0) {
        execl("/bin/true", "true", (char*)NULL);
        _exit(1);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
        return "fork";
    }
    return NULL;
}

static void DenyTracing(void) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = 4, .filter = code};
    Need(
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
            prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0,
        "seccomp");
}

static void* OtherRights(void* argument) {
    // Of this thread only: libc's setuid would change all.
    Need(syscall(SYS_setgroups, 0, NULL) == 0 && syscall(SYS_setuid, 65534) == 0, "setuid");
    pthread_barrier_wait(argument);
    return Forever(NULL);
}

// One thing each that an image cannot hold.
static void MakeRefused(const char* kind) {
    if (strcmp(kind, "child") == 0) {
        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            Forever(NULL);
        }
    } else if (strcmp(kind, "shared") == 0) {
        Need(
            mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0) !=
                MAP_FAILED,
            kind);
    } else if (strcmp(kind, "memfd") == 0) {
        Need(memfd_create("x", 0) >= 0, kind);
    } else if (strcmp(kind, "deleted") == 0) {
        Need(open("/tmp", O_TMPFILE | O_RDWR, 0600) >= 0, kind);
    } else if (strcmp(kind, "lock") == 0) {
        Need(flock(open("/proc/self/exe", O_RDONLY), LOCK_SH) == 0, kind);
    } else if (strcmp(kind, "inotify") == 0) {
        Need(inotify_init1(0) >= 0, kind);
    } else if (strcmp(kind, "io_uring") == 0) {
        char parameters[120] = {0};  // struct io_uring_params
        Need(syscall(425 /* io_uring_setup */, 4, parameters) >= 0, kind);
    } else if (strcmp(kind, "signalfd") == 0) {
        sigset_t set;
        sigemptyset(&set);
        Need(signalfd(-1, &set, 0) >= 0, kind);
    } else if (strcmp(kind, "pidfd") == 0) {
        Need(syscall(SYS_pidfd_open, getpid(), 0) >= 0, kind);
    } else if (strcmp(kind, "timer") == 0) {
        timer_t created;
        struct sigevent event_of = {.sigev_notify = SIGEV_NONE};
        Need(timer_create(CLOCK_MONOTONIC, &event_of, &created) == 0, kind);
    } else if (strcmp(kind, "alarm") == 0) {
        alarm(100000);
    } else if (strcmp(kind, "rights") == 0) {
        pthread_barrier_t barrier;
        pthread_t thread;
        pthread_barrier_init(&barrier, NULL, 2);
        Need(pthread_create(&thread, NULL, OtherRights, &barrier) == 0, kind);
        pthread_barrier_wait(&barrier);
    } else if (strcmp(kind, "pending") == 0) {
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGUSR2);
        Need(sigprocmask(SIG_BLOCK, &set, NULL) == 0 && raise(SIGUSR2) == 0, kind);
    } else if (strcmp(kind, "watch") == 0) {
        struct epoll_event member = {.events = EPOLLIN};
        const int watcher = epoll_create1(0);
        const int watched = eventfd(0, 0);
        Need(dup(watched) >= 0, kind);
        Need(epoll_ctl(watcher, EPOLL_CTL_ADD, watched, &member) == 0, kind);
        close(watched);
    } else if (strcmp(kind, "unmapped") == 0) {
        // Without its vdso there is nowhere to make system calls in it.
        Need(munmap((void*)getauxval(AT_SYSINFO_EHDR), 8192) == 0, kind);
    }
}

static int Has(int count, char** kinds, const char* kind) {
    for (int i = 1; i < count; ++i) {
        if (strcmp(kinds[i], kind) == 0) {
            return 1;
        }
    }
    return 0;
}

int main(int count, char** kinds) {
    struct sigaction action = {.sa_handler = OnSignal, .sa_flags = SA_RESTART};
    Need(sigaction(SIGUSR1, &action, NULL) == 0, "sigaction");
    prctl(PR_SET_NAME, "snapshot me");
    const int with_heap = Has(count, kinds, "heap");
    const int with_threads = Has(count, kinds, "threads");
    const int with_files = Has(count, kinds, "files");
    if (with_heap) {
        MakeHeap();
    }
    if (with_threads) {
        MakeThreads();
    }
    if (with_files) {
        MakeFiles();
    }
    if (with_files && Has(count, kinds, "fired")) {
        struct pollfd poll_fd = {.fd = timer, .events = POLLIN};
        Need(poll(&poll_fd, 1, -1) == 1, "poll");
    }
    if (Has(count, kinds, "wipe")) {
        MakeWiped();
    }
    if (Has(count, kinds, "sleepers")) {
        MakeSleepers();
    }
    for (int i = 1; i < count; ++i) {
        MakeRefused(kinds[i]);
    }
    if (Has(count, kinds, "deny")) {
        DenyTracing();
    }
    Answer("ready");
    for (;;) {
        char command = 0;
        const ssize_t got = read(0, &command, 1);
        if (got <= 0) {
            return got == 0 ? 0 : 4;
        }
        ++requests;
        const char* wrong = NULL;
        uint64_t random = 0;
        switch (command) {
            case 'p':
                break;
            case 'c':
                wrong = with_heap ? CheckHeap() : NULL;
                wrong = !wrong && with_threads ? CheckThreads() : wrong;
                wrong = !wrong && with_files ? CheckFiles() : wrong;
                break;
            case 'b':
                wrong = with_heap ? CheckGivingBack() : NULL;
                wrong = wrong ? wrong : CheckNewThread();
                wrong = wrong ? wrong : CheckProcess();
                break;
            case 's':
                wrong = CheckSleepers();
                break;
            case 'w':
                wrong = wiped && wiped[0] != 0 ? "not wiped" : NULL;
                break;
            case 'r':
                Need(getrandom(&random, sizeof(random), 0) == sizeof(random), "getrandom");
                break;
            default:
                wrong = "what?";
        }
        if (wrong) {
            Answer("wrong %s", wrong);
        } else {
            Answer("ok %d %d %llx", requests, (int)getpid(), (unsigned long long)random);
        }
    }
}
