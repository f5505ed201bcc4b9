#include "sandbox/host/egress.h"

#include "base/log.h"
#include "os/file.h"
#include "os/netlink.h"
#include "sandbox/protocol/init_protocol.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <set>
#include <sstream>

namespace hearth::sandbox {

namespace {

// What no function may reach: this network, loopback, link-local (the machine's metadata service is
// there), multicast, reserved, and the range that environments and hosts have themselves.
constexpr std::string_view kBlocked =
    "0.0.0.0/8, 127.0.0.0/8, 169.254.0.0/16, 198.18.0.0/15, 224.0.0.0/3";

// "hearth-0123456789ab" of options.h, as nft and the kernel like names.
std::string TableName(const HostOptions& options) {
    std::string name = InstanceName(options.data_name);
    std::replace(name.begin(), name.end(), '-', '_');
    return name;
}

std::string InterfaceName(const HostOptions& options) {
    return "hth" + InstanceName(options.data_name).substr(7, 9);
}

std::string FindNft() {
    for (const char* path : {"/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft"}) {
        if (::access(path, X_OK) == 0) {
            return path;
        }
    }
    return "";
}

// Runs nft with this input; its output.
Result<std::string> Nft(std::vector<std::string> arguments, std::string_view input) {
    const std::string program = FindNft();
    if (program.empty()) {
        return errors::Unavailable("nft is not installed (Debian: apt install nftables)");
    }
    HEARTH_TRY(auto in, os::Pipe());
    HEARTH_TRY(auto out, os::Pipe());
    // Rules are a few kilobytes: they fit into the pipe before the reader runs.
    if (::write(in.second.get(), input.data(), input.size()) !=
        static_cast<ssize_t>(input.size())) {
        return errors::System("write rules", errno);
    }
    in.second.Close();
    arguments.insert(arguments.begin(), "nft");
    std::vector<char*> pointers;
    for (std::string& argument : arguments) {
        pointers.push_back(argument.data());
    }
    pointers.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, in.first.get(), 0);
    ::posix_spawn_file_actions_adddup2(&actions, out.second.get(), 1);
    ::posix_spawn_file_actions_adddup2(&actions, out.second.get(), 2);
    char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
    char locale[] = "LC_ALL=C";
    char* environment[] = {path, locale, nullptr};
    pid_t pid = 0;
    const int error =
        ::posix_spawn(&pid, program.c_str(), &actions, nullptr, pointers.data(), environment);
    ::posix_spawn_file_actions_destroy(&actions);
    out.second.Close();
    if (error != 0) {
        return errors::System("start nft", error);
    }
    std::string text;
    char buffer[4096];
    for (ssize_t count = 0; (count = ::read(out.first.get(), buffer, sizeof(buffer))) > 0;) {
        text.append(buffer, static_cast<size_t>(count));
    }
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (status != 0) {
        return errors::Unavailable("nft: " + text.substr(0, text.find('\n')));
    }
    return text;
}

constexpr std::string_view kMark = "was_off_";

// The marks in all tables of Hearths in this namespace: interfaces whose forwarding was off before
// the first of them came. `tables` gets the names of the tables.
std::set<std::string> ForwardingMarks(std::set<std::string>& tables) {
    std::set<std::string> marks;
    const auto listed = Nft({"list", "tables", "ip"}, "");
    if (!listed.ok()) {
        return marks;
    }
    std::istringstream words(*listed);
    for (std::string word; words >> word;) {
        if (word.starts_with("hearth_")) {
            tables.insert(word);
        }
    }
    for (const std::string& table : tables) {
        const auto text = Nft({"list", "table", "ip", table}, "");
        if (!text.ok()) {
            continue;
        }
        std::istringstream chains(*text);
        for (std::string word; chains >> word;) {
            if (word.starts_with(kMark)) {
                marks.insert(word.substr(kMark.size()));
            }
        }
    }
    return marks;
}

std::string ForwardingFile(const std::string& interface) {
    return "/proc/sys/net/ipv4/conf/" + interface + "/forwarding";
}

// Interfaces with a default route, from /proc/net/route.
std::set<std::string> Uplinks() {
    std::set<std::string> uplinks;
    if (const auto text = os::ReadFile(AT_FDCWD, "/proc/net/route"); text.ok()) {
        std::istringstream lines(*text);
        std::string line;
        std::getline(lines, line);
        while (std::getline(lines, line)) {
            std::istringstream words(line);
            std::string name;
            std::string destination;
            words >> name >> destination;
            if (destination == "00000000") {
                uplinks.insert(name);
            }
        }
    }
    return uplinks;
}

// Our end of the link to the machine: a /30 of 198.19.0.0/16.
uint32_t LinkNetwork(const HostOptions& options) {
    const uint32_t number = (FirstUid(options.data_name) - 0x60000000) / 65536;
    return (198U << 24) + (19U << 16) + number * 4;
}

}  // namespace

