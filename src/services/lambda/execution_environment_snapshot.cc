// The part of an execution environment that is about snapshots: being saved, and going on from one.
#include "base/log.h"
#include "sandbox/protocol/protocol.h"
#include "services/lambda/execution_environment.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace hearth::lambda {

namespace {

using std::chrono::steady_clock;

SnapshotOutcome NotPossible(std::string reason) {
    return SnapshotOutcome{
        .kind = SnapshotOutcome::Kind::kNotPossible,
        .reason = std::move(reason),
        .reason_code = {},
        .source = {}};
}

// Of the environment that holds the template of others.
sandbox::EnvironmentSpec TemplateSpec(const sandbox::EnvironmentSpec& of_clones) {
    sandbox::EnvironmentSpec spec = of_clones;
    spec.id += "-t";
    // Its way out stays, though nothing runs there: taking the link away blocks the host for 20 ms.
    return spec;
}

}  // namespace

Task<Result<SnapshotOutcome>> ExecutionEnvironment::Save(std::string image) {
    // Whatever comes of it, this environment serves nobody.
    saved_ = true;
    if (extensions_->api().any_external()) {
        co_return NotPossible("it has external extensions");
    }
    if (extensions_->has_telemetry()) {
        co_return NotPossible("an extension of it has subscribed to telemetry");
    }
    if (over() || !extensions_->api().quiet()) {
        co_return NotPossible("its extensions do not wait for an event");
    }
    const bool in_restore = api_->waiting_for_restore();
    auto [extensions, waiting] = extensions_->api().AtRest();
    std::vector<uint16_t> ports = api_->RestingPorts(waiting);
    if (ports.empty()) {
        co_return NotPossible("its runtime does not wait for an event");
    }
    if (ports.size() > sandbox::kWaitingConnectionsMax) {
        co_return NotPossible("it waits on too many connections");
    }
    const auto connections = static_cast<uint32_t>(ports.size());
    sandbox::SaveRequest request;
    request.ports = std::move(ports);
    request.image =
        os::Fd(::open(image.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!request.image.valid()) {
        co_return errors::System("the new image " + image, errno);
    }
    log_->Drain();
    auto report = co_await sandbox_->Save(std::move(request));
    log_->DrainAll();
    if (!report.ok()) {
        ::unlink(image.c_str());
        if (report.error().kind() == Error::Kind::kUnimplemented) {
            co_return NotPossible(report.error().message());
        }
        co_return std::move(report).error();
    }
    if (!report->refusal.empty()) {
        ::unlink(image.c_str());
        co_return NotPossible(std::move(report->refusal));
    }
    log::Debug(
        "lambda: {} saved: {} bytes, frozen for {} us",
        function_->name,
        report->image_bytes,
        report->frozen.count() / 1000);
    co_return SnapshotOutcome{
        .kind = SnapshotOutcome::Kind::kSaved,
        .reason = {},
        .reason_code = {},
        .source = {
            .image = image,
            .connections = connections,
            .in_restore = in_restore,
            .rehearses = !in_restore && api_->rehearses(),
            .extensions = std::move(extensions)}};
}

Task<Result<bool>> ExecutionEnvironment::PrepareRestored(
    SnapshotTemplates& templates, SnapshotSource source, bool ahead) {
    to_save_ = true;  // the saved one's variables and paths
    sandbox::EnvironmentSpec spec;
    aws::DoorIdentity identity;
    HEARTH_CO_RETURN_IF_ERROR(co_await FillSpec(spec, identity));
    if (stillborn_.has_value() || !external_extensions_.empty()) {
        to_save_ = false;
        stillborn_.reset();
        code_.clear();
        co_return false;
    }
    const auto template_spec = [&spec] { return TemplateSpec(spec); };
    // A template may have died with its host since the last call; the second one is new.
    for (int attempt = 0; attempt < 2 && sandbox_ == nullptr; ++attempt) {
        auto from = co_await templates.Get(source.image, template_spec);
        if (!from.ok()) {
            log::Info("lambda: {} starts cold: {}", function_->name, from.error().message());
            if (from.error().kind() == Error::Kind::kConflict) {
                // VersionSnapshots::ForCall notices, and has another one made.
                ::unlink(source.image.c_str());
            }
            break;
        }
        sandbox::EnvironmentSpec clone = spec;
        clone.from = from->get();
        clone.connections = source.connections;
        clone.ahead = ahead;
        auto made = co_await deps_.sandbox.Create(std::move(clone));
        if (made.ok()) {
            sandbox_ = *std::move(made);
            template_ = *std::move(from);
        } else {
            log::Info("lambda: {} is not restored: {}", function_->name, made.error().message());
            templates.Drop(source.image, *from);
        }
    }
    if (sandbox_ == nullptr) {
        to_save_ = false;
        code_.clear();
        co_return false;
    }
    restoring_ = true;
    takes_event_early_ = !ahead && !source.in_restore && source.extensions.empty();
    api_ = std::make_unique<RuntimeApi>(sandbox_->TakeRuntimeApiListener());
    // The runtime's come first.
    std::vector<os::Fd> connections = sandbox_->TakeConnections();
    const size_t of_runtime =
        connections.size() - std::min(connections.size(), source.extensions.size());
    for (size_t i = 0; i < of_runtime; ++i) {
        HEARTH_CO_RETURN_IF_ERROR(
            api_->Adopt(std::move(connections[i]), source.in_restore && i == 0));
    }
    // The runtime works on while all that is around it is made. A spare tells of its restore when
    // it is first called.
    api_->AnswerRestore(ahead, source.rehearses);
    Surround(std::move(identity));
    for (size_t i = of_runtime; i < connections.size(); ++i) {
        HEARTH_CO_TRY(const uint64_t number, api_->AdoptWaiting(std::move(connections[i])));
        extensions_->api().Resume(std::move(source.extensions[i - of_runtime]), number);
    }
    api_->Start();
    tasks_.Spawn(WatchExit());
    tasks_.Spawn(WatchRestored(templates, std::move(source.image), ahead));
    co_return true;
}

Task<void> ExecutionEnvironment::WatchRestored(
    SnapshotTemplates& templates, std::string image, bool ahead) {
    const Status restored = co_await sandbox_->WaitRestored();
    if (!restored.ok()) {
        if (!stopped_) {
            log::Info(
                "lambda: {} is not restored: {}", function_->name, restored.error().message());
        }
        templates.Drop(image, template_);
    }
    template_.reset();
    if (restored.ok()) {
        // A spare tells of its restore when it is first called.
        if (!ahead) {
            WriteRestoreStart();
        }
        if (!takes_event_early_) {
            CaptureOutput();
        }
    }
    restored_ = restored;
    api_->changed().WakeAll();
}

Task<bool> ExecutionEnvironment::WaitRestored(steady_clock::time_point deadline) {
    while (!restored_.has_value()) {
        if (!co_await api_->changed().WaitUntil(deadline)) {
            co_return false;
        }
    }
    co_return true;
}

Task<Status> ExecutionEnvironment::LoadTemplate(
    SnapshotTemplates& templates, SnapshotSource source) {
    to_save_ = true;  // the saved one's variables and paths
    sandbox::EnvironmentSpec spec;
    aws::DoorIdentity identity;
    HEARTH_CO_RETURN_IF_ERROR(co_await FillSpec(spec, identity));
    const auto loaded =
        co_await templates.Get(source.image, [&spec] { return TemplateSpec(spec); });
    if (!loaded.ok()) {
        co_return loaded.error();
    }
    co_return Status();
}

Task<RestoreOutcome> ExecutionEnvironment::Restore(std::chrono::nanoseconds limit) {
    const auto start = made_at_;
    const auto deadline = start + limit;
    bool in_time = true;
    extensions_->api().CloseRegistration();
    extensions_->api().CloseSubscriptions();
    RestoreOutcome outcome;
    restore_deadline_ = deadline;
    if (takes_event_early_) {
        outcome.ok = true;
        outcome.begun = true;
        co_return outcome;
    }
    // What the host says of it and what it does itself come on different ways.
    in_time = co_await WaitRestored(deadline);
    if (in_time && !restored_->ok()) {
        outcome.refused = true;
        co_return outcome;
    }
    while (in_time && !ready() && !api_->restore_error().has_value() && !over()) {
        in_time = co_await api_->changed().WaitUntil(deadline);
    }
    outcome.duration = steady_clock::now() - start;
    if (api_->restore_error().has_value()) {
        outcome.error_type = api_->restore_error()->error_type;
        if (outcome.error_type.empty()) {
            outcome.error_type = "Runtime.RestoreError";
        }
    } else if (exit_.has_value()) {
        outcome.lost = exit_->lost;
        outcome.error_type = "Runtime.ExitError";
        outcome.fault = ExitText();
    } else if (ready()) {
        outcome.ok = true;
    } else {
        outcome.timed_out = true;
    }
    log_->Drain();
    last_deadline_ = deadline;
    co_return outcome;
}

void ExecutionEnvironment::WriteRestoreStart() {
    if (auto line = platform_log_.RestoreStart(deps_.wall_clock.Now(), Facts())) {
        log_->Write(*std::move(line));
    }
}

void ExecutionEnvironment::WriteRestoreReport(const RestoreOutcome& restore) {
    log_->DrainAll();
    const RestoreReport report{
        .duration = restore.duration,
        .status = restore.ok          ? "success"
                  : restore.timed_out ? "timeout"
                                      : "error",
        .error_type = restore.error_type};
    if (auto line = platform_log_.RestoreDone(deps_.wall_clock.Now(), report)) {
        log_->Write(*std::move(line));
    }
}

}  // namespace hearth::lambda
