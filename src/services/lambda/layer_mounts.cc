#include "services/lambda/layer_mounts.h"

namespace hearth::lambda {

Task<Result<std::vector<std::shared_ptr<const CodeDirectory>>>> OpenLayers(
    CodeCache& cache, const sandbox::Sandbox& sandbox, std::vector<std::string> layer_code_ids) {
    // The same files twice need no second mount, and overlayfs would refuse it; the later one says
    // where in the order they are.
    std::vector<std::string> ids;
    for (std::string& id : layer_code_ids) {
        std::erase(ids, id);
        ids.push_back(std::move(id));
    }
    std::vector<std::shared_ptr<const CodeDirectory>> directories;
    if (ids.size() > 1 && !sandbox.StacksMounts()) {
        HEARTH_CO_TRY(auto merged, co_await cache.OpenMerged(std::move(ids)));
        directories.push_back(std::move(merged));
        co_return directories;
    }
    for (std::string& id : ids) {
        HEARTH_CO_TRY(auto directory, co_await cache.Open(std::move(id)));
        directories.push_back(std::move(directory));
    }
    co_return directories;
}

}  // namespace hearth::lambda
