#pragma once

#include "base/ids.h"
#include "base/result.h"
#include "services/s3/upload_store.h"

#include "gen/s3/types.gen.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// What the parameters of all listings have in common.
namespace hearth::s3 {

inline constexpr int32_t kListMax = 1'000;

// "max-keys", "max-uploads", "max-parts": what was asked (shown in the answer) and how many are
// listed, at most 1,000.
struct ListLimit {
    int32_t asked = kListMax;
    size_t entries_max = kListMax;
};

//   argument  as AWS names it in the error: "maxKeys"
//   errors    InvalidArgument for a negative one
Result<ListLimit> ReadLimit(const std::optional<int32_t>& asked, std::string_view argument);

// encoding-type: with "url", keys, prefixes, delimiters and markers are percent-encoded in the
// answer, so that XML can carry every key.
class KeyEncoding final {
  public:
    //   errors  InvalidArgument for anything but "url"
    static Result<KeyEncoding> Read(const std::optional<std::string>& encoding_type);

    std::string Show(std::string_view key) const;
    std::optional<std::string> Show(const std::optional<std::string>& key) const;
    std::vector<model::CommonPrefix> Show(const std::vector<std::string>& common_prefixes) const;

  private:
    explicit KeyEncoding(bool url) : url_(url) {}

    bool url_;
};

model::Owner ShowOwner(const AccountId& account);
model::Initiator ShowInitiator(const UploadRecord& upload);

// Keys, prefixes and markers cannot contain a NUL. Errors: InvalidArgument.
Status CheckNoNul(const std::optional<std::string>& text, std::string_view argument);

}  // namespace hearth::s3
