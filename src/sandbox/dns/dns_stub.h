#pragma once

#include "base/random.h"
#include "os/fd.h"
#include "rt/task.h"
#include "rt/task_group.h"

#include <sys/socket.h>

#include <string_view>
#include <vector>

namespace hearth::sandbox {

// A resolver of the machine.
struct DnsUpstream {
    sockaddr_storage address{};
    socklen_t address_size = 0;
};

// The `nameserver` lines of a resolv.conf, at most three, port 53. Lines that do not parse are
// passed over.
std::vector<DnsUpstream> ParseResolvConf(std::string_view text);

// Answers the name queries of one environment by asking the machine's resolvers for it. The
// function speaks to a UDP socket inside its own network namespace and to nothing else, so it
// learns neither the resolvers' addresses nor can it send them anything but DNS queries.
//
// Each query goes out from a socket of its own under a fresh random id, and only an answer with
// that id and the same question comes back. An environment has at most kDnsQueriesMax queries under
// way (more are dropped, as a busy resolver does) and no answer over UDP is larger than
// kDnsBytesMax. There is no TCP: a truncated answer stays truncated.
//
// Only for environments with egress: names are a way out.
class DnsStub final {
  public:
    DnsStub(std::vector<DnsUpstream> upstreams, Random& random)
        : upstreams_(std::move(upstreams)), random_(random) {}

    // Serves `socket` (a bound UDP socket) until cancelled. On one loop.
    Task<void> Serve(os::Fd socket);

  private:
    struct Query;

    Task<void> Forward(int socket, Query query);
    // Empty when that resolver did not answer in time.
    Task<std::string> Ask(const DnsUpstream& upstream, const std::string& query);

    std::vector<DnsUpstream> upstreams_;
    Random& random_;
};

inline constexpr size_t kDnsQueriesMax = 64;
inline constexpr size_t kDnsBytesMax = 4096;
inline constexpr int kDnsAnswerTimeoutMs = 4000;

}  // namespace hearth::sandbox
