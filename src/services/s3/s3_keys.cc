#include "services/s3/s3_keys.h"

namespace hearth::s3::keys {
namespace {

using storage::RangeRequest;
using storage::keys::Key;

// Greater than every byte of a shifted object key.
constexpr char kAfterAll = static_cast<char>(0xff);

void AppendBigEndian(std::string& out, uint64_t number) {
    for (int shift = 56; shift >= 0; shift -= 8) {
        out.push_back(static_cast<char>((number >> shift) & 0xff));
    }
}

uint64_t ReadBigEndian(std::string_view bytes) {
    uint64_t number = 0;
    for (const char c : bytes) {
        number = number << 8 | static_cast<uint8_t>(c);
    }
    return number;
}

void AppendShifted(std::string& out, std::string_view key) {
    for (const char c : key) {
        out.push_back(static_cast<char>(static_cast<uint8_t>(c) + 1));
    }
}

// A table and an object key with its end.
std::string WithKey(const BucketRecord& bucket, std::string_view table, std::string_view key) {
    std::string bytes = Table(bucket, table);
    bytes.reserve(bytes.size() + key.size() + 9);
    AppendShifted(bytes, key);
    bytes.push_back('\0');
    return bytes;
}

RangeRequest BeginningWith(std::string begin) {
    RangeRequest request;
    request.end = begin + kAfterAll;
    request.begin = std::move(begin);
    return request;
}

Result<std::string> Unshift(std::string_view shifted) {
    std::string key;
    key.reserve(shifted.size());
    for (const char c : shifted) {
        if (c == '\0') {
            return hearth::errors::Malformed("storage key: an object key with an end inside");
        }
        key.push_back(static_cast<char>(static_cast<uint8_t>(c) - 1));
    }
    return key;
}

}  // namespace

std::string Bucket(std::string_view name) {
    return Key::AboveAccounts().Add("s3").Add("bucket").Add(name);
}

Key BucketsOf(const AccountId& account) {
    return Key(account, Region(kGlobalRegion)).Add("s3").Add("bucket");
}

std::string Table(const BucketRecord& bucket, std::string_view table) {
    std::string bytes = Key(bucket.account, bucket.region).Add("s3").Add(table);
    AppendBigEndian(bytes, static_cast<uint64_t>(bucket.id));
    return bytes;
}

RangeRequest All(const BucketRecord& bucket, std::string_view table) {
    return BeginningWith(Table(bucket, table));
}

std::string Current(const BucketRecord& bucket, std::string_view key) {
    return WithKey(bucket, "o", key);
}

std::string Version(const BucketRecord& bucket, std::string_view key, int64_t sequence) {
    std::string bytes = WithKey(bucket, "v", key);
    AppendBigEndian(bytes, ~static_cast<uint64_t>(sequence));
    return bytes;
}

std::string NullVersion(const BucketRecord& bucket, std::string_view key) {
    return WithKey(bucket, "n", key);
}

std::string Inline(const BucketRecord& bucket, std::string_view unique) {
    return Table(bucket, "i") + std::string(unique);
}

std::string Part(const BucketRecord& bucket, std::string_view parts_id, int32_t number) {
    std::string bytes = WithKey(bucket, "p", parts_id);
    AppendBigEndian(bytes, static_cast<uint64_t>(number));
    return bytes;
}

std::string Setting(const BucketRecord& bucket, std::string_view kind) {
    return Table(bucket, "c") + std::string(kind);
}

RangeRequest CurrentWithPrefix(const BucketRecord& bucket, std::string_view prefix) {
    std::string begin = Table(bucket, "o");
    AppendShifted(begin, prefix);
    return BeginningWith(std::move(begin));
}

RangeRequest VersionsOf(const BucketRecord& bucket, std::string_view key) {
    RangeRequest request;
    request.begin = WithKey(bucket, "v", key);
    request.end = request.begin;
    // The end of the key is 00, so with 01 everything that begins with it is passed.
    request.end.back() = '\x01';
    return request;
}

RangeRequest VersionsWithPrefix(const BucketRecord& bucket, std::string_view prefix) {
    std::string begin = Table(bucket, "v");
    AppendShifted(begin, prefix);
    return BeginningWith(std::move(begin));
}

RangeRequest Parts(const BucketRecord& bucket, std::string_view parts_id) {
    RangeRequest request;
    request.begin = WithKey(bucket, "p", parts_id);
    request.end = request.begin;
    request.end.back() = '\x01';
    return request;
}

std::string Shifted(std::string_view key) {
    std::string bytes;
    AppendShifted(bytes, key);
    return bytes;
}

Result<Parsed> ParseCurrent(const BucketRecord& bucket, std::string_view storage_key) {
    const size_t head = Table(bucket, "o").size();
    if (storage_key.size() < head + 1 || storage_key.back() != '\0') {
        return hearth::errors::Malformed("storage key: no current version");
    }
    Parsed parsed;
    HEARTH_TRY(parsed.key, Unshift(storage_key.substr(head, storage_key.size() - head - 1)));
    return parsed;
}

Result<Parsed> ParseVersion(const BucketRecord& bucket, std::string_view storage_key) {
    const size_t head = Table(bucket, "v").size();
    if (storage_key.size() < head + 9 || storage_key[storage_key.size() - 9] != '\0') {
        return hearth::errors::Malformed("storage key: no version");
    }
    Parsed parsed;
    HEARTH_TRY(parsed.key, Unshift(storage_key.substr(head, storage_key.size() - head - 9)));
    parsed.sequence =
        static_cast<int64_t>(~ReadBigEndian(storage_key.substr(storage_key.size() - 8)));
    return parsed;
}

Result<int32_t> ParsePart(std::string_view storage_key) {
    if (storage_key.size() < 9 || storage_key[storage_key.size() - 9] != '\0') {
        return hearth::errors::Malformed("storage key: no part");
    }
    return static_cast<int32_t>(ReadBigEndian(storage_key.substr(storage_key.size() - 8)));
}

}  // namespace hearth::s3::keys
