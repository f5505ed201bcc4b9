#pragma once

#include "base/error.h"
#include "base/result.h"
#include "services/sqs/errors.h"
#include "services/sqs/limits.h"

#include "gen/sqs/types.gen.h"

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

// What the three batch operations share.
namespace hearth::sqs {

bool IsBatchId(std::string_view id);

// The rules by which a batch fails as a whole: 1 to 10 entries, whose ids are well-formed and
// distinct.
//   entry_type  "SendMessageBatchRequestEntry"
template <class Entry>
Status CheckBatch(const std::optional<std::vector<Entry>>& entries, std::string_view entry_type) {
    if (!entries || entries->empty()) {
        return errors::EmptyBatch(entry_type);
    }
    if (entries->size() > kBatchEntriesMax) {
        return errors::TooManyEntries(entries->size());
    }
    std::set<std::string_view> ids;
    for (const Entry& entry : *entries) {
        if (!entry.id || !IsBatchId(*entry.id)) {
            return errors::InvalidEntryId();
        }
        if (!ids.insert(*entry.id).second) {
            return errors::EntryIdsNotDistinct(*entry.id);
        }
    }
    return {};
}

// How one entry's failure stands in the answer: with the code of the query protocol, which both
// protocols use there.
model::BatchResultErrorEntry FailedEntry(std::string id, const Error& error);

}  // namespace hearth::sqs
