#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <set>

namespace hearth::storage {

// Objects of several bodies that are being read: their files are opened one after the other, so
// they may not go before the last one was. A single file needs no pin, it stays readable while
// open. An object is named by the id of its first body with a file. Any thread.
class BodyPins final {
  public:
    // False: it is being removed.
    bool Pin(uint64_t first_id);
    void Unpin(uint64_t first_id);

    // False: somebody reads it; `on_unpinned` is called when the last reader is gone.
    bool BeginRemoving(uint64_t first_id);
    void EndRemoving(uint64_t first_id);

    // Called on any thread after an object, whose removal was refused, lost its last reader.
    void OnUnpinned(std::function<void(uint64_t)> on_unpinned);

  private:
    struct Count {
        int readers = 0;
        bool wanted = false;
    };

    std::mutex mutex_;
    std::map<uint64_t, Count> pinned_;
    std::set<uint64_t> removing_;
    std::function<void(uint64_t)> on_unpinned_;
};

}  // namespace hearth::storage
