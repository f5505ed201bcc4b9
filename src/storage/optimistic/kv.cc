#include "storage/kv.h"

namespace hearth::storage {

Task<Status> Kv::Put(std::string_view key, std::string value) {
    const std::string owned_key(key);
    Body body = [&](Transaction& transaction) -> Task<Status> {
        // A copy: the body may run again.
        transaction.Put(owned_key, value);
        co_return Status();
    };
    co_return co_await Transact(body);
}

Task<Status> Kv::Delete(std::string_view key) {
    const std::string owned_key(key);
    Body body = [&](Transaction& transaction) -> Task<Status> {
        transaction.Delete(owned_key);
        co_return Status();
    };
    co_return co_await Transact(body);
}

}  // namespace hearth::storage
