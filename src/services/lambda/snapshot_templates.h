#pragma once

#include "base/result.h"
#include "rt/event.h"
#include "rt/task.h"
#include "sandbox/sandbox.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace hearth::lambda {

// The file beside an image that tells which memory calls use (sandbox::SavedImage).
inline constexpr std::string_view kMemoryUseSuffix = ".use";
std::string MemoryUseOf(const std::string& image);
// Both.
void RemoveImage(const std::string& image);

// The templates (sandbox/sandbox.h) of the images in use, one shard of them: made at the first
// need, kept while there is room, the one unused for longest dropped first. A dropped one costs a
// rebuild from its image, about a millisecond per megabyte.
//
// A template belongs to one image, an image to one version of one function of one account: they are
// never shared. Everything on one loop.
class SnapshotTemplates final {
  public:
    using TemplatePtr = std::shared_ptr<const sandbox::Template>;

    // `bytes_max`: of the images of all templates kept; the one in use may be larger than that.
    SnapshotTemplates(sandbox::Sandbox& sandbox, uint64_t bytes_max);
    ~SnapshotTemplates();

    // The template of `image`, a path. Those who ask while it is made wait for that one.
    //   errors  Conflict: the image does not fit this machine or its files any more, or is gone;
    //           others: the machine's trouble of the moment
    Task<Result<TemplatePtr>> Get(
        std::string image, std::function<sandbox::EnvironmentSpec()> spec);

    // The template is of no use (its host died, say): the next Get makes another one.
    void Drop(const std::string& image, const TemplatePtr& of_no_use);
    // All that are not being made.
    void ForgetAll();
    // The image is gone.
    void Forget(const std::string& image);

    uint64_t bytes() const { return bytes_; }

    size_t count() const { return entries_.size(); }

    // How long the last one took to make.
    std::chrono::nanoseconds last_load() const { return last_load_; }

  private:
    struct Entry {
        TemplatePtr made;
        uint64_t bytes = 0;
        uint64_t used = 0;
        bool loading = true;
        rt::Event loaded;
    };

    Task<Result<TemplatePtr>> Load(
        const std::string& image,
        Entry& entry,
        const std::function<sandbox::EnvironmentSpec()>& spec);
    void MakeRoom(const std::string& keep);

    sandbox::Sandbox& sandbox_;
    uint64_t bytes_max_;
    uint64_t bytes_ = 0;
    uint64_t clock_ = 0;
    std::chrono::nanoseconds last_load_{0};
    // Shared with those who wait, so that Forget may take an entry away under them.
    std::map<std::string, std::shared_ptr<Entry>> entries_;
};

}  // namespace hearth::lambda
