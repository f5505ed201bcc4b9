#include "services/s3/listing.h"

#include "codec/base64/base64.h"
#include "codec/crc32/crc32.h"

#include <algorithm>
#include <utility>

namespace hearth::s3 {
namespace {

// With a delimiter most of a page may lie below one common prefix, so pages begin small and grow
// while nothing had to be skipped.
constexpr size_t kFirstPageWithDelimiter = 4;
constexpr size_t kPageMax = 1'001;

constexpr char kAfterAllKeys = static_cast<char>(0xff);
constexpr char kTokenVersion = 1;
constexpr size_t kTokenCheckBytes = 4;

std::string CheckOf(std::string_view text) {
    const uint32_t crc = codec::Crc32(text);
    std::string bytes;
    for (int shift = 24; shift >= 0; shift -= 8) {
        bytes.push_back(static_cast<char>((crc >> shift) & 0xff));
    }
    return bytes;
}

}  // namespace

std::string_view CommonPrefixOf(
    std::string_view key, std::string_view prefix, std::string_view delimiter) {
    if (delimiter.empty()) {
        return {};
    }
    const size_t at = key.find(delimiter, prefix.size());
    return at == std::string_view::npos ? std::string_view() : key.substr(0, at + delimiter.size());
}

std::string EndOfPrefix(std::string_view prefix) {
    std::string end(prefix);
    if (!end.empty()) {
        end.push_back(kAfterAllKeys);
    }
    return end;
}

ListPosition AfterEntry(std::string_view key, std::string_view within) {
    ListPosition position{std::string(key), std::string(within)};
    position.within.push_back('\0');
    return position;
}

ListPosition AfterMarker(
    std::string_view marker, std::string_view prefix, std::string_view delimiter) {
    if (marker.empty()) {
        return {};
    }
    if (marker.starts_with(prefix) && CommonPrefixOf(marker, prefix, delimiter) == marker) {
        return {EndOfPrefix(marker), {}};
    }
    ListPosition position{std::string(marker), {}};
    position.key.push_back('\0');
    return position;
}

Task<Result<Listing>> List(OrderedEntries& entries, ListQuery query) {
    Listing listing;
    if (query.entries_max == 0) {
        co_return listing;
    }
    const std::string end = EndOfPrefix(query.prefix);
    ListPosition position = std::max(query.from, ListPosition{query.prefix, {}});
    const size_t page_max = std::min(query.entries_max + 1, kPageMax);
    size_t page_size =
        query.delimiter.empty() ? page_max : std::min(page_max, kFirstPageWithDelimiter);
    size_t listed = 0;
    for (;;) {
        if (!end.empty() && position.key >= end) {
            co_return listing;
        }
        HEARTH_CO_TRY(EntryPage page, co_await entries.From(position, end, page_size));
        if (page.entries.empty()) {
            co_return listing;
        }
        // The common prefix just listed, whose further keys are passed over.
        std::string passing;
        for (ListEntry& entry : page.entries) {
            if (!entry.key.starts_with(query.prefix)) {
                co_return listing;
            }
            if (!passing.empty() && entry.key.starts_with(passing)) {
                continue;
            }
            passing.clear();
            if (listed == query.entries_max) {
                listing.truncated = true;
                co_return listing;
            }
            ++listed;
            const std::string_view common =
                CommonPrefixOf(entry.key, query.prefix, query.delimiter);
            if (common.empty()) {
                listing.last_key = entry.key;
                listing.last_within = entry.within;
                listing.entries.push_back(std::move(entry));
            } else {
                passing = common;
                listing.last_key = passing;
                listing.last_within.clear();
                listing.common_prefixes.push_back(passing);
            }
        }
        if (page.at_end) {
            co_return listing;
        }
        if (!passing.empty()) {
            position = {EndOfPrefix(passing), {}};
            page_size = std::min(page_max, kFirstPageWithDelimiter);
        } else {
            position = AfterEntry(listing.last_key, listing.last_within);
            page_size = std::min({page_max, page_size * 4, query.entries_max - listed + 1});
        }
    }
}

std::string EncodeContinuationToken(std::string_view marker) {
    std::string bytes(1, kTokenVersion);
    bytes += CheckOf(marker);
    bytes += marker;
    return codec::Base64Encode(bytes);
}

Result<std::string> DecodeContinuationToken(std::string_view token) {
    HEARTH_TRY(const std::string bytes, codec::Base64Decode(token));
    if (bytes.size() < 1 + kTokenCheckBytes || bytes.front() != kTokenVersion) {
        return errors::Malformed("not a continuation token");
    }
    std::string marker = bytes.substr(1 + kTokenCheckBytes);
    if (bytes.substr(1, kTokenCheckBytes) != CheckOf(marker)) {
        return errors::Malformed("not a continuation token");
    }
    return marker;
}

}  // namespace hearth::s3
