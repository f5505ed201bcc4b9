#include "services/s3/list_requests.h"

#include "codec/uri/uri.h"
#include "services/s3/canonical_user.h"
#include "services/s3/errors.h"

#include <algorithm>

namespace hearth::s3 {

Result<ListLimit> ReadLimit(const std::optional<int32_t>& asked, std::string_view argument) {
    ListLimit limit;
    if (!asked) {
        return limit;
    }
    if (*asked < 0) {
        return errors::InvalidArgument(
            "Argument " + std::string(argument) + " must be an integer between 0 and 2147483647",
            argument,
            std::to_string(*asked));
    }
    limit.asked = *asked;
    limit.entries_max = static_cast<size_t>(std::min(*asked, kListMax));
    return limit;
}

Result<KeyEncoding> KeyEncoding::Read(const std::optional<std::string>& encoding_type) {
    if (!encoding_type || encoding_type->empty()) {
        return KeyEncoding(false);
    }
    if (*encoding_type != "url") {
        return errors::InvalidArgument(
            "Invalid Encoding Method specified in Request", "encoding-type", *encoding_type);
    }
    return KeyEncoding(true);
}

std::string KeyEncoding::Show(std::string_view key) const {
    return url_ ? codec::PercentEncode(key, /*keep_slash=*/true) : std::string(key);
}

std::optional<std::string> KeyEncoding::Show(const std::optional<std::string>& key) const {
    if (!key) {
        return std::nullopt;
    }
    return Show(std::string_view(*key));
}

std::vector<model::CommonPrefix> KeyEncoding::Show(
    const std::vector<std::string>& common_prefixes) const {
    std::vector<model::CommonPrefix> shown;
    shown.reserve(common_prefixes.size());
    for (const std::string& prefix : common_prefixes) {
        shown.push_back({.prefix = Show(std::string_view(prefix))});
    }
    return shown;
}

model::Owner ShowOwner(const AccountId& account) {
    // AWS stopped showing names in 2025.
    return {.id = CanonicalUserId(account)};
}

model::Initiator ShowInitiator(const UploadRecord& upload) {
    return {.id = upload.initiator};
}

Status CheckNoNul(const std::optional<std::string>& text, std::string_view argument) {
    if (text && text->find('\0') != std::string::npos) {
        return errors::InvalidArgument(
            "Value must be a sequence of Unicode characters and cannot include Null.",
            argument,
            "");
    }
    return Status();
}

}  // namespace hearth::s3
