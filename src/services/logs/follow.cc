#include "codec/json/json.h"
#include "services/logs/errors.h"
#include "services/logs/filter_pattern.h"
#include "services/logs/limits.h"
#include "services/logs/logs_service.h"
#include "services/logs/request.h"

#include <charconv>
#include <chrono>
#include <optional>
#include <set>

namespace hearth::logs {
namespace {

constexpr size_t kPageEvents = 1'000;
// After so much silence an empty line is written, which finds out whether the client is still
// there.
constexpr std::chrono::seconds kSilenceMax{30};

struct FollowOptions {
    GroupName group;
    FilterPattern pattern;
    int64_t since_ms = 0;
    bool follow = false;
};

std::string Line(const GroupEvent& event) {
    codec::JsonWriter writer;
    writer.BeginObject();
    writer.Key("timestamp");
    writer.Int(event.event.timestamp_ms);
    writer.Key("stream");
    writer.String(event.stream_name);
    writer.Key("message");
    writer.String(event.event.message);
    writer.EndObject();
    return writer.Take() + "\n";
}

// Takes itself out of the watch when the client goes away, too.
class Registered final {
  public:
    Registered(LogWatch& watch, const GroupName& group)
        : watch_(watch), key_(WatchKey(group)), ticket_(watch.Register(key_)) {}

    ~Registered() { watch_.Forget(key_, ticket_); }

    Registered(const Registered&) = delete;
    Registered& operator=(const Registered&) = delete;

    // False: nothing more will come. nullopt: nothing came for a while.
    Task<std::optional<bool>> Wait() {
        const LogWatch::Ticket ticket = ticket_;
        co_return co_await ticket->WaitFor(kSilenceMax);
    }

  private:
    LogWatch& watch_;
    const std::string key_;
    const LogWatch::Ticket ticket_;
};

// An event that comes late with an earlier time than what was shown is looked for this far back.
constexpr int64_t kLateMs = 10'000;
constexpr size_t kSeenMax = 5'000;

// Shows each event once although the walk goes back a little every time.
class Shown final {
  public:
    bool IsNew(const GroupEvent& event) {
        return seen_.insert({event.event.timestamp_ms, event.stream_id, event.event.sequence})
            .second;
    }

    // Where the next walk begins.
    int64_t ResumeMs(int64_t since_ms) {
        if (seen_.empty()) {
            return since_ms;
        }
        int64_t from_ms = std::max(since_ms, seen_.rbegin()->timestamp_ms - kLateMs);
        seen_.erase(seen_.begin(), seen_.lower_bound(Position{from_ms, "", -1}));
        // Under a flood the walk goes back less far, or each would read the same ten seconds.
        if (seen_.size() > kSeenMax) {
            const auto oldest = std::prev(seen_.end(), static_cast<ptrdiff_t>(kSeenMax));
            from_ms = oldest->timestamp_ms;
            seen_.erase(seen_.begin(), seen_.lower_bound(Position{from_ms, "", -1}));
        }
        return from_ms;
    }

  private:
    std::set<Position> seen_;
};

// One walk from `begin_ms` to the end of what is there.
Task<Status> WriteAll(
    LogStore& store,
    const FollowOptions& options,
    const GroupRecord& record,
    int64_t begin_ms,
    Shown& shown,
    aws::AdminStream& stream) {
    const GroupRange range{
        .group = options.group,
        .group_record = record,
        .begin_ms = begin_ms,
        .wants_stream = nullptr,
        .wants_event =
            [&options](std::string_view message) { return options.pattern.Matches(message); },
        .events_max = kPageEvents,
        .bytes_max = kAnswerBytesMax};
    std::optional<Position> after;
    do {
        HEARTH_CO_TRY(GroupPage page, co_await ReadGroup(store, range, after));
        std::string lines;
        for (const GroupEvent& event : page.events) {
            if (shown.IsNew(event)) {
                lines += Line(event);
            }
        }
        if (!lines.empty()) {
            HEARTH_CO_RETURN_IF_ERROR(co_await stream.Write(std::move(lines)));
        }
        after = std::move(page.reached);
    } while (after);
    co_return Status();
}

Task<void> FollowGroup(
    LogStore& store, LogWatch& watch, FollowOptions options, aws::AdminStream& stream) {
    // The client learns at once that it is following.
    if (!(co_await stream.Write("")).ok()) {
        co_return;
    }
    Shown shown;
    while (true) {
        Registered registered(watch, options.group);
        const Result<GroupRecord> record = co_await store.FindGroup(options.group);
        if (record.ok()) {
            const int64_t begin_ms = shown.ResumeMs(options.since_ms);
            const Status written =
                co_await WriteAll(store, options, *record, begin_ms, shown, stream);
            if (!written.ok()) {
                co_return;
            }
        }
        if (!options.follow) {
            co_return;
        }
        const std::optional<bool> more = co_await registered.Wait();
        if (more == false || (!more && !(co_await stream.Write("\n")).ok())) {
            co_return;
        }
    }
}

}  // namespace

Task<Result<aws::AdminAnswer>> LogsService::Follow(aws::AdminRequest request) {
    std::string name = request.Query("group");
    if (name.empty() && !request.Query("function").empty()) {
        name = "/aws/lambda/" + request.Query("function");
    }
    if (name.empty()) {
        co_return errors::InvalidParameter("name a function or a group");
    }
    const std::string since = request.Query("since");
    int64_t since_ms = 0;
    if (!since.empty()) {
        const auto [rest, error] =
            std::from_chars(since.data(), since.data() + since.size(), since_ms);
        if (error != std::errc() || rest != since.data() + since.size() || since_ms < 0) {
            co_return errors::InvalidParameter("since is a number of milliseconds");
        }
    }
    auto pattern = FilterPattern::Parse(request.Query("filter"));
    if (!pattern.ok()) {
        co_return errors::InvalidParameter("Invalid filter pattern: " + pattern.error().message());
    }
    FollowOptions options{
        .group = {request.account, request.region, std::move(name)},
        .pattern = *std::move(pattern),
        .since_ms = since_ms,
        .follow = request.Query("follow") == "1"};
    if (!options.follow) {
        HEARTH_CO_RETURN_IF_ERROR(co_await store_.FindGroup(options.group));
    }
    aws::AdminAnswer answer;
    answer.content_type = "application/x-ndjson";
    answer.stream = [this, options = std::move(options)](aws::AdminStream& stream) {
        return FollowGroup(store_, watch_, options, stream);
    };
    co_return answer;
}

}  // namespace hearth::logs
