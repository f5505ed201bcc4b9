#include "services/lambda/slots.h"

#include "base/log.h"
#include "os/fd.h"
#include "rt/timer.h"
#include "services/lambda/errors.h"
#include "services/lambda/response_stream.h"
#include "services/lambda/slots_pool.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

namespace hearth::lambda {

namespace {

using std::chrono::steady_clock;

double Seconds(std::chrono::nanoseconds duration) {
    return std::chrono::duration<double>(duration).count();
}

constexpr uint64_t kUsualEnvironmentBytes = 64ull << 20;

std::string NameKey(const AccountId& account, const Region& region, std::string_view name) {
    return fmt::format("{}/{}/{}", account.text(), region.text(), name);
}

aws::Histogram PhaseHistogram(aws::Metrics& metrics, std::string_view phase) {
    return metrics.Histogram(
        "hearth_lambda_phase_seconds",
        "Time of an invocation's phases",
        aws::Metrics::RequestSeconds(),
        {{"phase", std::string(phase)}});
}

// What the sandbox or the code cache could not do is, to a caller, Lambda's own failure.
Error ServiceFailure(Error error) {
    if (!error.code().empty()) {
        return error;
    }
    log::Error("lambda: no environment: {}", error.message());
    return Error(Error::Kind::kUnavailable, "ServiceException", error.message(), 500);
}

}  // namespace

uint64_t AvailableMemoryBytes() {
    const os::Fd file(::open("/proc/meminfo", O_RDONLY | O_CLOEXEC));
    std::array<char, 512> buffer{};
    const ssize_t count = file.valid() ? ::read(file.get(), buffer.data(), buffer.size()) : -1;
    if (count <= 0) {
        return 0;
    }
    const std::string_view text(buffer.data(), static_cast<size_t>(count));
    constexpr std::string_view kName = "MemAvailable:";
    size_t at = text.find(kName);
    if (at == std::string_view::npos) {
        return 0;
    }
    at = text.find_first_not_of(' ', at + kName.size());
    uint64_t kilobytes = 0;
    if (at != std::string_view::npos) {
        std::from_chars(text.data() + at, text.data() + text.size(), kilobytes);
    }
    return kilobytes << 10;
}

SlotMetrics::SlotMetrics(aws::Metrics& metrics)
    : hits(metrics.Counter(
          "hearth_lambda_slot_hits_total",
          "Invocations that found an idle environment",
          {{"kind", "warm"}})),
      hits_frozen(metrics.Counter(
          "hearth_lambda_slot_hits_total",
          "Invocations that found an idle environment",
          {{"kind", "frozen"}})),
      hits_spare(metrics.Counter(
          "hearth_lambda_slot_hits_total",
          "Invocations that found an idle environment",
          {{"kind", "spare"}})),
      misses_cold(metrics.Counter(
          "hearth_lambda_slot_misses_total",
          "Invocations that had to make an environment",
          {{"kind", "cold"}})),
      misses_restored(metrics.Counter(
          "hearth_lambda_slot_misses_total",
          "Invocations that had to make an environment",
          {{"kind", "restored"}})),
      throttles(metrics.Counter(
          "hearth_lambda_throttles_total", "Invocations refused by a concurrency limit")),
      errors(metrics.Counter(
          "hearth_lambda_function_errors_total", "Invocations that ended in a function error")),
      timeouts(metrics.Counter(
          "hearth_lambda_timeouts_total", "Environments killed at a function's timeout")),
      live(metrics.Gauge("hearth_lambda_environments", "Execution environments alive")),
      busy(metrics.Gauge("hearth_lambda_environments_busy", "Execution environments in a call")),
      spares(metrics.Gauge("hearth_lambda_spares", "Environments restored ahead")),
      spare_bytes(
          metrics.Gauge("hearth_lambda_spare_bytes", "Memory of environments restored ahead")),
      templates(metrics.Gauge("hearth_lambda_templates", "Templates in memory")),
      template_bytes(metrics.Gauge("hearth_lambda_template_bytes", "Memory of templates")),
      prepare(PhaseHistogram(metrics, "prepare")),
      init(PhaseHistogram(metrics, "init")),
      restore(PhaseHistogram(metrics, "restore")),
      invoke(PhaseHistogram(metrics, "invoke")),
      sandbox(PhaseHistogram(metrics, "restore_sandbox")),
      clone(PhaseHistogram(metrics, "restore_clone")),
      join(PhaseHistogram(metrics, "restore_join")),
      descriptors(PhaseHistogram(metrics, "restore_descriptors")),
      threads(PhaseHistogram(metrics, "restore_threads")),
      filter(PhaseHistogram(metrics, "restore_filter")),
      load(PhaseHistogram(metrics, "template_load")) {}

Slots::Slots(
    const EnvironmentDeps& deps,
    const Options& options,
    ConcurrencyLimits& concurrency,
    SlotMetrics& metrics)
    : deps_(deps),
      options_(options),
      concurrency_(concurrency),
      metrics_(metrics),
      cold_starts_(options.cold_starts_max),
      restores_(options.restores_max),
      templates_(deps.sandbox, options.template_bytes_max) {}

Slots::~Slots() = default;

Slots::Pool& Slots::PoolOf(const std::shared_ptr<const FunctionVersion>& function) {
    std::string key;
    key.reserve(160);
    for (const std::string* part :
         {&function->account.text(),
          &function->region.text(),
          &function->name,
          &function->version,
          &function->revision}) {
        key.append(*part);
        key.push_back('/');
    }
    auto& pool = pools_[key];
    if (pool == nullptr) {
        pool = std::make_unique<Pool>();
        pool->key = std::move(key);
        pool->function = function;
        std::string name_key = NameKey(function->account, function->region, function->name);
        auto& owner = functions_[name_key];
        if (owner == nullptr) {
            owner = std::make_unique<Function>(std::move(name_key), concurrency_, *function);
        }
        ++owner->pools;
        pool->owner = owner.get();
    }
    return *pool;
}

Slots::Slot* Slots::TakeIdle(Pool& pool, bool ready_only) {
    while (true) {
        auto found = std::find_if(pool.idle.rbegin(), pool.idle.rend(), [](const Slot* slot) {
            return slot->environment->ready();
        });
        if (found == pool.idle.rend()) {
            if (ready_only || pool.idle.empty()) {
                return nullptr;
            }
            // None has asked for its next event yet; the one idle for longest will do it first.
            found = std::prev(pool.idle.rend());
        }
        Slot* const slot = *found;
        pool.idle.erase(std::next(found).base());
        if (slot->environment->usable()) {
            slot->busy = true;
            return slot;
        }
        Discard(slot);
    }
}

void Slots::GiveBack(Slot* slot) {
    if (stopping_ || slot->retired || !slot->environment->usable()) {
        Discard(slot);
        return;
    }
    slot->busy = false;
    slot->pool->idle.push_back(slot);
    slot->environment->BecomeIdle([this, slot] {
        std::erase(slot->pool->idle, slot);
        Discard(slot);
    });
}

void Slots::Discard(Slot* slot) {
    Pool& pool = *slot->pool;
    std::erase(pool.idle, slot);
    if (std::erase(pool.spares, slot) != 0) {
        spare_bytes_ -= slot->spare_bytes;
        metrics_.spares.Add(-1);
        metrics_.spare_bytes.Add(-static_cast<double>(slot->spare_bytes));
    }
    const auto place = std::find_if(pool.slots.begin(), pool.slots.end(), [slot](const auto& one) {
        return one.get() == slot;
    });
    CHECK(place != pool.slots.end(), "a slot that is in no pool");
    std::unique_ptr<Slot> owned = std::move(*place);
    pool.slots.erase(place);
    closing_.Spawn(StopSlot(std::move(owned)));
    DropPoolIfUnused(pool);
}

Task<void> Slots::StopSlot(std::unique_ptr<Slot> slot) {
    co_await slot->environment->Stop();
    metrics_.live.Add(-1);
}

void Slots::DropPoolIfUnused(Pool& pool) {
    if (pool.users == 0 && pool.slots.empty()) {
        if (--pool.owner->pools == 0) {
            functions_.erase(std::string(pool.owner->key));
        }
        pools_.erase(std::string(pool.key));
    }
}

Slots::Slot* Slots::Add(Pool& pool, std::string log_stream) {
    auto slot = std::make_unique<Slot>();
    slot->pool = &pool;
    slot->environment = std::make_unique<ExecutionEnvironment>(
        deps_, options_.limits, pool.function, std::move(log_stream));
    metrics_.live.Add(1);
    pool.slots.push_back(std::move(slot));
    return pool.slots.back().get();
}

// What goes with it; at least what any environment costs the machine.
uint64_t Slots::HeldBytes(const Slot& slot) {
    return std::max<uint64_t>(slot.environment->own_memory_bytes(), 1ull << 20);
}

void Slots::MakeRoom(uint64_t bytes) {
    const uint64_t available = AvailableMemoryBytes();
    if (available == 0) {
        return;
    }
    const auto now = steady_clock::now();
    uint64_t free = available;
    while (free < options_.memory_reserve_bytes + bytes) {
        Slot* victim = nullptr;
        bool victim_spare = false;
        double victim_score = -1;
        for (const auto& [key, pool] : pools_) {
            for (const auto* list : {&pool->spares, &pool->idle}) {
                const bool spare = list == &pool->spares;
                for (Slot* slot : *list) {
                    // What it holds, for how long it has held it for nothing, over what its loss
                    // would cost: a version with a template is cheap to lose.
                    const double score = static_cast<double>(HeldBytes(*slot)) *
                                         (Seconds(now - slot->environment->idle_since()) + 0.001) /
                                         (Seconds(pool->start_cost) + 0.001);
                    if (std::pair(spare, score) > std::pair(victim_spare, victim_score)) {
                        victim = slot;
                        victim_spare = spare;
                        victim_score = score;
                    }
                }
            }
        }
        if (victim == nullptr) {
            return;
        }
        free += HeldBytes(*victim);
        Discard(victim);
    }
}

bool Slots::MemoryForAnother(const Pool& pool) const {
    // This call is one of those that run.
    if (running_ <= 1) {
        return true;
    }
    // What one holds that has run; before there is any, what the usual runtimes take.
    uint64_t each = std::min<uint64_t>(
        kUsualEnvironmentBytes, static_cast<uint64_t>(pool.function->memory_mb) << 20);
    for (const auto& slot : pool.slots) {
        each = std::max(each, slot->environment->own_memory_bytes());
    }
    const uint64_t needed = options_.memory_reserve_bytes + each * (starting_ + 1);
    uint64_t free = AvailableMemoryBytes();
    if (free == 0 || free >= needed) {
        return true;
    }
    for (const auto& [key, other] : pools_) {
        for (const auto* list : {&other->spares, &other->idle}) {
            for (const Slot* slot : *list) {
                free += HeldBytes(*slot);
            }
        }
    }
    return free >= needed;
}

Task<Result<InvokeResult>> Slots::Invoke(
    std::shared_ptr<const FunctionVersion> function, InvokeRequest request) {
    if (stopping_) {
        co_return hearth::errors::Unavailable("Hearth is stopping");
    }
    Pool& pool = PoolOf(function);
    ++running_;
    ++pool.users;
    Status allowed;
    if (!pool.owner->concurrency.ready()) {
        allowed = co_await concurrency_.Load(function->account, function->region);
    }
    Result<InvokeResult> result = InvokeResult();
    if (!allowed.ok()) {
        result = std::move(allowed).error();
    } else if (
        request.can_wait && pool.idle.empty() && pool.spares.empty() && !MemoryForAnother(pool)) {
        // Whatever ends next may leave memory, of whichever function it is.
        concurrency_.Of(function->account, function->region).watches.WaitsForShared(function->name);
        metrics_.throttles.Add();
        result = TooManyRequests("ConcurrentInvocationLimitExceeded");
    } else {
        const auto place =
            pool.owner->concurrency.Enter(steady_clock::now(), !request.asynchronous);
        if (place.ok()) {
            metrics_.busy.Add(1);
            result = co_await InvokeInPool(pool, request);
            metrics_.busy.Add(-1);
        } else {
            metrics_.throttles.Add();
            result = place.error();
        }
    }
    if (result.ok() && !result->function_error.empty()) {
        ++pool.errors;
    }
    --pool.users;
    DropPoolIfUnused(pool);
    if (--running_ == 0) {
        changed_.WakeAll();
    }
    co_return result;
}

Task<Status> Slots::InvokeStreaming(
    std::shared_ptr<const FunctionVersion> function, InvokeRequest request) {
    const std::shared_ptr<ResponseStream> stream = request.stream;
    streaming_.Spawn(RunStreamed(std::move(function), std::move(request)));
    co_return co_await stream->WaitForBegin();
}

Task<void> Slots::RunStreamed(
    std::shared_ptr<const FunctionVersion> function, InvokeRequest request) {
    const std::shared_ptr<ResponseStream> stream = request.stream;
    const ResponseStream::Closer closer(*stream);
    FinishStream(*stream, co_await Invoke(std::move(function), std::move(request)));
}

Result<InvokeResult> Slots::Answer(InvokeOutcome outcome) {
    metrics_.invoke.Observe(Seconds(outcome.duration));
    if (outcome.lost) {
        return ServiceFailure(
            hearth::errors::Unavailable("the execution environment was lost in the call"));
    }
    if (outcome.timed_out) {
        metrics_.timeouts.Add();
    }
    if (!outcome.result.function_error.empty()) {
        metrics_.errors.Add();
    }
    return std::move(outcome.result);
}

Task<Result<InvokeResult>> Slots::InvokeInPool(Pool& pool, const InvokeRequest& request) {
    bool ready_only = false;
    pool.called = steady_clock::now();
    Slot* slot = TakeIdle(pool, ready_only);
    while (true) {
        if (slot == nullptr) {
            if (Slot* const spare = TakeSpare(pool); spare != nullptr) {
                auto result = co_await InvokeSpare(pool, request, spare);
                WantSpares(pool, request);
                if (result.has_value()) {
                    co_return *std::move(result);
                }
                continue;
            }
            auto result = co_await InvokeCold(pool, request, slot);
            if (slot == nullptr) {
                WantSpares(pool, request);
                co_return result;
            }
            // Somebody else's environment became idle while this call waited for its turn.
        }
        const bool was_frozen = slot->environment->frozen();
        InvokeOutcome outcome =
            co_await slot->environment->Invoke(request, std::nullopt, std::nullopt);
        GiveBack(slot);
        if (outcome.delivered) {
            ++pool.hits;
            (was_frozen ? metrics_.hits_frozen : metrics_.hits).Add();
            WantSpares(pool, request);
            co_return Answer(std::move(outcome));
        }
        // It died while idle, or still works on what came before.
        ready_only = true;
        slot = TakeIdle(pool, ready_only);
    }
}

Task<Result<InvokeResult>> Slots::InvokeCold(
    Pool& pool, const InvokeRequest& request, Slot*& slot, bool refused) {
    struct Starting {
        size_t& count;

        explicit Starting(size_t& of) : count(of) { ++count; }

        ~Starting() { --count; }
    };

    std::optional<Starting> starting(starting_);
    bool restores = request.snapshot.has_value();
    rt::Semaphore::Units units = co_await (restores ? restores_ : cold_starts_).Take(1);
    slot = TakeIdle(pool, true);
    if (slot != nullptr) {
        co_return InvokeResult();
    }
    if (Status allowed = pool.owner->concurrency.TakeEnvironment(steady_clock::now());
        !allowed.ok()) {
        metrics_.throttles.Add();
        co_return std::move(allowed).error();
    }
    ++pool.misses;
    const auto started = steady_clock::now();
    const std::string log_stream =
        ExecutionEnvironment::NewLogStream(*pool.function, deps_.wall_clock.Now(), deps_.random);
    Slot* const fresh = Add(pool, log_stream);
    ExecutionEnvironment& environment = *fresh->environment;
    rt::Timer release([&units] { units.Release(); });
    release.ArmIn(options_.cold_start_hold);
    if (restores) {
        auto prepared = co_await environment.PrepareRestored(templates_, *request.snapshot, false);
        CountTemplates();
        if (!prepared.ok()) {
            Discard(fresh);
            co_return ServiceFailure(std::move(prepared).error());
        }
        if (*prepared) {
            starting.reset();
            metrics_.prepare.Observe(Seconds(steady_clock::now() - started));
            auto result = co_await InvokeRestored(pool, request, fresh, units);
            if (result.has_value()) {
                co_return *std::move(result);
            }
            release.Cancel();
            units.Release();
            InvokeRequest again = request;
            if (refused) {
                again.snapshot.reset();
            }
            co_return co_await InvokeCold(pool, again, slot, true);
        }
        // It has to be a cold start after all: its turn comes with the others.
        release.Cancel();
        units.Release();
        units = co_await cold_starts_.Take(1);
        release.ArmIn(options_.cold_start_hold);
    }
    metrics_.misses_cold.Add();
    MakeRoom(static_cast<uint64_t>(pool.function->memory_mb) << 20);
    if (auto prepared = co_await environment.Prepare(); !prepared.ok()) {
        Discard(fresh);
        co_return ServiceFailure(std::move(prepared).error());
    }
    metrics_.prepare.Observe(Seconds(steady_clock::now() - started));
    environment.WriteInitStart();
    const InitOutcome init = co_await environment.Init(options_.limits.init_max);
    release.Cancel();
    units.Release();
    starting.reset();
    metrics_.init.Observe(Seconds(init.duration));
    pool.start_cost = steady_clock::now() - started;
    if (!init.ok) {
        if (init.lost) {
            Discard(fresh);
            co_return ServiceFailure(
                hearth::errors::Unavailable("the execution environment was lost"));
        }
        if (init.hopeless) {
            auto result = co_await environment.FailInInit(request, init);
            metrics_.errors.Add();
            Discard(fresh);
            co_return result;
        }
        environment.WriteInitReport(init, "init");
        co_await environment.log().Flush();
        Discard(fresh);
        co_return co_await InvokeSuppressed(pool, request, log_stream);
    }
    InvokeOutcome outcome = co_await environment.Invoke(request, init.duration, std::nullopt);
    GiveBack(fresh);
    if (!outcome.delivered) {
        // It asked for an event and died before it got one.
        co_return co_await InvokeSuppressed(pool, request, log_stream);
    }
    co_return Answer(std::move(outcome));
}

void Slots::NoteRestore(
    Pool& pool, ExecutionEnvironment& environment, const RestoreOutcome& restore) {
    metrics_.misses_restored.Add();
    ++pool.restores;
    CountRestore(environment);
    metrics_.restore.Observe(Seconds(restore.duration));
    pool.start_cost = restore.duration;
}

Task<std::optional<Result<InvokeResult>>> Slots::InvokeRestored(
    Pool& pool, const InvokeRequest& request, Slot* slot, rt::Semaphore::Units& units) {
    ExecutionEnvironment& environment = *slot->environment;
    // Most of it is its template's.
    MakeRoom(pool.spare_bytes);
    RestoreOutcome restore = co_await environment.Restore(options_.restore_max);
    const auto note = [&] {
        if (!restore.refused) {
            units.Release();
            NoteRestore(pool, environment, restore);
            environment.WriteRestoreReport(restore);
        }
    };
    InvokeOutcome outcome;
    const bool early = restore.begun;
    if (early) {
        environment.WhenRestored([&](const RestoreOutcome& ended) {
            restore = ended;
            note();
        });
        outcome = co_await environment.Invoke(request, std::nullopt, std::nullopt);
    } else {
        note();
    }
    if (restore.refused) {
        Discard(slot);
        co_return std::nullopt;
    }
    if (!restore.ok) {
        co_await environment.log().Flush();
        Discard(slot);
        if (restore.lost) {
            co_return ServiceFailure(
                hearth::errors::Unavailable("the execution environment was lost"));
        }
        metrics_.errors.Add();
        co_return Result<InvokeResult>(
            restore.timed_out ? errors::SnapStartTimedOut() : errors::SnapStartFailed());
    }
    if (!early) {
        outcome =
            co_await environment.Invoke(request, std::nullopt, std::nullopt, restore.duration);
    }
    GiveBack(slot);
    if (!outcome.delivered) {
        // It asked for an event and died before it got one.
        co_return co_await InvokeSuppressed(
            pool,
            request,
            ExecutionEnvironment::NewLogStream(
                *pool.function, deps_.wall_clock.Now(), deps_.random));
    }
    co_return Answer(std::move(outcome));
}

namespace {

std::string_view StateReasonCode(const InitOutcome& init) {
    if (init.timed_out) {
        return "FunctionError.InitTimeout";
    }
    if (init.error_type == "Runtime.InvalidEntrypoint") {
        return "FunctionError.InvalidEntryPoint";
    }
    if (init.error_type.starts_with("Extension.")) {
        return "FunctionError.ExtensionInitError";
    }
    return "FunctionError.RuntimeInitError";
}

}  // namespace

Task<Result<SnapshotOutcome>> Slots::SaveSnapshot(
    std::shared_ptr<const FunctionVersion> function, std::string image) {
    if (stopping_) {
        co_return hearth::errors::Unavailable("Hearth is stopping");
    }
    rt::Semaphore::Units units = co_await cold_starts_.Take(1);
    Pool& pool = PoolOf(function);
    ++running_;
    ++pool.users;
    Slot* const slot = Add(
        pool, ExecutionEnvironment::NewLogStream(*function, deps_.wall_clock.Now(), deps_.random));
    ExecutionEnvironment& environment = *slot->environment;
    Result<SnapshotOutcome> outcome =
        hearth::errors::Unavailable("the execution environment was lost");
    if (auto prepared = co_await environment.PrepareToSave(); !prepared.ok()) {
        outcome = std::move(prepared).error();
    } else {
        environment.WriteInitStart();
        const std::chrono::nanoseconds limit = std::max<std::chrono::nanoseconds>(
            options_.snapshot_init_max, std::chrono::seconds(function->timeout_s));
        const InitOutcome init = co_await environment.Init(limit);
        if (init.ok) {
            outcome = co_await environment.Save(std::move(image));
            if (outcome.ok() && outcome->kind == SnapshotOutcome::Kind::kSaved && !stopping_) {
                ++running_;
                preparing_.Spawn(LoadTemplate(function, outcome->source));
            }
            if (outcome.ok() && outcome->kind == SnapshotOutcome::Kind::kNotPossible) {
                environment.log().Write(fmt::format(
                    "SnapStart: this version starts without a snapshot: {}", outcome->reason));
            }
        } else if (!init.lost) {
            environment.WriteInitReport(init, "init");
            outcome = SnapshotOutcome{
                .kind = SnapshotOutcome::Kind::kInitFailed,
                .reason = init.timed_out
                              ? fmt::format(
                                    "The function's init did not end within {} seconds.",
                                    std::chrono::duration_cast<std::chrono::seconds>(limit).count())
                              : fmt::format(
                                    "The function's init failed: {}",
                                    init.fault.empty() ? init.error_type : init.fault),
                .reason_code = std::string(StateReasonCode(init)),
                .source = {}};
        }
    }
    co_await environment.log().Flush();
    Discard(slot);
    --pool.users;
    DropPoolIfUnused(pool);
    if (--running_ == 0) {
        changed_.WakeAll();
    }
    co_return outcome;
}

Task<Result<InvokeResult>> Slots::InvokeSuppressed(
    Pool& pool, const InvokeRequest& request, std::string log_stream) {
    Slot* const slot = Add(pool, std::move(log_stream));
    ExecutionEnvironment& environment = *slot->environment;
    const auto deadline = steady_clock::now() + std::chrono::seconds(pool.function->timeout_s);
    if (auto prepared = co_await environment.Prepare(); !prepared.ok()) {
        Discard(slot);
        co_return ServiceFailure(std::move(prepared).error());
    }
    environment.log().StartTail(request.log_tail);
    const InitOutcome init = co_await environment.Init(deadline - steady_clock::now());
    if (init.lost) {
        Discard(slot);
        co_return ServiceFailure(hearth::errors::Unavailable("the execution environment was lost"));
    }
    if (!init.ok) {
        environment.WriteInitReport(init, "invoke");
        auto result = co_await environment.FailInInit(request, init);
        metrics_.errors.Add();
        Discard(slot);
        co_return result;
    }
    InvokeOutcome outcome = co_await environment.Invoke(request, std::nullopt, deadline);
    if (!outcome.delivered) {
        InitOutcome died = init;
        died.ok = false;
        died.error_type = "Runtime.ExitError";
        died.fault = "Runtime exited without providing a reason";
        outcome.result = co_await environment.FailInInit(request, died);
    }
    GiveBack(slot);
    co_return Answer(std::move(outcome));
}

void Slots::Retire(
    const AccountId& account,
    const Region& region,
    std::string_view name,
    std::string_view version,
    std::string_view keep_revision) {
    std::vector<Slot*> retired;
    for (const auto& [key, pool] : pools_) {
        const FunctionVersion& function = *pool->function;
        if (function.account != account || function.region != region || function.name != name ||
            (!version.empty() && function.version != version) ||
            (!keep_revision.empty() && function.revision == keep_revision)) {
            continue;
        }
        pool->retired = true;
        for (const auto& slot : pool->slots) {
            slot->retired = true;
            if (!slot->busy) {
                retired.push_back(slot.get());
            }
        }
    }
    for (Slot* slot : retired) {
        Discard(slot);
    }
}

Task<void> Slots::Stop() {
    stopping_ = true;
    // The gateway has waited for its requests already; what still runs now is not waited for long.
    const auto deadline = steady_clock::now() + options_.stop_grace;
    while (running_ > 0) {
        if (co_await changed_.WaitUntil(deadline) || running_ == 0) {
            continue;
        }
        for (const auto& [key, pool] : pools_) {
            for (const auto& slot : pool->slots) {
                slot->environment->Kill();
            }
        }
        while (running_ > 0) {
            co_await changed_.Wait();
        }
    }
    std::vector<Slot*> left;
    for (const auto& [key, pool] : pools_) {
        for (const auto& slot : pool->slots) {
            left.push_back(slot.get());
        }
    }
    for (Slot* slot : left) {
        Discard(slot);
    }
    co_await streaming_.Join();
    co_await preparing_.Join();
    co_await closing_.Join();
}

void Slots::Describe(codec::Json::Array& functions) const {
    using codec::Json;
    for (const auto& [key, pool] : pools_) {
        Json::Array environments;
        for (const auto& slot : pool->slots) {
            const ExecutionEnvironment& environment = *slot->environment;
            Json one;
            one.Set("id", environment.id());
            const bool spare = std::find(pool->spares.begin(), pool->spares.end(), slot.get()) !=
                               pool->spares.end();
            one.Set(
                "state",
                slot->busy             ? "busy"
                : spare                ? "spare"
                : environment.frozen() ? "frozen"
                                       : "idle");
            one.Set("log_stream", environment.log_stream());
            one.Set("invocations", environment.invocations());
            one.Set("memory_bytes", environment.memory_bytes());
            one.Set("own_memory_bytes", environment.own_memory_bytes());
            environments.push_back(std::move(one));
        }
        const FunctionVersion& function = *pool->function;
        Json entry;
        entry.Set("account", function.account.text());
        entry.Set("region", function.region.text());
        entry.Set("function", function.name);
        entry.Set("version", function.version);
        entry.Set("revision", function.revision);
        entry.Set("runtime", function.runtime);
        if (!pool->slots.empty() && !pool->slots.front()->environment->substitution().empty()) {
            entry.Set("substitution", pool->slots.front()->environment->substitution());
        }
        entry.Set("memory_mb", function.memory_mb);
        entry.Set("hits", pool->hits);
        entry.Set("misses", pool->misses);
        entry.Set("restores", pool->restores);
        entry.Set("spare_hits", pool->spare_hits);
        entry.Set("errors", pool->errors);
        entry.Set("environments", std::move(environments));
        functions.push_back(std::move(entry));
    }
}

}  // namespace hearth::lambda
