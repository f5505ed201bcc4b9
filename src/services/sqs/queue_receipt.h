#pragma once

#include "base/result.h"
#include "codec/crypto/master_key.h"
#include "services/sqs/queue_records.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace hearth::sqs {

// What a receipt handle says: which message, and which of its receipts. It carries what is needed
// to find the message when nothing of it is in memory, and is sealed, so that only handles
// that were given out by this cloud, for this life of the queue, are taken. Survives restarts.
struct Receipt {
    QueueId queue = 0;
    int64_t epoch = 0;
    Sequence sequence = 0;
    int32_t generation = 0;
    // When the visibility that came with it ends; where to look for the message first.
    int64_t ready_ms = 0;
    bool was_delayed = false;
    std::string group;
};

class ReceiptSealer final {
  public:
    // A key derived for this purpose alone.
    explicit ReceiptSealer(const codec::SealingKey& key) : key_(key) {}

    std::string Seal(const Receipt& receipt) const;
    // Error ReceiptHandleIsInvalid.
    Result<Receipt> Open(std::string_view handle) const;

  private:
    const codec::SealingKey key_;
};

}  // namespace hearth::sqs
