#include "sandbox/protocol/protocol.h"

#include "sandbox/protocol/init_protocol.h"
#include "sandbox/protocol/wire.h"

namespace hearth::sandbox {

namespace {

void AddFacts(WireWriter& writer, const HostFacts& facts) {
    writer.Add(std::string_view(facts.backend))
        .Add(std::string_view(facts.cgroup_layout))
        .Add(facts.rootless)
        .Add(facts.memory_limit)
        .Add(facts.pids_limit)
        .Add(facts.cpu_weight)
        .Add(facts.freezer)
        .Add(facts.own_uids)
        .Add(facts.egress)
        .Add(facts.overlay)
        .Add(facts.snapshots);
}

void ReadFacts(WireReader& reader, HostFacts& facts) {
    reader.Read(facts.backend)
        .Read(facts.cgroup_layout)
        .Read(facts.rootless)
        .Read(facts.memory_limit)
        .Read(facts.pids_limit)
        .Read(facts.cpu_weight)
        .Read(facts.freezer)
        .Read(facts.own_uids)
        .Read(facts.egress)
        .Read(facts.overlay)
        .Read(facts.snapshots);
}

std::string_view Body(std::string_view packet) {
    return packet.substr(1);
}

WireWriter Start(PacketKind kind) {
    WireWriter writer;
    writer.Add(static_cast<uint8_t>(kind));
    return writer;
}

bool IsName(const std::string& text) {
    return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
    });
}

bool HasNul(const std::vector<std::string>& texts) {
    return std::any_of(
        texts.begin(), texts.end(), [](const std::string& text) { return text.contains('\0'); });
}

// Where a function's own trees may appear. All exist in every root.
bool IsMountTarget(const std::string& path) {
    return path == "/var/task" || path == "/var/runtime" || path == "/opt" || path == "/mnt";
}

bool IsCleanPath(const std::string& path) {
    if (path.empty() || path.size() > 4096 || path.contains('\0')) {
        return false;
    }
    std::string_view rest = path;
    while (!rest.empty()) {
        const size_t slash = rest.find('/');
        if (rest.substr(0, slash) == "..") {
            return false;
        }
        rest = slash == std::string_view::npos ? std::string_view() : rest.substr(slash + 1);
    }
    return true;
}

bool IsVariableName(const std::string& name) {
    return name.size() <= 128 && !name.contains('=') && !name.contains('\0');
}

}  // namespace

std::string EncodeHostHello(const HostFacts& facts) {
    WireWriter writer = Start(PacketKind::kHostHello);
    AddFacts(writer, facts);
    return writer.bytes();
}

std::string EncodeCloudHello(uint64_t nonce) {
    return EncodeId(PacketKind::kCloudHello, nonce);
}

std::string EncodeCloudWelcome(uint64_t nonce, const HostFacts& facts) {
    WireWriter writer = Start(PacketKind::kCloudWelcome);
    writer.Add(nonce);
    AddFacts(writer, facts);
    return writer.bytes();
}

std::string EncodeId(PacketKind kind, uint64_t id) {
    return Start(kind).Add(id).bytes();
}

std::string EncodeCreate(const CreateRequest& request) {
    WireWriter writer = Start(PacketKind::kCreate);
    writer.Add(request.id)
        .Add(std::string_view(request.name))
        .Add(request.arguments)
        .Add(request.environment)
        .Add(std::string_view(request.working_directory));
    writer.Add(static_cast<uint32_t>(request.mounts.size()));
    for (const MountRequest& mount : request.mounts) {
        writer.Add(std::string_view(mount.source)).Add(std::string_view(mount.target));
    }
    writer.Add(std::string_view(request.runtime_api_variable))
        .Add(std::string_view(request.door_variable))
        .Add(request.companions)
        .Add(request.companion_environment)
        .Add(request.memory_mb)
        .Add(request.ephemeral_storage_mb)
        .Add(request.pids_max)
        .Add(request.open_files_max)
        .Add(request.cpu_quota_millis)
        .Add(request.egress)
        .Add(request.holds_template)
        .Add(request.template_id)
        .Add(request.connections)
        .Add(request.ahead);
    return writer.bytes();
}

namespace {

std::string EncodeAnswer(PacketKind kind, const CreateAnswer& answer) {
    WireWriter writer = Start(kind);
    writer.Add(answer.id)
        .Add(std::string_view(answer.error))
        .Add(answer.unusable)
        .Add(answer.flags)
        .Add(answer.joining)
        .Add(std::string_view(answer.runtime_api_address))
        .Add(std::string_view(answer.door_address));
    for (const uint64_t phase : answer.phases) {
        writer.Add(phase);
    }
    return writer.bytes();
}

}  // namespace

std::string EncodeCreated(const CreateAnswer& answer) {
    return EncodeAnswer(PacketKind::kCreated, answer);
}

std::string EncodeRestored(const CreateAnswer& answer) {
    return EncodeAnswer(PacketKind::kRestored, answer);
}

Result<PacketKind> DecodeKind(std::string_view packet) {
    if (packet.empty()) {
        return errors::Malformed("empty packet");
    }
    const auto kind = static_cast<uint8_t>(packet.front());
    if (kind < static_cast<uint8_t>(PacketKind::kHostHello) ||
        kind > static_cast<uint8_t>(PacketKind::kRestored)) {
        return errors::Malformed("packet of unknown kind");
    }
    return static_cast<PacketKind>(kind);
}

Result<HostFacts> DecodeHostHello(std::string_view packet) {
    HostFacts facts;
    WireReader reader(Body(packet));
    ReadFacts(reader, facts);
    if (!reader.ok()) {
        return errors::Malformed("malformed host hello");
    }
    return facts;
}

