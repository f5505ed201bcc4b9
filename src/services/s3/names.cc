#include "services/s3/names.h"

#include "aws/protocol/utf8.h"
#include "codec/uri/uri.h"
#include "services/s3/errors.h"
#include "services/s3/limits.h"

#include <algorithm>
#include <array>

namespace hearth::s3 {
namespace {

constexpr size_t kBucketNameBytesMin = 3;
constexpr size_t kBucketNameBytesMax = 63;

bool IsLowerOrDigit(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool LooksLikeAnAddress(std::string_view name) {
    return std::count(name.begin(), name.end(), '.') == 3 &&
           std::all_of(
               name.begin(), name.end(), [](char c) { return c == '.' || (c >= '0' && c <= '9'); });
}

// "eu-west-1", "us-gov-west-1", "EU": what a region's name looks like.
bool LooksLikeARegion(std::string_view text) {
    if (text == "EU") {
        return true;
    }
    return std::count(text.begin(), text.end(), '-') >= 2 && text.size() <= 32 &&
           text.back() >= '0' && text.back() <= '9' &&
           std::all_of(
               text.begin(), text.end(), [](char c) { return IsLowerOrDigit(c) || c == '-'; });
}

}  // namespace

Status CheckBucketName(std::string_view name) {
    const auto fail = [&name] { return errors::InvalidBucketName(name); };
    if (name.size() < kBucketNameBytesMin || name.size() > kBucketNameBytesMax ||
        !IsLowerOrDigit(name.front()) || !IsLowerOrDigit(name.back())) {
        return fail();
    }
    for (const char c : name) {
        if (!IsLowerOrDigit(c) && c != '-' && c != '.') {
            return fail();
        }
    }
    if (name.find("..") != std::string_view::npos || LooksLikeAnAddress(name)) {
        return fail();
    }
    static constexpr std::array<std::string_view, 3> kPrefixes = {
        "xn--", "sthree-", "amzn-s3-demo-"};
    static constexpr std::array<std::string_view, 5> kSuffixes = {
        "-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"};
    if (std::any_of(kPrefixes.begin(), kPrefixes.end(), [&name](std::string_view prefix) {
            return name.starts_with(prefix);
        })) {
        return fail();
    }
    if (std::any_of(kSuffixes.begin(), kSuffixes.end(), [&name](std::string_view suffix) {
            return name.ends_with(suffix);
        })) {
        return fail();
    }
    return Status();
}

Status CheckKey(std::string_view key) {
    if (key.size() > kKeyBytesMax) {
        return errors::KeyTooLong(key.size());
    }
    if (key.empty() || !aws::protocol::IsUtf8(key)) {
        return errors::InvalidUri(codec::PercentEncode(key, true));
    }
    return Status();
}

Result<Region> RegionOfNewBucket(
    const std::optional<std::string>& constraint, const Region& endpoint) {
    const bool home = endpoint.text() == kDefaultRegion;
    if (!constraint || constraint->empty()) {
        if (!home) {
            return errors::IllegalLocationConstraint("");
        }
        return endpoint;
    }
    if (!LooksLikeARegion(*constraint) || *constraint == kDefaultRegion) {
        return errors::InvalidLocationConstraint(*constraint);
    }
    const Region asked(*constraint == "EU" ? "eu-west-1" : *constraint);
    if (!home && asked != endpoint) {
        return errors::IllegalLocationConstraint(*constraint);
    }
    return asked;
}

Result<CopySource> ParseCopySource(std::string_view header) {
    const auto fail = [&header] {
        return errors::InvalidArgument(
            "Copy Source must mention the source bucket and key: sourcebucket/sourcekey",
            "x-amz-copy-source",
            header);
    };
    CopySource source;
    std::string_view rest = header;
    // A version is told apart before anything is decoded: a key may contain an escaped '?'.
    static constexpr std::string_view kVersion = "?versionId=";
    if (const size_t at = rest.find(kVersion); at != std::string_view::npos) {
        auto version = codec::PercentDecode(rest.substr(at + kVersion.size()));
        if (!version.ok()) {
            return fail();
        }
        source.version_id = *std::move(version);
        rest = rest.substr(0, at);
    }
    // A plus is a space here, as in a query: Go's clients write it so, and those that mean a plus
    // escape it.
    std::string encoded(rest);
    std::ranges::replace(encoded, '+', ' ');
    auto decoded = codec::PercentDecode(encoded);
    if (!decoded.ok()) {
        return fail();
    }
    std::string_view path = *decoded;
    if (path.starts_with('/')) {
        path.remove_prefix(1);
    }
    const size_t slash = path.find('/');
    if (slash == std::string_view::npos || slash == 0 || slash + 1 == path.size()) {
        return fail();
    }
    source.bucket = path.substr(0, slash);
    source.key = path.substr(slash + 1);
    return source;
}

}  // namespace hearth::s3
