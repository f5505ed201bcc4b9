#pragma once

#include "vmm/event/bus.h"

#include <functional>

namespace hearth::vmm {

// A byte of the guest's memory-mapped addresses: writing 123 there says that its init runs. Calls
// back each time; on the vCPU's thread.
class BootTimer final : public BusDevice {
  public:
    static constexpr std::byte kBooted{123};

    explicit BootTimer(std::function<void()> booted) : booted_(std::move(booted)) {}

    void Read(std::uint64_t, std::span<std::byte>) override {}

    void Write(std::uint64_t offset, std::span<const std::byte> data) override {
        if (offset == 0 && data.size() == 1 && data[0] == kBooted) {
            booted_();
        }
    }

  private:
    std::function<void()> booted_;
};

}  // namespace hearth::vmm
