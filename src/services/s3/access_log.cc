#include "services/s3/access_log.h"

#include "base/log.h"
#include "flow/schedule.h"
#include "services/s3/access_log_line.h"
#include "services/s3/canonical_user.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <chrono>
#include <utility>
#include <vector>

namespace hearth::s3 {
namespace {

constexpr char kTimerKind[] = "s3-access-log";
constexpr std::chrono::minutes kDeliveredAfter{5};
// Of one bucket, in memory. What comes beyond it before the next delivery is not logged.
constexpr size_t kPendingBytesMax = 4 * 1024 * 1024;

// Where a batch goes. Times are those of the cloud, in UTC.
std::string KeyOfLog(
    const LoggingTarget& target,
    const BucketRecord& source,
    CloudClock::time_point now,
    const std::string& unique) {
    const auto seconds = std::chrono::floor<std::chrono::seconds>(now).time_since_epoch().count();
    const std::tm time = fmt::gmtime(static_cast<time_t>(seconds));
    if (target.partitioned) {
        return fmt::format(
            "{}{}/{}/{}/{:%Y/%m/%d}/{:%Y-%m-%d-%H-%M-%S}-{}",
            target.prefix,
            source.account.text(),
            source.region.text(),
            source.name,
            time,
            time,
            unique);
    }
    return fmt::format("{}{:%Y-%m-%d-%H-%M-%S}-{}", target.prefix, time, unique);
}

}  // namespace

AccessLog::AccessLog(const ServiceDeps& deps, S3Store& store, Put put)
    : deps_(deps), store_(store), put_(std::move(put)) {
    deps_.schedule.Register(
        kTimerKind, [this](const flow::DueTimer& timer) { return Fire(timer); });
}

Task<void> AccessLog::Watch(aws::RequestContext& context, BucketHandle bucket) {
    if (!bucket->compiled.logging || context.when_answered) {
        co_return;
    }
    const BucketRecord& record = bucket->record;
    bool first = false;
    {
        const std::lock_guard lock(mutex_);
        Pending& pending = pending_[record.id];
        pending.bucket = record.name;
        first = !std::exchange(pending.timer, true);
    }
    if (first) {
        const CloudClock::time_point due = deps_.cloud_clock.Now() + kDeliveredAfter;
        const Status put = co_await deps_.schedule.PutAlone(
            {kTimerKind, std::to_string(record.id), due, record.name});
        if (!put.ok()) {
            log::Warn("the access log of {} waits: {}", record.name, put.error().message());
            const std::lock_guard lock(mutex_);
            pending_[record.id].timer = false;
        }
    }
    context.when_answered =
        [this,
         id = record.id,
         entry = DescribeAccess(context, record.name, CanonicalUserId(record.account))](
            const aws::AnswerSummary& answer) {
            Add(id, entry.bucket, AccessLogLine(entry, answer));
        };
}

void AccessLog::Add(int64_t bucket_id, const std::string& bucket_name, const std::string& line) {
    const std::lock_guard lock(mutex_);
    Pending& pending = pending_[bucket_id];
    pending.bucket = bucket_name;
    std::string& lines = pending.lines;
    if (lines.size() + line.size() <= kPendingBytesMax) {
        lines += line;
    }
}

Task<Status> AccessLog::Fire(const flow::DueTimer& timer) {
    int64_t id = 0;
    std::string name = timer.payload;
    {
        const std::lock_guard lock(mutex_);
        for (auto& [bucket_id, pending] : pending_) {
            if (std::to_string(bucket_id) == timer.key) {
                id = bucket_id;
                pending.timer = false;
            }
        }
    }
    if (id == 0) {
        // Of an earlier process, whose lines are gone.
        co_return Status();
    }
    co_return co_await Deliver(id, std::move(name));
}

Task<Status> AccessLog::Deliver(int64_t bucket_id, std::string bucket_name) {
    std::string lines;
    {
        const std::lock_guard lock(mutex_);
        const auto it = pending_.find(bucket_id);
        if (it == pending_.end()) {
            co_return Status();
        }
        lines = std::exchange(it->second.lines, std::string());
        if (!it->second.timer) {
            pending_.erase(it);
        }
    }
    if (lines.empty()) {
        co_return Status();
    }
    const auto source = co_await store_.FindBucket(bucket_name);
    if (!source.ok() || (*source)->record.id != bucket_id || !(*source)->compiled.logging) {
        co_return Status();
    }
    const LoggingTarget target = *(*source)->compiled.logging;
    const auto bucket = co_await store_.FindBucket(target.bucket);
    if (!bucket.ok()) {
        log::Warn("the access log of {} has nowhere to go: {}", bucket_name, target.bucket);
        co_return Status();
    }
    std::string key = KeyOfLog(
        target,
        (*source)->record,
        deps_.cloud_clock.Now(),
        deps_.random.Text(16, "0123456789ABCDEF"));
    const Status put = co_await put_(*bucket, std::move(key), std::move(lines));
    if (!put.ok()) {
        log::Warn("an access log of {} is lost: {}", bucket_name, put.error().message());
    }
    co_return Status();
}

Task<void> AccessLog::Stop() {
    std::vector<std::pair<int64_t, std::string>> left;
    {
        const std::lock_guard lock(mutex_);
        for (const auto& [id, pending] : pending_) {
            left.emplace_back(id, pending.bucket);
        }
    }
    for (auto& [id, name] : left) {
        (void)co_await Deliver(id, std::move(name));
    }
}

}  // namespace hearth::s3
