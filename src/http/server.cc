#include "http/server.h"

#include "base/check.h"
#include "base/log.h"
#include "http/connection.h"
#include "http/deadline_queue.h"
#include "os/free_memory.h"
#include "rt/event.h"
#include "rt/fd_watch.h"
#include "rt/task_group.h"
#include "rt/timer.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <list>
#include <utility>
#include <vector>

namespace hearth::http {

namespace {

using std::chrono::milliseconds;

// After accept failed for want of descriptors or memory.
constexpr milliseconds kAcceptPause{100};
constexpr milliseconds kLingerTimeout{2'000};
// So many connections of one loop at a time leave memory behind that is worth giving back.
constexpr size_t kBurstConnections = 16;

constexpr std::string_view kTooManyConnections =
    "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

// Descriptors are also needed for files, pipes and environments.
int ConnectionsMax(int wanted) {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) {
        return wanted;
    }
    return static_cast<int>(std::min<rlim_t>(wanted, limit.rlim_cur * 3 / 4));
}

int FamilyOf(int socket) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    return ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) == 0
               ? address.ss_family
               : AF_UNSPEC;
}

}  // namespace

class Server::Impl final : public std::enable_shared_from_this<Impl> {
  public:
    Impl(rt::Loops& loops, os::Fd socket, Handler& handler, ServerOptions options)
        : loops_(loops),
          socket_(std::move(socket)),
          family_(FamilyOf(socket_.get())),
          handler_(handler),
          options_(std::move(options)),
          connections_max_(ConnectionsMax(options_.connections_max)),
          counts_(static_cast<size_t>(loops.size())),
          places_(static_cast<size_t>(loops.size())) {
        if (options_.tls != nullptr) {
            // OpenSSL writes without MSG_NOSIGNAL.
            (void)std::signal(SIGPIPE, SIG_IGN);
        }
    }

    void Start() {
        CHECK(!started_.exchange(true), "a server started twice");
        loops_.Post(accept_loop(), [self = shared_from_this()] {
            if (!self->accept_stopped_) {
                self->accepting_ = std::make_unique<rt::TaskGroup>();
                self->accepting_->Spawn(self->Accept());
            }
        });
    }

    Task<void> Stop(milliseconds grace) {
        stopped_ = true;
        co_await rt::RunOn(loops_, accept_loop(), [this] { return StopAccepting(); });
        for (int index = 0; index < loops_.size(); ++index) {
            if (!options_.loop.has_value() || *options_.loop == index) {
                co_await rt::RunOn(loops_, index, [this, index]() -> Task<void> {
                    if (Place* const place = places_[index].get()) {
                        place->stopping = true;
                        for (ServerConnection* connection : place->connections) {
                            connection->BeginStop();
                        }
                    }
                    co_return;
                });
            }
        }
        const auto deadline = std::chrono::steady_clock::now() + grace;
        for (int index = 0; index < loops_.size(); ++index) {
            if (!options_.loop.has_value() || *options_.loop == index) {
                co_await rt::RunOn(
                    loops_, index, [this, index, deadline] { return EndPlace(index, deadline); });
            }
        }
    }

    int connections() const {
        int sum = 0;
        for (const auto& count : counts_) {
            sum += count.load(std::memory_order_relaxed);
        }
        return sum;
    }

    bool started() const { return started_; }

    bool stopped() const { return stopped_; }

  private:
    // The connections on one loop, touched there only.
    struct Place {
        explicit Place(const ServerOptions& options)
            : deadlines(
                  {options.head_timeout,
                   options.body_timeout,
                   options.keep_alive_timeout,
                   kLingerTimeout}) {}

        DeadlineQueue deadlines;
        std::list<ServerConnection*> connections;
        // The most at a time since there were none.
        size_t connections_peak = 0;
        bool stopping = false;
        rt::Event empty;
        rt::TaskGroup tasks;
    };

    int accept_loop() const { return options_.loop.value_or(0); }

    Task<void> Accept() {
        auto watch = rt::FdWatch::Make(socket_.get());
        if (!watch.ok()) {
            log::Error("cannot accept connections: {}", watch.error().message());
            co_return;
        }
        watch_ = &*watch;
        while (!accept_stopped_) {
            const int fd = ::accept4(socket_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
            if (fd >= 0) {
                Assign(os::Fd(fd));
                continue;
            }
            if (errno == EAGAIN) {
                if (!(co_await watch->Readable()).ok()) {
                    break;
                }
            } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
                log::Warn("cannot accept a connection now: {}", std::strerror(errno));
                (void)co_await accept_wakes_.WaitFor(kAcceptPause);
            } else if (errno == EBADF || errno == EINVAL || errno == ENOTSOCK) {
                log::Error("cannot accept connections any more: {}", std::strerror(errno));
                break;
            }
            // Everything else is the failure of one connection, over before it began.
        }
        watch_ = nullptr;
    }

