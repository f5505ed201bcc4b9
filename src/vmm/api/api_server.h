#pragma once

#include "base/result.h"
#include "os/fd.h"
#include "vmm/api/controller.h"

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

// The HTTP API on a unix socket. One thread, epoll, several connections, each with keep-alive; one
// request at a time is done. All limits are named here; a request beyond them gets its answer and
// the connection ends.
namespace hearth::vmm {

inline constexpr std::size_t kHttpPayloadBytesMax = 51'200;
inline constexpr std::size_t kHttpHeadBytesMax = 8'192;
inline constexpr std::size_t kHttpConnectionsMax = 10;

struct ApiServerOptions {
    std::string socket_path;
    std::size_t payload_bytes_max = kHttpPayloadBytesMax;
    // Runs on the API's thread once all is there, before the first byte is read: the place where
    // the thread's system call filter is installed.
    std::function<Status()> before_serving;
};

class ApiServer final {
  public:
    // Called on the API's thread; waits until the VMM thread has done the action.
    using Submit = std::function<Result<ActionReply>(ActionRequest request)>;

    // Binds the socket (an existing file at that path is an error) and listens.
    static Result<std::unique_ptr<ApiServer>> Listen(ApiServerOptions options, Submit submit);
    ~ApiServer();

    // Serves until Stop. On a thread of its own.
    Status Run();

    // From any thread; the answer of a request that is being done still goes out. The socket's file
    // stays, as Firecracker's does: whoever made its folder removes it.
    void Stop();

  private:
    struct State;
    explicit ApiServer(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace hearth::vmm
