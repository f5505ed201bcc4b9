#pragma once

#include "base/result.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// Packets between cloud and host: src/sandbox/host/README.md has the rules of the conversation.
namespace hearth::sandbox {

enum class PacketKind : uint8_t {
    kHostHello = 1,     // host, first: HostFacts. Whatever an earlier host made is gone.
    kCloudHello = 2,    // cloud, first: nonce. The host destroys everything and answers:
    kCloudWelcome = 3,  // host: the nonce, HostFacts; with egress, one descriptor: the UDP socket
                        // at which environments ask for names (again after each restart of either)
    kCreate = 4,        // cloud: CreateRequest
    kCreated = 5,       // host: CreateAnswer with descriptors
    kDestroy = 6,       // cloud: id
    kDestroyed = 7,     // host: id. Nothing of it is left.
};

// What this machine gives; the column of docs/security.md that applies.
struct HostFacts {
    std::string backend;        // "namespaces" or "none"
    std::string cgroup_layout;  // "v2", "v1", "hybrid", "none"
    bool rootless = false;
    bool memory_limit = false;
    bool pids_limit = false;
    bool cpu_weight = false;
    bool freezer = false;
    bool own_uids = false;
    bool egress = false;
};

struct MountRequest {
    std::string source;
    std::string target;
};

struct CreateRequest {
    uint64_t id = 0;  // chosen by the cloud, never twice
    std::string name;
    std::vector<std::string> arguments;
    std::vector<std::string> environment;
    std::string working_directory;
    std::vector<MountRequest> mounts;
    std::string runtime_api_variable;
    std::string door_variable;
    std::vector<std::string> companions;
    std::vector<std::string> companion_environment;
    int64_t memory_mb = 0;
    int64_t ephemeral_storage_mb = 0;
    int32_t pids_max = 0;
    int32_t open_files_max = 0;
    int64_t cpu_quota_millis = 0;
    bool egress = false;
};

// Descriptors that come with kCreated, in this order; those after the first six only with their
// flag.
inline constexpr uint32_t kHasFreezer = 1;  // control file, open for writing
inline constexpr uint32_t kFreezerV2 = 2;   // write "1"/"0" rather than "FROZEN"/"THAWED"
inline constexpr uint32_t kHasMemory = 4;   // the group's directory
inline constexpr uint32_t kMemoryV2 = 8;
inline constexpr uint32_t kHasCpu = 16;  // the group's directory
inline constexpr uint32_t kCpuV2 = 32;
// control socket, stdout, stderr, runtime API listener, door listener, /tmp directory; at the very
// end the output of each companion
inline constexpr size_t kCreatedFdsMin = 6;

struct CreateAnswer {
    uint64_t id = 0;
    std::string error;  // empty: it worked
    uint32_t flags = 0;
    std::string runtime_api_address;  // "127.0.0.1:9001"
    std::string door_address;         // "http://127.0.0.1:4566"
};

std::string EncodeHostHello(const HostFacts& facts);
std::string EncodeCloudHello(uint64_t nonce);
std::string EncodeCloudWelcome(uint64_t nonce, const HostFacts& facts);
std::string EncodeCreate(const CreateRequest& request);
std::string EncodeCreated(const CreateAnswer& answer);
std::string EncodeId(PacketKind kind, uint64_t id);

// The kind of a packet; the rest of it goes to the matching Decode.
Result<PacketKind> DecodeKind(std::string_view packet);
Result<HostFacts> DecodeHostHello(std::string_view packet);
Result<uint64_t> DecodeNumber(std::string_view packet);  // kCloudHello, kDestroy, kDestroyed
Result<std::pair<uint64_t, HostFacts>> DecodeCloudWelcome(std::string_view packet);
// Checks limits, names and paths too: what passes is safe to act on.
Result<CreateRequest> DecodeCreate(std::string_view packet);
Result<CreateAnswer> DecodeCreated(std::string_view packet);

}  // namespace hearth::sandbox
