#pragma once

#include "base/ids.h"
#include "base/result.h"
#include "codec/event_pattern/event_pattern.h"
#include "services/message_queues.h"

#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// What a function sees of messages, and what its answer says about them. Pure.
namespace hearth::lambda {

// One element of the event's "Records", as JSON.
std::string MakeQueueRecord(
    const MessageQueues::Message& message, std::string_view queue_arn, std::string_view region);

// {"Records": [...]}
std::string MakeQueueEvent(std::span<const std::string> records);

// The filters of a mapping. A message passes when one of them matches, or when there are none.
class MappingFilters final {
  public:
    MappingFilters() = default;

    //   errors  Malformed
    static Result<MappingFilters> Compile(const std::vector<std::string>& patterns);

    bool empty() const { return patterns_.empty(); }

    // `record` is MakeQueueRecord's. Its body is seen as JSON when it is a JSON object or array,
    // else as a string; so a pattern for the one never matches the other.
    // Source: Lambda Developer Guide, "Filtering for Amazon SQS event source mappings".
    bool Match(std::string_view record) const;

  private:
    std::vector<codec::EventPattern> patterns_;
};

// What a function with ReportBatchItemFailures says of its batch.
struct BatchOutcome {
    bool all_failed = false;
    // Message ids, when not all.
    std::set<std::string, std::less<>> failed;
};

// `ids`: of the batch. An answer that cannot be understood, or that names what was not in the
// batch, fails all of it.
// Source: Lambda Developer Guide, "Success and failure conditions" of partial batch responses.
BatchOutcome ReadBatchAnswer(
    std::string_view answer, const std::set<std::string, std::less<>>& ids);

}  // namespace hearth::lambda
