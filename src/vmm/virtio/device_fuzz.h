#pragma once

#include "vmm/virtio/fake_driver.h"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

// What the fuzz targets of devices share: a driver whose every move is read from the input.
namespace hearth::vmm::virtio {

class FuzzInput final {
  public:
    FuzzInput(const std::uint8_t* data, std::size_t size) : rest_(data, size) {}

    bool empty() const { return rest_.empty(); }

    template <class T>
    T Take() {
        T value{};
        const std::size_t bytes = std::min(sizeof(T), rest_.size());
        std::memcpy(&value, rest_.data(), bytes);
        rest_ = rest_.subspan(bytes);
        return value;
    }

    std::span<const std::byte> TakeBytes(std::size_t bytes) {
        const auto taken = rest_.first(std::min(bytes, rest_.size()));
        rest_ = rest_.subspan(taken.size());
        return std::as_bytes(taken);
    }

  private:
    std::span<const std::uint8_t> rest_;
};

// Plays the input as a driver that has negotiated well and behaves badly: offers chains of its
// choice, kicks, resets, reads and writes registers.
inline void PlayDriver(FakeDriver& driver, FuzzInput& input) {
    while (!input.empty()) {
        const auto move = input.Take<std::uint8_t>();
        const auto index = static_cast<std::uint16_t>((move >> 4) % driver.queues.size());
        FakeQueue& queue = driver.queues[index];
        switch (move & 15) {
            case 0: {
                // Registers and configuration.
                const auto offset = input.Take<std::uint16_t>() % 0x200U;
                driver.Write(offset, input.Take<std::uint32_t>());
                break;
            }
            case 1:
                driver.Start();
                break;
            case 2:
                driver.SetStatus(0);
                break;
            case 3:
                queue.SetIndex(input.Take<std::uint16_t>());
                break;
            case 4: {
                queue.SetDescriptor(
                    input.Take<std::uint8_t>(),
                    {input.Take<std::uint32_t>() % FakeDriver::kMemoryBytes,
                     input.Take<std::uint16_t>(),
                     static_cast<std::uint16_t>(input.Take<std::uint8_t>() & 7),
                     input.Take<std::uint8_t>()});
                break;
            }
            case 5:
                queue.Offer(input.Take<std::uint8_t>());
                break;
            case 6:
                driver.Run();
                break;
            case 7:
                driver.Kick(index);
                break;
            case 8:
            case 9:
            case 10:
            case 11: {
                // Room for answers.
                driver.FreeAll();
                const auto bytes = static_cast<std::uint32_t>(input.Take<std::uint16_t>() + 1);
                queue.Add({{driver.Allocate(bytes), bytes, kDescWrite}});
                driver.Kick(index);
                break;
            }
            default: {
                // A request of any content, with room for an answer.
                driver.FreeAll();
                const auto content = input.TakeBytes(input.Take<std::uint8_t>() + 1U);
                std::vector<FakeDescriptor> chain;
                if (!content.empty()) {
                    chain.push_back(
                        {driver.Put(content), static_cast<std::uint32_t>(content.size())});
                }
                if ((move & 1) != 0) {
                    const auto bytes = static_cast<std::uint32_t>(input.Take<std::uint16_t>() + 1);
                    chain.push_back({driver.Allocate(bytes), bytes, kDescWrite});
                }
                if (!chain.empty()) {
                    queue.Add(chain);
                    driver.Kick(index);
                }
                break;
            }
        }
    }
    driver.Run();
}

}  // namespace hearth::vmm::virtio
