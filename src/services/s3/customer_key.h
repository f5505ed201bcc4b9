#pragma once

#include "base/result.h"
#include "services/s3/records.h"
#include "storage/objects/object_bodies.h"

#include <optional>
#include <string>

// Server-side encryption as requests ask for it. Pure. Source: S3 User Guide, "Using server-side
// encryption with customer-provided keys (SSE-C)", "Specifying encryption".
namespace hearth::s3 {

// The three headers of a customer's key, of a destination or of a copy's source.
struct CustomerKeyHeaders {
    const std::optional<std::string>& algorithm;
    const std::optional<std::string>& key;
    const std::optional<std::string>& md5;
};

struct CustomerKeyOfRequest {
    storage::CustomerKey key;
    std::string md5;  // base64, as it is answered
};

// Empty when there is none. Errors: InvalidArgument as AWS words them.
Result<std::optional<CustomerKeyOfRequest>> ReadCustomerKey(const CustomerKeyHeaders& headers);

// x-amz-server-side-encryption of a write: AES256, or nothing. Errors: NotImplemented for the KMS
// kinds; InvalidArgument for unknown ones and beside a customer's key.
Status CheckEncryptionHeader(const std::optional<std::string>& encryption, bool with_customer_key);

// Whether a read brings what the object needs. Errors: InvalidRequest.
Status CheckReadKey(const ObjectRecord& object, const std::optional<CustomerKeyOfRequest>& key);

template <class Input>
Result<std::optional<CustomerKeyOfRequest>> ReadCustomerKeyOf(const Input& input) {
    return ReadCustomerKey(
        {input.sse_customer_algorithm, input.sse_customer_key, input.sse_customer_key_md5});
}

// x-amz-server-side-encryption... of an answer.
template <class Output>
void ShowEncryption(Output& output, Encryption encryption, const std::string& customer_key_md5) {
    if (encryption == Encryption::kS3) {
        output.server_side_encryption = "AES256";
    } else if (encryption == Encryption::kCustomer) {
        output.sse_customer_algorithm = "AES256";
        output.sse_customer_key_md5 = customer_key_md5;
    }
}

}  // namespace hearth::s3
