#pragma once

#include "base/result.h"
#include "storage/objects/body_files.h"

#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace hearth::storage {

// The ids of bodies, and the directories that go with them.
//
// An epoch is a directory of up to kBodiesPerEpoch bodies. It is open, marked by a file `open/<n>`,
// until each of its bodies is settled: claimed by a committed record, or removed. So after a crash
// the bodies that nobody claims are looked for in the few epochs that are still marked, however
// many bodies there are. An epoch's number is never used again: the newest directory stays, even
// when it is empty.
//
// All calls block; any thread.
class BodyEpochs final {
  public:
    static constexpr uint64_t kBodiesPerEpoch = 4096;

    // A clean end: the mark of the current epoch goes, unless it has unsettled bodies.
    ~BodyEpochs();
    BodyEpochs(const BodyEpochs&) = delete;
    BodyEpochs& operator=(const BodyEpochs&) = delete;

    // `files` outlives it. Numbers go on behind what is there.
    static Result<std::unique_ptr<BodyEpochs>> Open(BodyFiles& files);

    // The id of a new body. Its epoch is durably marked and its directory there.
    Result<uint64_t> NewId();
    // The name of the body's file is durable afterwards. Calls that come together share one sync.
    Status SyncName(uint64_t id);
    void Settle(uint64_t id);
    // Whether the body's directory gets no others, so that it may go when it is empty.
    bool MayGo(uint64_t id) const;

    // Epochs that earlier processes left open.
    const std::vector<uint64_t>& left_open() const { return left_open_; }

    // Everything in it was settled.
    void CloseLeftOpen(uint64_t epoch);
    Result<std::vector<uint64_t>> IdsIn(BodyFiles& files, uint64_t epoch) const;

    static std::string PathOf(uint64_t id);
    static std::string DirectoryOf(uint64_t id);
    // What holds the directory.
    static std::string ParentOf(uint64_t id);

  private:
    struct Epoch {
        uint64_t issued = 0;
        uint64_t unsettled = 0;
    };

    // One sync for all who ask while the one before runs.
    struct Syncing {
        uint64_t asked = 0;
        uint64_t done = 0;
        bool running = false;
        int users = 0;
        Status last;
    };

    explicit BodyEpochs(BodyFiles& files) : files_(files) {}

    Status Begin(std::unique_lock<std::mutex>& lock);
    void CloseIfSettled(uint64_t epoch, bool also_current);

    BodyFiles& files_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    // The one that gives ids, 0 before the first.
    uint64_t current_ = 0;
    uint64_t newest_ = 0;
    bool beginning_ = false;
    std::map<uint64_t, Epoch> epochs_;
    std::map<uint64_t, Syncing> syncing_;
    std::vector<uint64_t> left_open_;
};

}  // namespace hearth::storage
