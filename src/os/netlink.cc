#include "os/netlink.h"

#include <arpa/inet.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sys/socket.h>

#include <cerrno>

namespace hearth::os {

namespace {

template <class Head>
std::string Start(uint16_t type, uint16_t flags, const Head& head) {
    nlmsghdr header{};
    header.nlmsg_type = type;
    header.nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | NLM_F_ACK | flags);
    std::string message(reinterpret_cast<const char*>(&header), sizeof(header));
    message.append(reinterpret_cast<const char*>(&head), sizeof(head));
    return message;
}

void Add(std::string& message, uint16_t type, std::string_view bytes) {
    rtattr attribute{};
    attribute.rta_type = type;
    attribute.rta_len = static_cast<uint16_t>(sizeof(attribute) + bytes.size());
    message.append(reinterpret_cast<const char*>(&attribute), sizeof(attribute));
    message.append(bytes);
    message.resize((message.size() + 3) / 4 * 4);
}

void Add(std::string& message, uint16_t type, uint32_t number) {
    Add(message, type, std::string_view(reinterpret_cast<const char*>(&number), sizeof(number)));
}

void AddName(std::string& message, uint16_t type, const std::string& name) {
    Add(message, type, std::string_view(name.c_str(), name.size() + 1));
}

}  // namespace

Result<Netlink> Netlink::Open() {
    const int fd = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd < 0) {
        return errors::System("netlink socket", errno);
    }
    return Netlink(Fd(fd));
}

Status Netlink::Ask(std::string& request) {
    auto* header = reinterpret_cast<nlmsghdr*>(request.data());
    header->nlmsg_len = static_cast<uint32_t>(request.size());
    header->nlmsg_seq = ++sequence_;
    sockaddr_nl kernel{};
    kernel.nl_family = AF_NETLINK;
    if (::sendto(
            socket_.get(),
            request.data(),
            request.size(),
            0,
            reinterpret_cast<const sockaddr*>(&kernel),
            sizeof(kernel)) < 0) {
        return errors::System("netlink send", errno);
    }
    for (;;) {
        alignas(nlmsghdr) char buffer[8192];
        const ssize_t count = ::recv(socket_.get(), buffer, sizeof(buffer), 0);
        if (count < 0) {
            if (errno == EINTR) {
                continue;
            }
            return errors::System("netlink receive", errno);
        }
        const auto* answer = reinterpret_cast<const nlmsghdr*>(buffer);
        if (static_cast<size_t>(count) < sizeof(nlmsghdr) + sizeof(nlmsgerr) ||
            answer->nlmsg_seq != sequence_ || answer->nlmsg_type != NLMSG_ERROR) {
            continue;
        }
        const auto* error = reinterpret_cast<const nlmsgerr*>(buffer + sizeof(nlmsghdr));
        if (error->error != 0) {
            return errors::System("netlink", -error->error);
        }
        return {};
    }
}

Status Netlink::AddVeth(
    const std::string& name, const std::string& peer, int attribute, uint32_t target) {
    const ifinfomsg head{};
    std::string peer_info(reinterpret_cast<const char*>(&head), sizeof(head));
    AddName(peer_info, IFLA_IFNAME, peer);
    Add(peer_info, static_cast<uint16_t>(attribute), target);
    std::string data;
    Add(data, VETH_INFO_PEER, peer_info);
    std::string info;
    Add(info, IFLA_INFO_KIND, "veth");
    Add(info, IFLA_INFO_DATA, data);
    std::string message = Start(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, head);
    AddName(message, IFLA_IFNAME, name);
    Add(message, IFLA_LINKINFO, info);
    return Ask(message);
}

Status Netlink::AddVethToProcess(const std::string& name, const std::string& peer, pid_t pid) {
    return AddVeth(name, peer, IFLA_NET_NS_PID, static_cast<uint32_t>(pid));
}

Status Netlink::AddVethToNamespace(const std::string& name, const std::string& peer, int netns) {
    return AddVeth(name, peer, IFLA_NET_NS_FD, static_cast<uint32_t>(netns));
}

Status Netlink::Remove(const std::string& name) {
    if (!InterfaceExists(name)) {
        return {};
    }
    const ifinfomsg head{};
    std::string message = Start(RTM_DELLINK, 0, head);
    AddName(message, IFLA_IFNAME, name);
    return Ask(message);
}

Status Netlink::SetUp(const std::string& name, bool up) {
    ifinfomsg head{};
    head.ifi_flags = up ? IFF_UP : 0;
    head.ifi_change = IFF_UP;
    std::string message = Start(RTM_NEWLINK, 0, head);
    AddName(message, IFLA_IFNAME, name);
    return Ask(message);
}

Status Netlink::AddAddress(const std::string& name, uint32_t address, int prefix_length) {
    ifaddrmsg head{};
    head.ifa_family = AF_INET;
    head.ifa_prefixlen = static_cast<uint8_t>(prefix_length);
    head.ifa_index = ::if_nametoindex(name.c_str());
    std::string message = Start(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, head);
    Add(message, IFA_LOCAL, htonl(address));
    Add(message, IFA_ADDRESS, htonl(address));
    return Ask(message);
}

Status Netlink::AddDefaultRoute(uint32_t gateway) {
    rtmsg head{};
    head.rtm_family = AF_INET;
    head.rtm_table = RT_TABLE_MAIN;
    head.rtm_protocol = RTPROT_STATIC;
    head.rtm_scope = RT_SCOPE_UNIVERSE;
    head.rtm_type = RTN_UNICAST;
    std::string message = Start(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, head);
    Add(message, RTA_GATEWAY, htonl(gateway));
    return Ask(message);
}

bool InterfaceExists(const std::string& name) {
    return ::if_nametoindex(name.c_str()) != 0;
}

std::string Ipv4Text(uint32_t address) {
    return fmt::format(
        "{}.{}.{}.{}", address >> 24, (address >> 16) & 255, (address >> 8) & 255, address & 255);
}

}  // namespace hearth::os
