#pragma once

#include "base/result.h"
#include "sandbox/host/options.h"

#include <cstdint>
#include <string>
#include <vector>

// The way out for functions, as root.
//
//   environment          host's network namespace                        the machine
//   eth0 ── veth ── e<index> ── (masquerade) ── egress ── veth ── hth<hash> ── (masquerade) ── its
//   routes 198.18.x.y/30                                198.19.x.y/30
//
// Two translations, so that environments of two Hearths may have the same addresses and the machine
// sees one neighbour. What may pass is decided in the host's namespace and again on the machine, by
// one nftables table each: no link-local, no loopback, no multicast, nothing between environments,
// no port of Hearth, nothing in from outside. IPv4 only. Names are resolved by the cloud
// (dns_stub.h) at kDnsAddress.
//
// A one-shot helper of the keeper sets this up in the machine's network namespace and removes it.
// It enables forwarding only on the interfaces that have a default route; which of them had it off
// is kept as the names of empty chains in the table, so that whoever removes the table can restore
// them, also after a crash.
namespace hearth::sandbox {

inline constexpr const char* kEgressInterface = "egress";

// Idempotent: removes what an earlier run left. Needs root, nft and --netns-fd.
Status SetUpEgress(const HostOptions& options);
Status RemoveEgress(const HostOptions& options);

// What either way out needs in the host's network namespace, which this process is in: rules,
// loopback, the name server's address, forwarding.
Status SetUpHostNetwork();

// Of the environment `index`: its own address, and its gateway (our end of its veth).
uint32_t EnvironmentAddress(uint32_t index);
uint32_t EnvironmentGateway(uint32_t index);

// The machine's table, as text for nft; for tests.
std::string MachineRules(
    const std::string& table,
    const std::string& interface,
    uint32_t host_address,
    const std::vector<std::string>& uplinks_without_forwarding,
    const std::vector<int>& blocked_ports);
std::string HostRules();

}  // namespace hearth::sandbox
