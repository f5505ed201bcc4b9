#pragma once

#include "storage/objects/body_files.h"
#include "storage/objects/stored_body.h"

#include <array>
#include <memory>

namespace hearth::storage {

struct ObjectBodiesOptions;

inline constexpr std::array<BodyTier, 4> kBodyTiers = {
    BodyTier::kStandard, BodyTier::kInfrequent, BodyTier::kArchive, BodyTier::kDeep};

// A directory for each tier, all laid out in the same way (body_epochs.h); the standard one also
// has the marks of epochs. An id is in one of them.
class BodyPlaces final {
  public:
    // The tiers without a directory of their own share the standard one's.
    explicit BodyPlaces(std::unique_ptr<BodyFiles> standard);

    static Result<BodyPlaces> Open(const ObjectBodiesOptions& options);

    BodyFiles& Of(BodyTier tier) const;

    BodyFiles& standard() const { return Of(BodyTier::kStandard); }

    // Whether it is a directory of its own.
    bool IsApart(BodyTier tier) const;

  private:
    std::array<std::unique_ptr<BodyFiles>, kBodyTiers.size()> files_;
};

}  // namespace hearth::storage
