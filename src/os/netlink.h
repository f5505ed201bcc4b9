#pragma once

#include "base/result.h"
#include "os/fd.h"

#include <sys/types.h>

#include <cstdint>
#include <string>

// Network interfaces of this process' network namespace, over one rtnetlink socket. Addresses are
// IPv4 numbers in the machine's order: 0x7f000001 is 127.0.0.1.
namespace hearth::os {

class Netlink final {
  public:
    static Result<Netlink> Open();

    // A pair of linked interfaces: `name` here, `peer` in the network namespace of a process or of
    // a namespace descriptor.
    Status AddVethToProcess(const std::string& name, const std::string& peer, pid_t pid);
    Status AddVethToNamespace(const std::string& name, const std::string& peer, int netns);
    // Both ends. Not an error when it is not there.
    Status Remove(const std::string& name);
    Status SetUp(const std::string& name, bool up = true);
    Status AddAddress(const std::string& name, uint32_t address, int prefix_length);
    Status AddDefaultRoute(uint32_t gateway);

  private:
    explicit Netlink(Fd socket) : socket_(std::move(socket)) {}

    Status Ask(std::string& request);
    Status AddVeth(
        const std::string& name, const std::string& peer, int attribute, uint32_t target);

    Fd socket_;
    uint32_t sequence_ = 0;
};

bool InterfaceExists(const std::string& name);
std::string Ipv4Text(uint32_t address);

}  // namespace hearth::os
