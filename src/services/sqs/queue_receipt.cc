#include "services/sqs/queue_receipt.h"

#include "codec/base64/base64.h"
#include "services/sqs/queue_errors.h"

#include <utility>

namespace hearth::sqs {
namespace {

constexpr char kVersion = 1;
constexpr char kContext[] = "sqs/receipt";
constexpr size_t kNumbersBytes = 1 + 8 * 4 + 4 + 1;
constexpr size_t kHandleBytesMax = 1'024;

template <class T>
void Append(std::string& out, T value) {
    for (size_t i = sizeof(T); i-- > 0;) {
        out.push_back(static_cast<char>(static_cast<uint64_t>(value) >> (8 * i) & 0xff));
    }
}

template <class T>
T Take(std::string_view& rest) {
    uint64_t value = 0;
    for (size_t i = 0; i < sizeof(T); ++i) {
        value = value << 8 | static_cast<uint8_t>(rest[i]);
    }
    rest.remove_prefix(sizeof(T));
    return static_cast<T>(value);
}

}  // namespace

std::string ReceiptSealer::Seal(const Receipt& receipt) const {
    std::string bytes;
    bytes.reserve(kNumbersBytes + receipt.group.size());
    bytes.push_back(kVersion);
    Append(bytes, receipt.queue);
    Append(bytes, receipt.epoch);
    Append(bytes, receipt.sequence);
    Append(bytes, receipt.ready_ms);
    Append(bytes, receipt.generation);
    bytes.push_back(receipt.was_delayed ? 1 : 0);
    bytes += receipt.group;
    return codec::Base64Encode(key_.Seal(bytes, kContext));
}

Result<Receipt> ReceiptSealer::Open(std::string_view handle) const {
    if (handle.size() > kHandleBytesMax) {
        return queue_errors::ReceiptHandleIsInvalid(std::string(handle.substr(0, kHandleBytesMax)));
    }
    const Result<std::string> decoded = codec::Base64Decode(handle);
    if (!decoded.ok()) {
        return queue_errors::ReceiptHandleIsInvalid(std::string(handle));
    }
    const Result<std::string> opened = key_.Open(*decoded, kContext);
    if (!opened.ok() || opened->size() < kNumbersBytes || opened->front() != kVersion) {
        return queue_errors::ReceiptHandleIsInvalid(std::string(handle));
    }
    std::string_view rest = std::string_view(*opened).substr(1);
    Receipt receipt;
    receipt.queue = Take<int64_t>(rest);
    receipt.epoch = Take<int64_t>(rest);
    receipt.sequence = Take<int64_t>(rest);
    receipt.ready_ms = Take<int64_t>(rest);
    receipt.generation = Take<int32_t>(rest);
    receipt.was_delayed = Take<uint8_t>(rest) != 0;
    receipt.group = rest;
    return receipt;
}

}  // namespace hearth::sqs
