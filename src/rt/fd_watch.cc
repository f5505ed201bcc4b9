#include "rt/fd_watch.h"

#include "rt/loops.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <sys/stat.h>

#include <cerrno>
#include <utility>

namespace hearth::rt {

namespace asio = boost::asio;

struct FdWatch::State {
    explicit State(asio::io_context& context) : descriptor(context) {}

    ~State() {
        if (descriptor.is_open()) {
            // The descriptor is the caller's; the loop only forgets it.
            descriptor.release();
        }
    }

    Task<Status> Wait(asio::posix::descriptor_base::wait_type type) {
        const auto [error] =
            co_await descriptor.async_wait(type, asio::as_tuple(asio::use_awaitable));
        if (error) {
            co_return errors::Unavailable("the wait for a descriptor was cancelled");
        }
        co_return Status();
    }

    asio::posix::stream_descriptor descriptor;
};

Result<FdWatch> FdWatch::Make(int fd) {
    // Asio takes a regular file, which epoll refuses, and fails later.
    struct stat status;
    if (::fstat(fd, &status) != 0) {
        return errors::System("cannot watch a descriptor", errno);
    }
    if (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode)) {
        return errors::System("cannot watch a descriptor", EPERM);
    }
    auto state = std::make_unique<State>(*CurrentLoop().context);
    boost::system::error_code error;
    state->descriptor.assign(fd, error);
    if (error) {
        return errors::System("cannot watch a descriptor", error.value());
    }
    return FdWatch(std::move(state));
}

FdWatch::FdWatch(std::unique_ptr<State> state) : state_(std::move(state)) {}

FdWatch::FdWatch(FdWatch&& other) noexcept = default;
FdWatch& FdWatch::operator=(FdWatch&& other) noexcept = default;
FdWatch::~FdWatch() = default;

Task<Status> FdWatch::Readable() {
    return state_->Wait(asio::posix::descriptor_base::wait_read);
}

Task<Status> FdWatch::Writable() {
    return state_->Wait(asio::posix::descriptor_base::wait_write);
}

void FdWatch::Cancel() {
    if (state_) {
        boost::system::error_code ignored;
        state_->descriptor.cancel(ignored);
    }
}

}  // namespace hearth::rt
