#include "services/s3/customer_key.h"

#include "codec/base64/base64.h"
#include "codec/crypto/digest_stream.h"
#include "services/s3/errors.h"

#include <algorithm>

namespace hearth::s3 {
namespace {

constexpr char kAlgorithmHeader[] = "x-amz-server-side-encryption-customer-algorithm";
constexpr char kKeyHeader[] = "x-amz-server-side-encryption-customer-key";

std::string Md5Base64(std::string_view bytes) {
    codec::DigestStream digest(codec::DigestKind::kMd5);
    digest.Update(bytes);
    return codec::Base64Encode(digest.Finish());
}

constexpr char kMd5Header[] = "x-amz-server-side-encryption-customer-key-MD5";

}  // namespace

Result<std::optional<CustomerKeyOfRequest>> ReadCustomerKey(const CustomerKeyHeaders& headers) {
    std::optional<CustomerKeyOfRequest> none;
    if (!headers.algorithm && !headers.key && !headers.md5) {
        return none;
    }
    if (!headers.algorithm) {
        return errors::InvalidArgument(
            "Requests specifying Server Side Encryption with Customer provided keys must provide "
            "a valid encryption algorithm.",
            kAlgorithmHeader,
            "null");
    }
    if (*headers.algorithm != "AES256") {
        return Error(
            Error::Kind::kInvalid,
            "InvalidEncryptionAlgorithmError",
            "The encryption request you specified is not valid. The valid value is AES256.",
            400);
    }
    if (!headers.key) {
        return errors::InvalidArgument(
            "Requests specifying Server Side Encryption with Customer provided keys must provide "
            "an appropriate secret key.",
            kKeyHeader,
            "null");
    }
    if (!headers.md5) {
        return errors::InvalidArgument(
            "Requests specifying Server Side Encryption with Customer provided keys must provide "
            "the client calculated MD5 of the secret key.",
            kMd5Header,
            "null");
    }
    const auto key = codec::Base64Decode(*headers.key);
    CustomerKeyOfRequest found;
    if (!key.ok() || key->size() != found.key.size()) {
        return errors::InvalidArgument(
            "The secret key was invalid for the specified algorithm.", kKeyHeader, "null");
    }
    std::copy(key->begin(), key->end(), found.key.begin());
    if (Md5Base64(*key) != *headers.md5) {
        return errors::InvalidArgument(
            "The calculated MD5 hash of the key did not match the hash that was provided.",
            kMd5Header,
            "null");
    }
    found.md5 = *headers.md5;
    return std::optional<CustomerKeyOfRequest>(std::move(found));
}

Status CheckEncryptionHeader(const std::optional<std::string>& encryption, bool with_customer_key) {
    if (!encryption) {
        return Status();
    }
    if (*encryption == "aws:kms" || *encryption == "aws:kms:dsse" || *encryption == "aws:fsx") {
        return errors::NotImplemented(
            "Hearth does not have KMS yet; objects can be encrypted with AES256 or with a key of "
            "your own.",
            "x-amz-server-side-encryption");
    }
    if (*encryption != "AES256") {
        return errors::InvalidArgument(
            "The encryption method specified is not supported",
            "x-amz-server-side-encryption",
            *encryption);
    }
    if (with_customer_key) {
        return errors::InvalidArgument(
            "Server Side Encryption with Customer provided key is incompatible with the encryption "
            "method specified",
            "x-amz-server-side-encryption",
            *encryption);
    }
    return Status();
}

Status CheckReadKey(const ObjectRecord& object, const std::optional<CustomerKeyOfRequest>& key) {
    if (object.encryption == Encryption::kCustomer && !key) {
        return errors::InvalidRequest(
            "The object was stored using a form of Server Side Encryption. The correct parameters "
            "must be provided to retrieve the object.");
    }
    if (object.encryption != Encryption::kCustomer && key) {
        return errors::InvalidRequest(
            "The encryption parameters are not applicable to this object.");
    }
    return Status();
}

}  // namespace hearth::s3
