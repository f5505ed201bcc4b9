#include "services/lambda/version_snapshots.h"

#include "base/log.h"
#include "codec/json/json.h"
#include "flow/schedule.h"
#include "rt/blocking_pool.h"
#include "services/lambda/errors.h"
#include "services/lambda/function_name.h"
#include "services/lambda/snapshot_templates.h"
#include "storage/keys/key.h"

#include "gen/lambda/types.gen.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <system_error>
#include <vector>

namespace hearth::lambda {
namespace {

using State = VersionSnapshot::State;

constexpr std::string_view kKind = "lambda-snapshot";
// Relative to the data directory, which is the process's working directory.
constexpr std::string_view kFolder = "snapshots";

std::string PathOf(const std::string& image) {
    return fmt::format("{}/{}", kFolder, image);
}

// An image's file name says whose it is, so that a sweep finds its row.
std::string Prefix(const FunctionKey& key, std::string_view function_id) {
    return fmt::format(
        "{}.{}.{}.{}.", key.account.text(), key.region.text(), key.name, function_id);
}

Result<std::vector<std::string>> ListImages() {
    std::vector<std::string> images;
    std::error_code error;
    for (std::filesystem::directory_iterator entry(kFolder, error), end; !error && entry != end;
         entry.increment(error)) {
        images.push_back(entry->path().filename().string());
    }
    if (error) {
        return hearth::errors::System("reading snapshots/", error.value());
    }
    return images;
}

// One image may be lost for any reason; more of them hint at one that stays.
std::chrono::seconds DelayAfter(int64_t losses) {
    constexpr std::array kDelays = {
        std::chrono::seconds(0), std::chrono::seconds(1), std::chrono::seconds(10)};
    const auto index = static_cast<size_t>(std::max<int64_t>(losses, 1) - 1);
    return index < kDelays.size() ? kDelays[index] : std::chrono::minutes(1);
}

std::string_view TextOf(State state) {
    switch (state) {
        case State::kPending:
            return "Pending";
        case State::kActive:
            return "Active";
        case State::kInactive:
            return "Inactive";
        case State::kFailed:
            return "Failed";
    }
    return "";
}

std::string TimerKey(const FunctionKey& key, std::string_view function_id, int64_t number) {
    return storage::keys::Key(key.account, key.region).Add(key.name).Add(function_id).Add(number);
}

}  // namespace

Task<Result<SnapshotOutcome>> Invoker::SaveSnapshot(
    std::shared_ptr<const FunctionVersion> function, std::string image) {
    (void)function;
    (void)image;
    co_return SnapshotOutcome{
        .kind = SnapshotOutcome::Kind::kNotPossible,
        .reason = "environments cannot be saved on this machine",
        .reason_code = {}};
}

VersionSnapshots::VersionSnapshots(const ServiceDeps& deps, FunctionStore& store)
    : deps_(deps), store_(store) {
    deps_.schedule.Register(
        std::string(kKind), [this](const flow::DueTimer& timer) { return Work(timer.key); });
}

Task<Status> VersionSnapshots::Start() {
    if (::mkdir(std::string(kFolder).c_str(), 0700) != 0 && errno != EEXIST) {
        co_return hearth::errors::System("mkdir snapshots", errno);
    }
    HEARTH_CO_TRY(std::vector<std::string> images, co_await deps_.blocking_pool.Run(ListImages));
    for (const std::string& image : images) {
        const std::string_view whose =
            image.ends_with(kMemoryUseSuffix)
                ? std::string_view(image).substr(0, image.size() - kMemoryUseSuffix.size())
                : image;
        HEARTH_CO_TRY(const bool named, co_await IsNamed(std::string(whose)));
        if (!named) {
            // Half written, or of a version that went.
            ::unlink(PathOf(image).c_str());
        }
    }
    co_return Status();
}

Task<Result<bool>> VersionSnapshots::IsNamed(const std::string& image) {
    std::vector<std::string> parts;
    for (size_t start = 0; start <= image.size();) {
        const size_t end = std::min(image.find('.', start), image.size());
        parts.push_back(image.substr(start, end - start));
        start = end + 1;
    }
    if (parts.size() != 6 || (parts[4] != "0" && !IsVersionNumber(parts[4]))) {
        co_return false;
    }
    const FunctionKey key{AccountId(parts[0]), Region(parts[1]), parts[2]};
    HEARTH_CO_TRY(
        const auto snapshot, co_await store_.FindSnapshot(key, parts[3], std::stoll(parts[4])));
    co_return snapshot && snapshot->image == image;
}

Task<Status> VersionSnapshots::PutPending(
    FunctionTransaction& transaction,
    const FunctionKey& key,
    const std::string& function_id,
    int64_t number) {
    const auto now = deps_.cloud_clock.Now();
    transaction.PutSnapshot(key, function_id, number, VersionSnapshot{.used = now});
    co_return co_await deps_.schedule.Put(
        transaction.storage(), {std::string(kKind), TimerKey(key, function_id, number), now, ""});
}

void VersionSnapshots::Published() {
    deps_.schedule.Arm(deps_.cloud_clock.Now());
}

Task<Result<std::optional<SnapshotSource>>> VersionSnapshots::ForCall(
    const FunctionVersion& function, std::string function_id) {
    const Name name{
        .key = {function.account, function.region, function.name},
        .function_id = std::move(function_id),
        .number = function.version == kLatest ? 0 : std::stoll(function.version)};
    if (name.number == 0) {
        co_return co_await ForLatest(function, name);
    }
    HEARTH_CO_TRY(
        const auto snapshot, co_await store_.FindSnapshot(name.key, name.function_id, name.number));
    if (!snapshot) {
        co_return std::optional<SnapshotSource>();
    }
    switch (snapshot->state) {
        case State::kPending:
            co_return errors::SnapStartNotReady();
        case State::kInactive:
            HEARTH_CO_RETURN_IF_ERROR(co_await Change(name, [](VersionSnapshot& changed) {
                changed.state = State::kPending;
                return Next::kNow;
            }));
            co_return errors::SnapStartNotReady();
        case State::kFailed:
            co_return errors::ResourceConflict(fmt::format(
                "The operation cannot be performed at this time. The function is currently in the "
                "following state: Failed"));
        case State::kActive:
            break;
    }
    co_return co_await Use(name, *snapshot);
}

Task<Result<std::optional<SnapshotSource>>> VersionSnapshots::ForLatest(
    const FunctionVersion& function, Name name) {
    // Calls of $LATEST are resolved without it; the revision tells whether it is the same function.
    HEARTH_CO_TRY(const auto head, co_await store_.FindHead(name.key));
    if (!head) {
        co_return std::optional<SnapshotSource>();
    }
    name.function_id = head->id;
    HEARTH_CO_TRY(
        auto snapshot, co_await store_.FindSnapshot(name.key, name.function_id, name.number));
    if (!snapshot || snapshot->revision != function.revision || snapshot->state != State::kActive) {
        HEARTH_CO_RETURN_IF_ERROR(
            co_await BeginLatest(name, function.revision, std::move(snapshot)));
        co_return std::optional<SnapshotSource>();
    }
    co_return co_await Use(name, *std::move(snapshot));
}

Task<Status> VersionSnapshots::BeginLatest(
    Name name, std::string revision, std::optional<VersionSnapshot> before) {
    bool begun = false;
    const auto now = deps_.cloud_clock.Now();
    const FunctionStore::Body body = [&](FunctionTransaction& transaction) -> Task<Status> {
        begun = false;
        HEARTH_CO_TRY(const auto head, co_await transaction.FindHead(name.key));
        HEARTH_CO_TRY(const auto latest, co_await transaction.FindLatest(name.key));
        if (!head || head->id != name.function_id || !latest ||
            latest->environment_revision != revision) {
            co_return Status();
        }
        HEARTH_CO_TRY(
            const auto there, co_await transaction.FindSnapshot(name.key, name.function_id, 0));
        if (there && there->revision == revision && there->state == State::kActive) {
            co_return Status();  // another call was first
        }
        begun = true;
        transaction.PutSnapshot(
            name.key,
            name.function_id,
            0,
            VersionSnapshot{.state = State::kActive, .revision = revision, .used = now});
        co_return co_await deps_.schedule.Put(
            transaction.storage(),
            {std::string(kKind), TimerKey(name.key, name.function_id, 0), now, ""});
    };
    HEARTH_CO_RETURN_IF_ERROR(co_await store_.Transact(body));
    if (begun) {
        deps_.schedule.Arm(now);
        if (before) {
            Drop(before->image);
        }
    }
    co_return Status();
}

Task<Result<std::optional<SnapshotSource>>> VersionSnapshots::Use(
    Name name, VersionSnapshot snapshot) {
    if (deps_.cloud_clock.Now() - snapshot.used >= std::chrono::days(1)) {
        HEARTH_CO_RETURN_IF_ERROR(co_await Change(name, [this](VersionSnapshot& changed) {
            changed.used = deps_.cloud_clock.Now();
            return Next::kWhenIdle;
        }));
    }
    if (snapshot.image.empty()) {
        co_return std::optional<SnapshotSource>();
    }
    SnapshotSource source{
        .image = PathOf(snapshot.image),
        .connections = snapshot.connections,
        .in_restore = snapshot.in_restore,
        .rehearses = snapshot.rehearses,
        .extensions = {}};
    if (auto extensions = DecodeSavedExtensions(snapshot.extensions);
        extensions.ok() && extensions->size() < std::max(snapshot.connections, 1u)) {
        source.extensions = *std::move(extensions);
    } else {
        // Of another Hearth: without them the image is of no use.
        RemoveImage(source.image);
    }
    if (::access(source.image.c_str(), F_OK) != 0) {
        // Lost, or found unusable after an update of the machine, say. The version stays Active:
        // calls have cold starts until there is another image.
        HEARTH_CO_RETURN_IF_ERROR(co_await Change(name, [&](VersionSnapshot& changed) {
            if (changed.image != snapshot.image) {
                return Next::kUnchanged;
            }
            changed.image.clear();
            const bool soon = deps_.cloud_clock.Now() - changed.made < kLossSoon;
            changed.losses = soon ? changed.losses + 1 : 1;
            if (changed.losses < kLossesMax) {
                return Next::kAfterLoss;
            }
            changed.note =
                fmt::format("{} snapshots of it could not be used, or were lost", changed.losses);
            log::Warn(
                "lambda: {} of {} starts without a snapshot from now on: {}",
                changed.revision.empty() ? "a version" : "$LATEST",
                name.key.name,
                changed.note);
            return Next::kNever;
        }));
        co_return std::optional<SnapshotSource>();
    }
    co_return std::optional<SnapshotSource>(std::move(source));
}

Task<Status> VersionSnapshots::Change(Name name, std::function<Next(VersionSnapshot&)> change) {
    const std::string timer_key = TimerKey(name.key, name.function_id, name.number);
    std::optional<CloudClock::time_point> due;
    const FunctionStore::Body body = [&](FunctionTransaction& transaction) -> Task<Status> {
        due.reset();
        HEARTH_CO_TRY(
            auto snapshot,
            co_await transaction.FindSnapshot(name.key, name.function_id, name.number));
        if (!snapshot) {
            co_return Status();
        }
        const Next next = change(*snapshot);
        if (next == Next::kUnchanged) {
            co_return Status();
        }
        transaction.PutSnapshot(name.key, name.function_id, name.number, *snapshot);
        if (next == Next::kNever) {
            co_return Status();
        }
        due = deps_.cloud_clock.Now();
        if (next == Next::kAfterLoss) {
            *due += DelayAfter(snapshot->losses);
        } else if (next == Next::kWhenIdle) {
            due = snapshot->used + kIdleMax;
        }
        co_return co_await deps_.schedule.Put(
            transaction.storage(), {std::string(kKind), timer_key, *due, ""});
    };
    HEARTH_CO_RETURN_IF_ERROR(co_await store_.Transact(body));
    if (due) {
        deps_.schedule.Arm(*due);
    }
    co_return Status();
}

Task<Status> VersionSnapshots::Work(std::string timer_key) {
    storage::keys::KeyReader reader(timer_key);
    HEARTH_CO_TRY(std::string account, reader.String());
    HEARTH_CO_TRY(std::string region, reader.String());
    HEARTH_CO_TRY(std::string function_name, reader.String());
    HEARTH_CO_TRY(std::string function_id, reader.String());
    HEARTH_CO_TRY(const int64_t number, reader.Integer());
    const Name name{
        .key = {AccountId(std::move(account)), Region(std::move(region)), std::move(function_name)},
        .function_id = std::move(function_id),
        .number = number};
    HEARTH_CO_TRY(
        const auto snapshot, co_await store_.FindSnapshot(name.key, name.function_id, name.number));
    if (!snapshot) {
        co_return Status();  // the version is gone
    }
    const bool wanted =
        snapshot->state == State::kPending ||
        (snapshot->state == State::kActive && snapshot->image.empty() && snapshot->note.empty());
    if (wanted) {
        co_return co_await Make(name);
    }
    if (snapshot->state != State::kActive || deps_.cloud_clock.Now() - snapshot->used < kIdleMax) {
        co_return Status();
    }
    std::string image;
    HEARTH_CO_RETURN_IF_ERROR(co_await Change(name, [&](VersionSnapshot& changed) {
        if (changed.state != State::kActive || deps_.cloud_clock.Now() - changed.used < kIdleMax) {
            return Next::kUnchanged;
        }
        changed.state = State::kInactive;
        image = std::exchange(changed.image, {});
        changed.note.clear();
        return Next::kNever;
    }));
    Drop(image);
    co_return Status();
}

Task<Result<std::shared_ptr<const FunctionRecord>>> VersionSnapshots::FindRecord(Name name) {
    if (name.number != 0) {
        co_return co_await store_.FindVersion(name.key, name.function_id, name.number);
    }
    HEARTH_CO_TRY(const auto head, co_await store_.FindHead(name.key));
    if (!head || head->id != name.function_id) {
        co_return std::shared_ptr<const FunctionRecord>();
    }
    co_return co_await store_.FindLatest(name.key);
}

Task<Status> VersionSnapshots::Make(Name name) {
    HEARTH_CO_TRY(const auto record, co_await FindRecord(name));
    if (!record || invoker_ == nullptr) {
        co_return Status();
    }
    const std::string image = fmt::format(
        "{}{}.{}", Prefix(name.key, name.function_id), name.number, deps_.random.Hex(8));
    const auto function = MakeFunctionVersion(*record);
    HEARTH_CO_TRY(
        const SnapshotOutcome outcome, co_await invoker_->SaveSnapshot(function, PathOf(image)));
    if (outcome.kind != SnapshotOutcome::Kind::kSaved) {
        log::Info("lambda: {} has no snapshot: {}", record->QualifiedArn(), outcome.reason);
        RemoveImage(PathOf(image));
    }
    bool taken = false;
    HEARTH_CO_RETURN_IF_ERROR(co_await Change(name, [&](VersionSnapshot& snapshot) {
        // Of $LATEST there may be another revision by now.
        taken = name.number != 0 || snapshot.revision == function->revision;
        if (!taken) {
            return Next::kUnchanged;
        }
        snapshot.used = deps_.cloud_clock.Now();
        snapshot.reason.clear();
        snapshot.reason_code.clear();
        snapshot.note.clear();
        switch (outcome.kind) {
            case SnapshotOutcome::Kind::kSaved:
                snapshot.state = State::kActive;
                snapshot.image = image;
                snapshot.connections = outcome.source.connections;
                snapshot.in_restore = outcome.source.in_restore;
                snapshot.rehearses = outcome.source.rehearses;
                snapshot.extensions = EncodeSavedExtensions(outcome.source.extensions);
                snapshot.made = snapshot.used;
                return Next::kWhenIdle;
            case SnapshotOutcome::Kind::kNotPossible:
                snapshot.state = State::kActive;
                snapshot.note = outcome.reason;
                return Next::kNever;
            case SnapshotOutcome::Kind::kInitFailed:
                if (name.number == 0) {
                    // Its calls tell, as without a snapshot.
                    snapshot.note = outcome.reason;
                    return Next::kNever;
                }
                snapshot.state = State::kFailed;
                snapshot.reason = outcome.reason;
                snapshot.reason_code = outcome.reason_code;
                return Next::kNever;
        }
        return Next::kUnchanged;
    }));
    if (!taken) {
        Drop(image);  // the version went meanwhile
    }
    co_return Status();
}

Task<Status> VersionSnapshots::Show(
    const FunctionRecord& record,
    const std::string& function_id,
    bool in_list,
    model::FunctionConfiguration& out) {
    if (!record.snap_start || record.version == kLatest) {
        co_return Status();
    }
    const FunctionKey key{record.account, record.region, record.name};
    HEARTH_CO_TRY(
        const auto snapshot,
        co_await store_.FindSnapshot(key, function_id, std::stoll(record.version)));
    if (!snapshot) {
        co_return Status();
    }
    const bool on = snapshot->state == State::kActive && !snapshot->image.empty();
    out.snap_start->optimization_status = on ? "On" : "Off";
    if (in_list) {
        co_return Status();
    }
    out.state_reason.reset();
    out.state_reason_code.reset();
    switch (snapshot->state) {
        case State::kPending:
            out.state = "Pending";
            out.state_reason = "The function is being created.";
            out.state_reason_code = "Creating";
            break;
        case State::kActive:
            out.state = "Active";
            break;
        case State::kInactive:
            out.state = "Inactive";
            out.state_reason = "The function is idle.";
            out.state_reason_code = "Idle";
            break;
        case State::kFailed:
            out.state = "Failed";
            out.state_reason = snapshot->reason;
            out.state_reason_code = snapshot->reason_code;
            break;
    }
    co_return Status();
}

Task<Result<std::string>> VersionSnapshots::Describe(AccountId account, Region region) {
    HEARTH_CO_TRY(const auto found, co_await store_.ListSnapshots(account, region));
    codec::JsonWriter json;
    json.BeginObject();
    json.Key("versions");
    json.BeginArray();
    for (const auto& [name, function_id, number, snapshot] : found) {
        HEARTH_CO_TRY(const auto head, co_await store_.FindHead({account, region, name}));
        if (!head || head->id != function_id) {
            continue;  // being deleted
        }
        struct stat facts{};
        const bool on = snapshot.state == State::kActive && !snapshot.image.empty();
        const bool there = on && ::stat(PathOf(snapshot.image).c_str(), &facts) == 0;
        json.BeginObject();
        json.Key("function");
        json.String(name);
        json.Key("version");
        json.String(number == 0 ? std::string(kLatest) : std::to_string(number));
        json.Key("state");
        json.String(TextOf(snapshot.state));
        json.Key("optimization");
        json.String(on ? "On" : "Off");
        json.Key("reason");
        json.String(snapshot.note.empty() ? snapshot.reason : snapshot.note);
        json.Key("image_bytes");
        json.Int(there ? facts.st_size : 0);
        json.EndObject();
    }
    json.EndArray();
    json.EndObject();
    co_return json.Take();
}

void VersionSnapshots::Drop(const std::string& image) {
    if (image.empty()) {
        return;
    }
    if (invoker_ != nullptr) {
        invoker_->ForgetSnapshot(PathOf(image));
    }
    // One that stays is swept with the next start.
    RemoveImage(PathOf(image));
}

Task<void> VersionSnapshots::Removed(FunctionKey key, std::string function_id, int64_t number) {
    const auto images = co_await deps_.blocking_pool.Run(ListImages);
    if (!images.ok()) {
        log::Warn("lambda: {}", images.error().message());
        co_return;
    }
    std::string prefix = Prefix(key, function_id);
    if (number != 0) {
        prefix += fmt::format("{}.", number);
    }
    for (const std::string& image : *images) {
        if (image.starts_with(prefix)) {
            Drop(image);
        }
    }
}

}  // namespace hearth::lambda
