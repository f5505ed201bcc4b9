#include "storage/objects/body_keys.h"

#include "base/check.h"
#include "codec/crypto/crypto.h"

#include <fmt/format.h>

#include <cstring>

namespace hearth::storage {
namespace {

constexpr size_t kSaltBytes = 16;

std::string ContextOf(uint64_t id) {
    return fmt::format("object body {:x}", id);
}

std::string CheckOf(std::string salt, const CustomerKey& key) {
    const auto mac = codec::HmacSha256(key, "hearth customer key" + salt);
    return salt.append(codec::AsText(mac));
}

Error WrongCustomerKey() {
    return Error(
        Error::Kind::kDenied, kWrongCustomerKey, "the body was written with another key", 403);
}

}  // namespace

BodyKeys::BodyKeys(const codec::MasterKey& master_key, Random& random)
    : sealing_key_(master_key.Derive("object-bodies")), random_(random) {}

BodyKeys::NewKey BodyKeys::Make(
    uint64_t id, BodyEncryption encryption, const CustomerKey* customer_key) const {
    NewKey made;
    if (encryption == BodyEncryption::kNone) {
        return made;
    }
    random_.Fill(made.key);
    const std::string_view key = codec::AsText(made.key);
    if (encryption == BodyEncryption::kManaged) {
        made.sealed = sealing_key_.Seal(key, ContextOf(id));
        return made;
    }
    CHECK(customer_key != nullptr);
    made.sealed = codec::SealingKey(*customer_key).Seal(key, ContextOf(id));
    std::string salt(kSaltBytes, '\0');
    random_.Fill({reinterpret_cast<uint8_t*>(salt.data()), salt.size()});
    made.customer_key_check = CheckOf(std::move(salt), *customer_key);
    return made;
}

Result<BodyKey> BodyKeys::Open(
    const BodyHead& head, const StoredBody& body, const CustomerKey* customer_key) const {
    BodyKey key{};
    if (head.id != body.id || head.encryption != body.encryption) {
        return BodyDamaged(body.id, "another body is in its place");
    }
    if (head.encryption == BodyEncryption::kNone) {
        return key;
    }
    if (head.encryption == BodyEncryption::kCustomer &&
        (customer_key == nullptr || !IsCustomerKey(body, *customer_key))) {
        return WrongCustomerKey();
    }
    const codec::SealingKey& sealing_key = head.encryption == BodyEncryption::kCustomer
                                               ? codec::SealingKey(*customer_key)
                                               : sealing_key_;
    const auto plain = sealing_key.Open(head.sealed_key, ContextOf(body.id));
    if (!plain.ok() || plain->size() != key.size()) {
        return BodyDamaged(body.id, "its key does not open");
    }
    std::memcpy(key.data(), plain->data(), key.size());
    return key;
}

bool BodyKeys::IsCustomerKey(const StoredBody& body, const CustomerKey& key) {
    if (body.encryption != BodyEncryption::kCustomer) {
        return true;
    }
    const std::string salt = body.customer_key_check.substr(0, kSaltBytes);
    return codec::EqualInConstantTime(CheckOf(salt, key), body.customer_key_check);
}

}  // namespace hearth::storage
