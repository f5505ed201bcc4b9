#include "storage/objects/body_places.h"

#include "storage/objects/object_bodies.h"
#include "storage/objects/striped_files.h"

#include <string>
#include <utility>
#include <vector>

namespace hearth::storage {

BodyPlaces::BodyPlaces(std::unique_ptr<BodyFiles> standard) {
    files_[0] = std::move(standard);
}

Result<BodyPlaces> BodyPlaces::Open(const ObjectBodiesOptions& options) {
    HEARTH_TRY(auto standard, OpenBodyFiles(options.directory, options.sync));
    BodyPlaces places(std::move(standard));
    const auto open = [&](BodyTier tier, const std::string& chosen, const char* name) -> Status {
        HEARTH_TRY(
            places.files_[static_cast<size_t>(tier)],
            OpenBodyFiles(chosen.empty() ? options.directory + name : chosen, options.sync));
        return Status();
    };
    HEARTH_RETURN_IF_ERROR(
        open(BodyTier::kInfrequent, options.infrequent_directory, "/infrequent"));
    HEARTH_RETURN_IF_ERROR(open(BodyTier::kArchive, options.archive_directory, "/archive"));
    if (options.deep_directories.size() <= 1) {
        const std::string chosen =
            options.deep_directories.empty() ? "" : options.deep_directories.front();
        HEARTH_RETURN_IF_ERROR(open(BodyTier::kDeep, chosen, "/deep"));
        return places;
    }
    std::vector<std::unique_ptr<BodyFiles>> disks;
    for (const std::string& directory : options.deep_directories) {
        // A disk that is lost is one of the three that may be.
        Result<std::unique_ptr<BodyFiles>> disk(nullptr);
        if (!directory.empty()) {
            disk = OpenBodyFiles(directory, options.sync);
        }
        disks.push_back(disk.ok() ? *std::move(disk) : nullptr);
    }
    HEARTH_TRY(
        places.files_[static_cast<size_t>(BodyTier::kDeep)], MakeStripedFiles(std::move(disks)));
    return places;
}

BodyFiles& BodyPlaces::Of(BodyTier tier) const {
    const auto& own = files_[static_cast<size_t>(tier)];
    return own != nullptr ? *own : *files_[0];
}

bool BodyPlaces::IsApart(BodyTier tier) const {
    return tier != BodyTier::kStandard && files_[static_cast<size_t>(tier)] != nullptr;
}

}  // namespace hearth::storage
