#include "aws/front/s3_address.h"

#include <algorithm>

namespace hearth::aws {
namespace {

constexpr std::string_view kLocalhost = ".localhost";
constexpr std::string_view kOwnName = "hearth.localhost";

// "us-west-2", "us-gov-east-1"
bool LooksLikeRegion(std::string_view text) {
    const size_t last = text.rfind('-');
    return text.size() >= 8 && text[2] == '-' && last != std::string_view::npos && last > 2 &&
           last + 2 == text.size() && text.back() >= '0' && text.back() <= '9' &&
           std::ranges::all_of(
               text.substr(0, last), [](char c) { return (c >= 'a' && c <= 'z') || c == '-'; });
}

bool IsS3Label(std::string_view label) {
    return label == "s3" || label == "s3-fips" || label == "s3-external-1" ||
           (label.starts_with("s3-") && LooksLikeRegion(label.substr(3)));
}

}  // namespace

std::optional<std::string> BucketOfS3Host(std::string_view host_name) {
    // From the right, as a bucket may have such a label in its name; the last label of all is the
    // domain's.
    size_t end = host_name.rfind('.');
    while (end != std::string_view::npos && end > 0) {
        const size_t dot = host_name.rfind('.', end - 1);
        const size_t begin = dot == std::string_view::npos ? 0 : dot + 1;
        if (IsS3Label(host_name.substr(begin, end - begin))) {
            return std::string(host_name.substr(0, begin == 0 ? 0 : begin - 1));
        }
        end = dot;
    }
    return std::nullopt;
}

std::optional<std::string> BucketOfLocalhost(std::string_view host_name) {
    if (!host_name.ends_with(kLocalhost) || host_name.size() == kLocalhost.size() ||
        host_name == kOwnName) {
        return std::nullopt;
    }
    return std::string(host_name.substr(0, host_name.size() - kLocalhost.size()));
}

std::string PathOfBucket(std::string_view bucket, std::string_view path) {
    std::string whole = "/";
    whole += bucket;
    // "/" alone is the bucket itself.
    if (path != "/") {
        whole += path;
    }
    return whole;
}

}  // namespace hearth::aws
