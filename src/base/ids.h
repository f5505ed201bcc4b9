#pragma once

#include <compare>
#include <string>
#include <utility>

namespace hearth {

// A string that is one kind of id and no other: AccountId, Region, FunctionName.
template <class Tag>
class Id final {
  public:
    Id() = default;

    explicit Id(std::string text) : text_(std::move(text)) {}

    const std::string& text() const { return text_; }

    bool empty() const { return text_.empty(); }

    auto operator<=>(const Id&) const = default;

  private:
    std::string text_;
};

// Twelve digits.
using AccountId = Id<struct AccountIdTag>;
// Such as "us-east-1"; global services use kGlobalRegion in storage keys.
using Region = Id<struct RegionTag>;

inline constexpr char kGlobalRegion[] = "global";
// The account of the root key and of unsigned calls in open mode.
inline constexpr char kRootAccount[] = "000000000000";
inline constexpr char kDefaultRegion[] = "us-east-1";

}  // namespace hearth
