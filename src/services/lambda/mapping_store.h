#pragma once

#include "base/ids.h"
#include "base/result.h"
#include "rt/task.h"
#include "services/lambda/mapping_record.h"
#include "storage/kv.h"

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hearth::lambda {

// Event source mappings on the Kv; mapping_store.cc is the only file that knows their keys.
//
// A mapping is filed by its id, and listed above accounts, so that a start finds all of them; by
// source and function it is found once more, so that there is one mapping of each pair.
class MappingStore final {
  public:
    explicit MappingStore(storage::Kv& kv) : kv_(kv) {}

    Task<Result<std::optional<MappingRecord>>> Find(
        const AccountId& account, const Region& region, std::string_view id);

    //   errors  ResourceConflictException when the pair of source and function has one already
    Task<Status> Create(MappingRecord record);

    // Changes one in a transaction: `change` is pure.
    //   errors  ResourceNotFoundException; ResourceConflictException; those of `change`
    using Change = std::function<Status(MappingRecord& record)>;
    Task<Result<MappingRecord>> Update(
        AccountId account, Region region, std::string id, const Change& change);

    //   errors  ResourceNotFoundException
    Task<Result<MappingRecord>> Delete(AccountId account, Region region, std::string id);

    struct Page {
        std::vector<MappingRecord> mappings;
        bool more = false;
    };

    // In order of id, beginning after `after`.
    Task<Result<Page>> List(
        const AccountId& account, const Region& region, std::string_view after, size_t limit);

    // Of all accounts, page by page. `visit` may not keep the page waiting.
    Task<Status> ForEach(const std::function<void(MappingRecord)>& visit);

  private:
    storage::Kv& kv_;
};

}  // namespace hearth::lambda
