// The part of Slots that is about templates and environments restored ahead.
#include "base/log.h"
#include "rt/timer.h"
#include "services/lambda/slots.h"
#include "services/lambda/slots_pool.h"

#include <algorithm>
#include <utility>

namespace hearth::lambda {

namespace {

using std::chrono::steady_clock;

double Seconds(std::chrono::nanoseconds duration) {
    return std::chrono::duration<double>(duration).count();
}

}  // namespace

Slots::Slot* Slots::TakeSpare(Pool& pool) {
    while (!pool.spares.empty()) {
        Slot* const slot = pool.spares.back();
        if (!slot->environment->usable() || !slot->environment->ready()) {
            Discard(slot);
            continue;
        }
        pool.spares.pop_back();
        spare_bytes_ -= slot->spare_bytes;
        metrics_.spares.Add(-1);
        metrics_.spare_bytes.Add(-static_cast<double>(slot->spare_bytes));
        slot->busy = true;
        return slot;
    }
    return nullptr;
}

Task<std::optional<Result<InvokeResult>>> Slots::InvokeSpare(
    Pool& pool, const InvokeRequest& request, Slot* slot) {
    // On AWS this is a new environment like any other.
    if (Status allowed = pool.owner->concurrency.TakeEnvironment(steady_clock::now());
        !allowed.ok()) {
        metrics_.throttles.Add();
        KeepSpare(slot);
        co_return Result<InvokeResult>(std::move(allowed).error());
    }
    ExecutionEnvironment& environment = *slot->environment;
    environment.WriteRestoreStart();
    environment.WriteRestoreReport(slot->restored);
    InvokeOutcome outcome =
        co_await environment.Invoke(request, std::nullopt, std::nullopt, slot->restored.duration);
    GiveBack(slot);
    if (!outcome.delivered) {
        co_return std::nullopt;
    }
    metrics_.hits_spare.Add();
    ++pool.spare_hits;
    co_return Answer(std::move(outcome));
}

void Slots::WantSpares(Pool& pool, const InvokeRequest& request) {
    if (!request.snapshot.has_value() || pool.filling || pool.retired || stopping_ ||
        pool.spares.size() >= static_cast<size_t>(options_.spares)) {
        return;
    }
    pool.filling = true;
    ++pool.users;
    ++running_;
    preparing_.Spawn(FillSpares(pool, *request.snapshot));
}

Task<void> Slots::FillSpares(Pool& pool, SnapshotSource source) {
    bool made = true;
    while (made) {
        co_await rt::Sleep(options_.spare_delay);
        const rt::Semaphore::Units units = co_await restores_.Take(1);
        made = !stopping_ && !pool.retired &&
               pool.spares.size() < static_cast<size_t>(options_.spares) && RoomForSpare(pool) &&
               co_await MakeSpare(pool, source);
    }
    pool.filling = false;
    --pool.users;
    DropPoolIfUnused(pool);
    if (--running_ == 0) {
        changed_.WakeAll();
    }
}

Task<bool> Slots::MakeSpare(Pool& pool, const SnapshotSource& source) {
    Slot* const slot = Add(
        pool,
        ExecutionEnvironment::NewLogStream(*pool.function, deps_.wall_clock.Now(), deps_.random));
    ExecutionEnvironment& environment = *slot->environment;
    const auto prepared = co_await environment.PrepareRestored(templates_, source, true);
    CountTemplates();
    bool made = prepared.ok() && *prepared;
    if (made) {
        slot->restored = co_await environment.Restore(options_.restore_max);
        CountRestore(environment);
        made = slot->restored.ok;
    }
    if (made) {
        co_await environment.MeasureMemory();
    }
    if (!made || stopping_ || slot->retired || !environment.usable()) {
        if (!prepared.ok()) {
            log::Info("lambda: no spare: {}", prepared.error().message());
        }
        Discard(slot);
        co_return false;
    }
    pool.start_cost = slot->restored.duration;
    pool.spare_bytes = slot->spare_bytes = HeldBytes(*slot);
    KeepSpare(slot);
    co_return true;
}

void Slots::KeepSpare(Slot* slot) {
    slot->busy = false;
    spare_bytes_ += slot->spare_bytes;
    metrics_.spares.Add(1);
    metrics_.spare_bytes.Add(static_cast<double>(slot->spare_bytes));
    slot->pool->spares.push_back(slot);
    slot->environment->BecomeIdle([this, slot] { Discard(slot); });
}

bool Slots::RoomForSpare(const Pool& pool) {
    while (spare_bytes_ + pool.spare_bytes > options_.spare_bytes_max) {
        Pool* oldest = nullptr;
        for (const auto& [key, other] : pools_) {
            if (!other->spares.empty() && other->called < pool.called &&
                (oldest == nullptr || other->called < oldest->called)) {
                oldest = other.get();
            }
        }
        if (oldest == nullptr) {
            return false;
        }
        Discard(oldest->spares.front());
    }
    const uint64_t available = AvailableMemoryBytes();
    return available == 0 || available > options_.memory_reserve_bytes + pool.spare_bytes;
}

Task<void> Slots::LoadTemplate(
    std::shared_ptr<const FunctionVersion> function, SnapshotSource source) {
    {
        // Only to know mounts and limits; nothing runs in it.
        ExecutionEnvironment environment(
            deps_,
            options_.limits,
            function,
            ExecutionEnvironment::NewLogStream(*function, deps_.wall_clock.Now(), deps_.random));
        const Status loaded = co_await environment.LoadTemplate(templates_, std::move(source));
        if (!loaded.ok()) {
            log::Info("lambda: {}: {}", function->name, loaded.error().message());
        } else {
            metrics_.load.Observe(Seconds(templates_.last_load()));
        }
        co_await environment.Stop();
    }
    CountTemplates();
    if (--running_ == 0) {
        changed_.WakeAll();
    }
}

void Slots::CountTemplates() {
    metrics_.templates.Add(
        static_cast<double>(templates_.count()) - static_cast<double>(templates_counted_));
    metrics_.template_bytes.Add(
        static_cast<double>(templates_.bytes()) - static_cast<double>(template_bytes_counted_));
    templates_counted_ = templates_.count();
    template_bytes_counted_ = templates_.bytes();
}

void Slots::CountRestore(const ExecutionEnvironment& environment) {
    const auto phases = environment.restore_phases();
    if (!phases.has_value()) {
        return;
    }
    metrics_.sandbox.Observe(Seconds(phases->sandbox));
    metrics_.clone.Observe(Seconds(phases->clone));
    metrics_.join.Observe(Seconds(phases->join));
    metrics_.descriptors.Observe(Seconds(phases->descriptors));
    metrics_.threads.Observe(Seconds(phases->threads));
    metrics_.filter.Observe(Seconds(phases->filter));
}

void Slots::ForgetSnapshot(const std::string& image) {
    templates_.Forget(image);
    CountTemplates();
}

Task<size_t> Slots::Evict(Eviction what) {
    std::vector<Slot*> evicted;
    for (const auto& [key, pool] : pools_) {
        if (pool->function->account != what.account ||
            (!what.name.empty() && pool->function->name != what.name)) {
            continue;
        }
        evicted.insert(evicted.end(), pool->idle.begin(), pool->idle.end());
        if (what.spares) {
            evicted.insert(evicted.end(), pool->spares.begin(), pool->spares.end());
        }
    }
    for (Slot* slot : evicted) {
        Discard(slot);
    }
    if (what.templates) {
        templates_.ForgetAll();
        CountTemplates();
    }
    co_await closing_.Join();
    co_return evicted.size();
}

}  // namespace hearth::lambda
