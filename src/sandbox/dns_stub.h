#pragma once

#include "base/result.h"
#include "os/fd.h"
#include "rt/task.h"
#include "rt/task_group.h"

#include <memory>
#include <string>
#include <vector>

namespace hearth::sandbox {

// The name server of environments. They have a way out but none to the machine's resolver, which
// may listen on its loopback alone; so the cloud answers on a socket in the host's network
// namespace by asking the machine's name servers itself. UDP only; answers come back as they are.
//
// Each question is asked from a socket, and so a port, and with an id of its own; an answer counts
// when id and question agree. At most kQuestionsMax at a time; what is more is dropped, as UDP is.
class DnsStub final {
  public:
    // `servers`: addresses as in /etc/resolv.conf ("10.0.0.1", "fe80::1%eth0"), asked in turn; port
    // 53 unless given as "127.0.0.1#5353".
    DnsStub(os::Fd socket, std::vector<std::string> servers);

    // Until cancelled or the socket ends. On one loop.
    Task<void> Run();

    static constexpr size_t kQuestionsMax = 256;

  private:
    Task<void> Answer(std::string question, std::string from);

    os::Fd socket_;
    std::vector<std::string> servers_;
    rt::TaskGroup questions_;
};

// The name servers of a resolv.conf.
std::vector<std::string> ParseNameServers(const std::string& resolv_conf);

// Whether `answer` belongs to `question`: same id, a response, same question section.
bool IsAnswerTo(std::string_view answer, std::string_view question);

}  // namespace hearth::sandbox