uint32_t EnvironmentGateway(uint32_t index) {
    return (198U << 24) + (18U << 16) + index * 4 + 1;
}

uint32_t EnvironmentAddress(uint32_t index) {
    return EnvironmentGateway(index) + 1;
}

std::string MachineRules(
    const std::string& table,
    const std::string& interface,
    uint32_t host_address,
    const std::vector<std::string>& uplinks_without_forwarding,
    const std::vector<int>& blocked_ports) {
    std::string rules = fmt::format("table ip {} {{\n", table);
    for (const std::string& uplink : uplinks_without_forwarding) {
        rules += fmt::format("  chain {}{} {{ }}\n", kMark, uplink);
    }
    rules += "  chain forward {\n    type filter hook forward priority 0; policy accept;\n";
    rules += fmt::format(
        "    iifname \"{}\" ip saddr != {} drop\n", interface, os::Ipv4Text(host_address));
    rules += fmt::format("    iifname \"{}\" ip daddr {{ {} }} drop\n", interface, kBlocked);
    rules += fmt::format("    oifname \"{}\" ct state established,related accept\n", interface);
    rules += fmt::format("    oifname \"{}\" drop\n", interface);
    for (const std::string& uplink : uplinks_without_forwarding) {
        // Forwarding on this interface is on for us alone.
        rules += fmt::format("    iifname \"{}\" oifname != \"hth*\" drop\n", uplink);
    }
    rules += "  }\n  chain input {\n    type filter hook input priority 0; policy accept;\n";
    rules += fmt::format("    iifname \"{}\" ip daddr {{ {} }} drop\n", interface, kBlocked);
    for (const int port : blocked_ports) {
        rules += fmt::format("    iifname \"{}\" tcp dport {} drop\n", interface, port);
    }
    rules +=
        "  }\n  chain postrouting {\n    type nat hook postrouting priority 100; policy accept;\n";
    rules += fmt::format(
        "    ip saddr {} oifname != \"{}\" masquerade\n  }}\n}}\n",
        os::Ipv4Text(host_address),
        interface);
    return rules;
}

std::string HostRules() {
    return fmt::format(
        "table ip hearth {{\n"
        "  chain forward {{\n    type filter hook forward priority 0; policy drop;\n"
        "    ct state established,related accept\n"
        "    ip daddr {{ {} }} drop\n"
        "    iifname \"e*\" oifname \"{}\" accept\n  }}\n"
        "  chain input {{\n    type filter hook input priority 0; policy drop;\n"
        "    ip daddr {} udp dport 53 accept\n"
        "    ct state established,related accept\n  }}\n"
        "  chain postrouting {{\n    type nat hook postrouting priority 100; policy accept;\n"
        "    oifname \"{}\" masquerade\n  }}\n}}\n",
        kBlocked,
        kEgressInterface,
        os::Ipv4Text(kDnsAddress),
        kEgressInterface);
}

Status RemoveEgress(const HostOptions& options) {
    const std::string table = TableName(options);
    std::set<std::string> tables;
    const std::set<std::string> marks = ForwardingMarks(tables);
    // Another Hearth still needs the forwarding; its table carries the marks on.
    const bool last = tables.size() == static_cast<size_t>(tables.contains(table));
    if (last) {
        for (const std::string& uplink : marks) {
            (void)os::WriteFile(AT_FDCWD, ForwardingFile(uplink), "0").ok();
        }
    }
    if (tables.contains(table)) {
        HEARTH_RETURN_IF_ERROR([&]() -> Status {
            HEARTH_TRY(const std::string text, Nft({"delete", "table", "ip", table}, ""));
            return {};
        }());
    }
    HEARTH_TRY(os::Netlink netlink, os::Netlink::Open());
    return netlink.Remove(InterfaceName(options));
}

