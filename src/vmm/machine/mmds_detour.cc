#include "vmm/machine/mmds_detour.h"

#include "vmm/mmds/mmds_stack.h"

#include <chrono>

namespace hearth::vmm {
namespace {

std::uint64_t MonotonicNanoseconds() {
    return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                          std::chrono::steady_clock::now().time_since_epoch())
                                          .count());
}

class MmdsDetour final : public virtio::FrameDetour {
  public:
    explicit MmdsDetour(std::shared_ptr<MmdsDataStore> store)
        : stack_(std::move(store), MonotonicNanoseconds) {}

    bool Take(std::span<const std::byte> frame) override { return stack_.Detour(frame); }

    std::vector<std::byte> Next() override {
        return stack_.NextFrame().value_or(std::vector<std::byte>());
    }

    std::optional<std::uint64_t> NextDeadline() const override { return stack_.NextDeadline(); }

  private:
    MmdsStack stack_;
};

}  // namespace

std::shared_ptr<virtio::FrameDetour> MakeMmdsDetour(std::shared_ptr<MmdsDataStore> store) {
    return std::make_shared<MmdsDetour>(std::move(store));
}

}  // namespace hearth::vmm
