#pragma once

#include "codec/base64/base64.h"
#include "services/iam/errors.h"
#include "services/iam/limits.h"
#include "services/iam/records.h"

#include "gen/iam/types.gen.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

// From records to the shapes of the API, and paging over lists that a record holds.
namespace hearth::iam {

// Header of answers that stored a document which nobody evaluates yet.
inline constexpr char kNotEnforcedHeader[] = "x-hearth-not-enforced";

std::vector<model::Tag> ToTags(const std::map<std::string, std::string>& tags);
model::User ToUser(const Principal& user);
model::Group ToGroup(const Principal& group);
model::Role ToRole(const Principal& role);
// Documents go out percent-encoded (RFC 3986), as the API Reference says of each.
std::string ToDocument(const std::string& document);

// Adds tags within the quota, checking keys.
//   errors  InvalidInput, LimitExceeded.
Status MergeTags(
    std::map<std::string, std::string>& tags, const std::optional<std::vector<model::Tag>>& added);

// arn:aws:iam::<account or aws>:policy/<path><name>, no longer than names and paths can make it.
//   errors  InvalidInput.
Status CheckPolicyArn(const std::string& arn);

// "/" or "/a/b/"; as given by the caller, checked by the model's pattern.
std::string PathOrRoot(const std::optional<std::string>& path);

// A page of a list that is at hand: the items after `marker`, at most `max_items`. Fills the
// response's is_truncated and marker.
//   errors  ValidationError for a marker that is not ours.
template <class Item, class Response>
Status Paginate(
    std::vector<Item> all,
    const std::optional<std::string>& marker,
    const std::optional<int32_t>& max_items,
    std::optional<std::vector<Item>>& items,
    Response& response) {
    size_t begin = 0;
    if (marker) {
        const auto position = codec::Base64Decode(*marker);
        if (!position.ok() || position->empty() || position->size() > 6 ||
            position->find_first_not_of("0123456789") != std::string::npos) {
            return errors::Validation("Invalid Marker.");
        }
        begin = std::min(all.size(), static_cast<size_t>(std::stoul(*position)));
    }
    const size_t end =
        std::min(all.size(), begin + static_cast<size_t>(max_items.value_or(kListItemsDefault)));
    response.is_truncated = end < all.size();
    if (end < all.size()) {
        response.marker = codec::Base64Encode(std::to_string(end));
    }
    items = std::vector<Item>(
        std::make_move_iterator(all.begin() + static_cast<ptrdiff_t>(begin)),
        std::make_move_iterator(all.begin() + static_cast<ptrdiff_t>(end)));
    return {};
}

}  // namespace hearth::iam