Status SetUpEgress(const HostOptions& options) {
    if (options.netns_fd < 0) {
        return errors::Malformed("--egress-setup needs --netns-fd");
    }
    if (FindNft().empty()) {
        return errors::Unavailable("nft is not installed (Debian: apt install nftables)");
    }
    HEARTH_RETURN_IF_ERROR(RemoveEgress(options));
    const std::string interface = InterfaceName(options);
    const uint32_t network = LinkNetwork(options);

    HEARTH_TRY(os::Netlink machine, os::Netlink::Open());
    HEARTH_RETURN_IF_ERROR(
        machine.AddVethToNamespace(interface, kEgressInterface, options.netns_fd));
    // No IPv6 on this link; absent where the kernel has none.
    (void)os::WriteFile(AT_FDCWD, "/proc/sys/net/ipv6/conf/" + interface + "/disable_ipv6", "1")
        .ok();
    HEARTH_RETURN_IF_ERROR(machine.AddAddress(interface, network + 1, 30));

    std::set<std::string> tables;
    std::set<std::string> marks = ForwardingMarks(tables);
    const std::set<std::string> uplinks = Uplinks();
    for (const std::string& uplink : uplinks) {
        if (const auto value = os::ReadFile(AT_FDCWD, ForwardingFile(uplink));
            value.ok() && value->starts_with("0")) {
            marks.insert(uplink);
        }
    }
    // Rules first: nothing is forwarded that they do not know.
    HEARTH_RETURN_IF_ERROR([&]() -> Status {
        HEARTH_TRY(
            const std::string text,
            Nft({"-f", "-"},
                MachineRules(
                    TableName(options),
                    interface,
                    network + 2,
                    {marks.begin(), marks.end()},
                    options.blocked_ports)));
        return {};
    }());
    HEARTH_RETURN_IF_ERROR(machine.SetUp(interface));
    HEARTH_RETURN_IF_ERROR(os::WriteFile(AT_FDCWD, ForwardingFile(interface), "1"));
    for (const std::string& uplink : uplinks) {
        HEARTH_RETURN_IF_ERROR(os::WriteFile(AT_FDCWD, ForwardingFile(uplink), "1"));
    }

    // The rest is in the host's namespace. /proc/sys/net shows that of the reader.
    if (::setns(options.netns_fd, CLONE_NEWNET) != 0) {
        return errors::System("setns", errno);
    }
    HEARTH_RETURN_IF_ERROR(SetUpHostNetwork());
    HEARTH_TRY(os::Netlink host, os::Netlink::Open());
    HEARTH_RETURN_IF_ERROR(host.AddAddress(kEgressInterface, network + 2, 30));
    HEARTH_RETURN_IF_ERROR(host.SetUp(kEgressInterface));
    return host.AddDefaultRoute(network + 1);
}

Status SetUpHostNetwork() {
    for (const char* name : {"all", "default"}) {
        (void)os::WriteFile(
            AT_FDCWD, fmt::format("/proc/sys/net/ipv6/conf/{}/disable_ipv6", name), "1")
            .ok();
    }
    (void)Nft({"delete", "table", "ip", "hearth"}, "").ok();
    if (const auto loaded = Nft({"-f", "-"}, HostRules()); !loaded.ok()) {
        return loaded.error();
    }
    HEARTH_TRY(os::Netlink netlink, os::Netlink::Open());
    HEARTH_RETURN_IF_ERROR(netlink.SetUp("lo"));
    HEARTH_RETURN_IF_ERROR(netlink.AddAddress("lo", kDnsAddress, 32));
    return os::WriteFile(AT_FDCWD, "/proc/sys/net/ipv4/ip_forward", "1");
}

}  // namespace hearth::sandbox
