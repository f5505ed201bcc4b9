#pragma once

#include "base/random.h"
#include "base/result.h"
#include "rt/blocking_pool.h"
#include "rt/task.h"
#include "services/lambda/invoker.h"
#include "storage/blob/blob_store.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace hearth::lambda {

// Functions' code: the zip as a blob (durable), and unpacked below `code/` of the data directory (a
// cache).
//
// A piece of code has an id that is never used twice, which names both. So a directory that is
// there is complete and right for ever: it is unpacked beside, then renamed. A power cut may leave
// torn files in it, because a cache is not synced; therefore all of it is dropped when the machine
// was booted anew. Calls may come from any loop.
class CodeStore final : public CodeCache {
  public:
    // `directory` is relative to the data directory.
    CodeStore(
        storage::BlobStore& blobs,
        rt::BlockingPool& blocking_pool,
        Random& random,
        std::string directory = "code");
    ~CodeStore() override;

    // Makes the directory, or empties it when `boot_id` is not the one it was filled under. Blocks;
    // call before anything else. Returns the ids that are there, for a sweep of those that nobody
    // knows.
    Result<std::vector<std::string>> Prepare(std::string_view boot_id);

    using IsKnown = std::function<Task<Result<bool>>(std::string_view id)>;
    // Takes away what a crash between Add and the commit of a record left: of `unpacked` (as
    // Prepare returned it, before there were new ones) all that nobody knows, and blobs likewise.
    Task<Status> Sweep(std::vector<std::string> unpacked, IsKnown is_known);

    struct Added {
        std::string id;
        int64_t unzipped_bytes = 0;
    };

    // Checks an uploaded zip, unpacks it and keeps it under a new id. `zip` lives until the Task
    // ends.
    //   errors  InvalidParameterValueException (not a zip, hostile, empty, too large)
    Task<Result<Added>> Add(const std::string& zip);
    // The same checks, nothing kept. Returns how many bytes the files have.
    Task<Result<int64_t>> Check(const std::string& zip);

    // The zip as it was uploaded.
    Task<Result<std::string>> ReadZip(const std::string& id);

    // Takes away blob and directory; the directory as soon as no environment holds it.
    Task<void> Drop(std::string id);

    Task<Result<std::shared_ptr<const CodeDirectory>>> Open(std::string code_id) override;
    // A tree of hard links beside the others, kept until one of its parts is dropped or the next
    // start.
    Task<Result<std::shared_ptr<const CodeDirectory>>> OpenMerged(
        std::vector<std::string> code_ids) override;

  private:
    struct State;
    class Held;
    class Live;

    using Fill = std::function<Task<Status>()>;
    // The directory of `id`, made by `fill` when it is not there; by one caller, whom others wait
    // for.
    Task<Result<std::shared_ptr<const CodeDirectory>>> OpenEntry(
        const std::string& id, const Fill& fill);
    std::string NewTemporary();

    storage::BlobStore& blobs_;
    rt::BlockingPool& blocking_pool_;
    Random& random_;
    std::shared_ptr<State> state_;
};

}  // namespace hearth::lambda