    // Gives a new connection to the loop that has the fewest.
    void Assign(os::Fd socket) {
        if (connections() >= connections_max_) {
            (void)::send(
                socket.get(),
                kTooManyConnections.data(),
                kTooManyConnections.size(),
                MSG_NOSIGNAL | MSG_DONTWAIT);
            return;
        }
        int index = accept_loop();
        if (!options_.loop.has_value()) {
            const auto least =
                std::min_element(counts_.begin(), counts_.end(), [](const auto& a, const auto& b) {
                    return a.load(std::memory_order_relaxed) < b.load(std::memory_order_relaxed);
                });
            index = static_cast<int>(least - counts_.begin());
        }
        counts_[index].fetch_add(1, std::memory_order_relaxed);
        auto shared = std::make_shared<os::Fd>(std::move(socket));
        auto begin = [self = shared_from_this(), shared, index] {
            self->Begin(index, std::move(*shared));
        };
        if (index == rt::CurrentIndex()) {
            begin();
        } else {
            loops_.Post(index, std::move(begin));
        }
    }

    void Begin(int index, os::Fd socket) {
        auto& place = places_[index];
        if (place == nullptr) {
            place = std::make_unique<Place>(options_);
        }
        place->tasks.Spawn(Serve(*place, index, std::move(socket)));
    }

    Task<void> Serve(Place& place, int index, os::Fd socket) {
        {
            ServerConnection connection(
                ConnectionScope{options_, handler_, place.deadlines, place.stopping},
                loops_.context(index),
                std::move(socket),
                family_);
            const auto position = place.connections.insert(place.connections.end(), &connection);
            place.connections_peak = std::max(place.connections_peak, place.connections.size());
            co_await connection.Serve();
            place.connections.erase(position);
        }
        counts_[index].fetch_sub(1, std::memory_order_relaxed);
        if (place.connections.empty()) {
            // After a burst the process becomes small again; nothing else would ever give the
            // memory back.
            if (std::exchange(place.connections_peak, 0) >= kBurstConnections) {
                os::ReturnFreeMemory();
            }
            if (place.stopping) {
                place.empty.Set();
            }
        }
    }

    Task<void> StopAccepting() {
        accept_stopped_ = true;
        if (watch_ != nullptr) {
            watch_->Cancel();
        }
        accept_wakes_.Set();
        if (accepting_ != nullptr) {
            co_await accepting_->Join();
            accepting_.reset();
        }
        socket_.Close();
    }

    Task<void> EndPlace(int index, std::chrono::steady_clock::time_point deadline) {
        auto& place = places_[index];
        if (place == nullptr) {
            co_return;
        }
        if (!place->connections.empty()) {
            (void)co_await place->empty.WaitUntil(deadline);
        }
        for (ServerConnection* connection : place->connections) {
            connection->Break();
        }
        co_await place->tasks.Join();
        place.reset();
    }

    rt::Loops& loops_;
    os::Fd socket_;
    const int family_;
    Handler& handler_;
    const ServerOptions options_;
    const int connections_max_;
    std::atomic<bool> started_{false};
    std::atomic<bool> stopped_{false};
    // Connections on each loop; raised where they are accepted, lowered where they live.
    std::vector<std::atomic<int>> counts_;

    // On the accepting loop.
    std::unique_ptr<rt::TaskGroup> accepting_;
    rt::FdWatch* watch_ = nullptr;
    rt::Event accept_wakes_;
    bool accept_stopped_ = false;

    // One per loop, made with its first connection.
    std::vector<std::unique_ptr<Place>> places_;
};

Response Handler::Refuse(int status, std::string_view reason) {
    Response response;
    response.status = status;
    response.headers.emplace_back("Content-Type", "text/plain");
    response.body = std::string(reason) + "\n";
    return response;
}

Server::Server(rt::Loops& loops, os::Fd socket, Handler& handler, ServerOptions options) {
    const int flags = ::fcntl(socket.get(), F_GETFL);
    CHECK(flags >= 0, "a server without a socket");
    (void)::fcntl(socket.get(), F_SETFL, flags | O_NONBLOCK);
    impl_ = std::make_shared<Impl>(loops, std::move(socket), handler, std::move(options));
}

Server::~Server() {
    CHECK(!impl_->started() || impl_->stopped(), "a server destroyed before Stop");
}

void Server::Start() {
    impl_->Start();
}

Task<void> Server::Stop(std::chrono::milliseconds grace) {
    co_await impl_->Stop(grace);
}

int Server::connections() const {
    return impl_->connections();
}

}  // namespace hearth::http
