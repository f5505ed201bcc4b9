#pragma once

#include "base/random.h"
#include "codec/crypto/master_key.h"
#include "storage/objects/body_frames.h"
#include "storage/objects/object_bodies.h"

#include <string>

namespace hearth::storage {

// The keys of bodies: each has its own, sealed by the data directory's or by the customer's.
class BodyKeys final {
  public:
    BodyKeys(const codec::MasterKey& master_key, Random& random);

    struct NewKey {
        BodyKey key{};
        // For the body's head; empty without encryption.
        std::string sealed;
        // For StoredBody; empty without a customer's key.
        std::string customer_key_check;
    };

    NewKey Make(uint64_t id, BodyEncryption encryption, const CustomerKey* customer_key) const;
    // Error kBodyDamaged when head and body do not belong together, kWrongCustomerKey.
    Result<BodyKey> Open(
        const BodyHead& head, const StoredBody& body, const CustomerKey* customer_key) const;
    static bool IsCustomerKey(const StoredBody& body, const CustomerKey& key);

  private:
    const codec::SealingKey sealing_key_;
    Random& random_;
};

}  // namespace hearth::storage
