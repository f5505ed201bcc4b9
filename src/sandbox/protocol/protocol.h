#pragma once

#include "base/result.h"

#include <array>
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
    kSave = 8,          // cloud: SaveMessage with one descriptor, the image file
    kSaved = 9,         // host: SaveAnswer
    kLearn = 10,        // cloud: id of a clone that has answered a call. No answer.
    kRestored = 11,     // host: CreateAnswer of a clone that was kCreated while it still joined
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
    // Mounts on one target are laid over each other.
    bool overlay = false;
    // Runtimes can be saved, and environments made from templates.
    bool snapshots = false;
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
    // The environment holds a template instead of a runtime: with the packet comes the image to
    // make it from, and perhaps the file that tells which of its memory calls use.
    bool holds_template = false;
    // Not 0: the runtime is a clone of the template in that environment.
    uint64_t template_id = 0;
    // Of a clone: how many connections it waits on.
    uint32_t connections = 0;
    // Of a clone: it has the memory that calls use before it runs.
    bool ahead = false;
};

// A runtime keeps one connection, its extensions one each; more are not worth a snapshot.
inline constexpr size_t kWaitingConnectionsMax = 16;

// Descriptors that come with kCreated, in this order; those after the first six only with their
// flag.
inline constexpr uint32_t kHasFreezer = 1;  // control file, open for writing
inline constexpr uint32_t kFreezerV2 = 2;   // write "1"/"0" rather than "FROZEN"/"THAWED"
inline constexpr uint32_t kHasMemory = 4;   // the group's directory
inline constexpr uint32_t kMemoryV2 = 8;
inline constexpr uint32_t kHasCpu = 16;  // the group's directory
inline constexpr uint32_t kCpuV2 = 32;
// control socket, stdout, stderr, runtime API listener, door listener, /tmp directory; at the very
// end the output of each companion, or of a clone our ends of the connections it waits on
inline constexpr size_t kCreatedFdsMin = 6;

struct CreateAnswer {
    uint64_t id = 0;
    std::string error;  // empty: it worked
    // With an error: the image does not fit this machine or its files any more.
    bool unusable = false;
    uint32_t flags = 0;
    // Of a clone: it still joins, and kRestored tells when it runs or why it does not. Whatever
    // is written to its connections until then it finds there.
    bool joining = false;
    std::string runtime_api_address;  // "127.0.0.1:9001"
    std::string door_address;         // "http://127.0.0.1:4566"
    // Of a clone, nanoseconds each: sandbox, clone, join, descriptors, threads, filter.
    std::array<uint64_t, 6> phases{};
};

// Saves the runtime of an environment, which ends with it.
struct SaveMessage {
    uint64_t id = 0;
    // Local ports, inside, of the connections on which the runtime waits for the cloud.
    std::vector<uint16_t> ports;
};

struct SaveAnswer {
    uint64_t id = 0;
    // The machine's fault; empty: none.
    std::string error;
    // What the process has that no image can hold; empty: it is saved.
    std::string refusal;
    uint64_t image_bytes = 0;
    uint64_t frozen_ns = 0;
};

std::string EncodeHostHello(const HostFacts& facts);
std::string EncodeCloudHello(uint64_t nonce);
std::string EncodeCloudWelcome(uint64_t nonce, const HostFacts& facts);
std::string EncodeCreate(const CreateRequest& request);
std::string EncodeCreated(const CreateAnswer& answer);
std::string EncodeRestored(const CreateAnswer& answer);
std::string EncodeSave(const SaveMessage& message);
std::string EncodeSaved(const SaveAnswer& answer);
std::string EncodeId(PacketKind kind, uint64_t id);

// The kind of a packet; the rest of it goes to the matching Decode.
Result<PacketKind> DecodeKind(std::string_view packet);
Result<HostFacts> DecodeHostHello(std::string_view packet);
Result<uint64_t> DecodeNumber(std::string_view packet);  // all that EncodeId makes
Result<std::pair<uint64_t, HostFacts>> DecodeCloudWelcome(std::string_view packet);
// Checks limits, names and paths too: what passes is safe to act on.
Result<CreateRequest> DecodeCreate(std::string_view packet);
// Of kCreated and of kRestored.
Result<CreateAnswer> DecodeCreated(std::string_view packet);
Result<SaveMessage> DecodeSave(std::string_view packet);
Result<SaveAnswer> DecodeSaved(std::string_view packet);

}  // namespace hearth::sandbox
