#include "services/lambda/marker.h"

#include "codec/base64/base64.h"
#include "services/lambda/errors.h"
#include "services/lambda/limits.h"

#include <algorithm>
#include <charconv>

namespace hearth::lambda {

std::string EncodeMarker(const Marker& marker) {
    std::string text = marker.name;
    text.push_back('\0');
    text += std::to_string(marker.number);
    return codec::Base64Encode(text);
}

Result<Marker> DecodeMarker(const std::optional<std::string>& text) {
    if (!text || text->empty()) {
        return Marker();
    }
    const auto invalid = [] { return errors::InvalidParameterValue("Invalid Marker."); };
    const auto decoded = codec::Base64Decode(*text);
    if (!decoded.ok()) {
        return invalid();
    }
    const size_t zero = decoded->find('\0');
    if (zero == std::string::npos) {
        return invalid();
    }
    Marker marker;
    marker.name = decoded->substr(0, zero);
    const char* end = decoded->data() + decoded->size();
    if (std::from_chars(decoded->data() + zero + 1, end, marker.number).ptr != end) {
        return invalid();
    }
    return marker;
}

size_t PageSize(const std::optional<int32_t>& max_items) {
    return static_cast<size_t>(
        std::clamp(max_items.value_or(limits::kListItemsMax), 1, limits::kListItemsMax));
}

}  // namespace hearth::lambda