Result<uint64_t> DecodeNumber(std::string_view packet) {
    uint64_t number = 0;
    WireReader reader(Body(packet));
    if (!reader.Read(number).ok()) {
        return errors::Malformed("malformed packet");
    }
    return number;
}

Result<std::pair<uint64_t, HostFacts>> DecodeCloudWelcome(std::string_view packet) {
    std::pair<uint64_t, HostFacts> welcome;
    WireReader reader(Body(packet));
    reader.Read(welcome.first);
    ReadFacts(reader, welcome.second);
    if (!reader.ok()) {
        return errors::Malformed("malformed welcome");
    }
    return welcome;
}

Result<CreateRequest> DecodeCreate(std::string_view packet) {
    CreateRequest request;
    uint32_t mount_count = 0;
    WireReader reader(Body(packet));
    reader.Read(request.id)
        .Read(request.name)
        .Read(request.arguments)
        .Read(request.environment)
        .Read(request.working_directory)
        .Read(mount_count);
    for (uint32_t i = 0; i < mount_count && i < 16; ++i) {
        MountRequest& mount = request.mounts.emplace_back();
        reader.Read(mount.source).Read(mount.target);
    }
    reader.Read(request.runtime_api_variable)
        .Read(request.door_variable)
        .Read(request.companions)
        .Read(request.companion_environment)
        .Read(request.memory_mb)
        .Read(request.ephemeral_storage_mb)
        .Read(request.pids_max)
        .Read(request.open_files_max)
        .Read(request.cpu_quota_millis)
        .Read(request.egress)
        .Read(request.holds_template)
        .Read(request.template_id)
        .Read(request.connections)
        .Read(request.ahead);
    if (!reader.ok()) {
        return errors::Malformed("malformed create request");
    }
    if (!IsName(request.name)) {
        return errors::Malformed("environment name");
    }
    if (request.arguments.empty() || request.arguments.size() > 1000 ||
        request.environment.size() > 2000 || HasNul(request.arguments) ||
        HasNul(request.environment) || !IsCleanPath(request.working_directory) ||
        !request.working_directory.starts_with('/')) {
        return errors::Malformed("arguments, environment or working directory");
    }
    if (request.companions.size() > kCompanionsMax || request.companion_environment.size() > 2000 ||
        HasNul(request.companion_environment) ||
        !std::all_of(request.companions.begin(), request.companions.end(), IsCleanPath)) {
        return errors::Malformed("companions or their environment");
    }
    if (request.connections > kWaitingConnectionsMax ||
        (request.template_id != 0 && (request.holds_template || !request.companions.empty()))) {
        return errors::Malformed("template or connections");
    }
    for (const MountRequest& mount : request.mounts) {
        if (!IsCleanPath(mount.source) || !IsMountTarget(mount.target)) {
            return errors::Malformed("mount " + mount.source + " on " + mount.target);
        }
    }
    if (!IsVariableName(request.runtime_api_variable) || !IsVariableName(request.door_variable)) {
        return errors::Malformed("variable name");
    }
    if (request.memory_mb < 1 || request.memory_mb > 1'048'576 ||
        request.ephemeral_storage_mb < 0 || request.ephemeral_storage_mb > 1'048'576 ||
        request.pids_max < 1 || request.pids_max > 1'000'000 || request.open_files_max < 16 ||
        request.open_files_max > 1'000'000 || request.cpu_quota_millis < 0 ||
        request.cpu_quota_millis > 1'000'000) {
        return errors::Malformed("limits");
    }
    return request;
}

std::string EncodeSave(const SaveMessage& message) {
    WireWriter writer = Start(PacketKind::kSave);
    writer.Add(message.id).Add(static_cast<uint32_t>(message.ports.size()));
    for (const uint16_t port : message.ports) {
        writer.Add(port);
    }
    return writer.bytes();
}

Result<SaveMessage> DecodeSave(std::string_view packet) {
    SaveMessage message;
    uint32_t count = 0;
    WireReader reader(Body(packet));
    reader.Read(message.id).Read(count);
    for (uint32_t i = 0; i < count && i < kWaitingConnectionsMax; ++i) {
        reader.Read(message.ports.emplace_back());
    }
    if (!reader.ok()) {
        return errors::Malformed("malformed save request");
    }
    return message;
}

std::string EncodeSaved(const SaveAnswer& answer) {
    return Start(PacketKind::kSaved)
        .Add(answer.id)
        .Add(std::string_view(answer.error))
        .Add(std::string_view(answer.refusal))
        .Add(answer.image_bytes)
        .Add(answer.frozen_ns)
        .bytes();
}

Result<SaveAnswer> DecodeSaved(std::string_view packet) {
    SaveAnswer answer;
    WireReader reader(Body(packet));
    reader.Read(answer.id)
        .Read(answer.error)
        .Read(answer.refusal)
        .Read(answer.image_bytes)
        .Read(answer.frozen_ns);
    if (!reader.ok()) {
        return errors::Malformed("malformed save answer");
    }
    return answer;
}

Result<CreateAnswer> DecodeCreated(std::string_view packet) {
    CreateAnswer answer;
    WireReader reader(Body(packet));
    reader.Read(answer.id)
        .Read(answer.error)
        .Read(answer.unusable)
        .Read(answer.flags)
        .Read(answer.joining)
        .Read(answer.runtime_api_address)
        .Read(answer.door_address);
    for (uint64_t& phase : answer.phases) {
        reader.Read(phase);
    }
    if (!reader.ok()) {
        return errors::Malformed("malformed create answer");
    }
    return answer;
}

}  // namespace hearth::sandbox
