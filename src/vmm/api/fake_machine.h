#pragma once

#include "vmm/api/controller.h"

#include <string>
#include <vector>

namespace hearth::vmm {

// A machine for tests that only writes down what it is told.
struct FakeMachineLog {
    std::vector<std::string> told;
    std::optional<Error> fail_with;
};

class FakeMachine final : public RunningMachine {
  public:
    explicit FakeMachine(FakeMachineLog& log) : log_(log) {}

    Status Pause() override { return Told("pause"); }

    Status Resume() override { return Told("resume"); }

    Status SendCtrlAltDel() override { return Told("ctrl-alt-del"); }

    Status UpdateDrive(const DriveUpdate& update) override {
        return Told("drive " + update.drive_id);
    }

    Status UpdateNetworkInterface(const NetworkInterfaceUpdate& update) override {
        return Told("interface " + update.iface_id);
    }

    Status UpdateBalloon(std::uint32_t amount_mib) override {
        return Told("balloon " + std::to_string(amount_mib));
    }

    Status UpdateBalloonStatistics(std::uint16_t interval_s) override {
        return Told("statistics " + std::to_string(interval_s));
    }

    Result<BalloonStatistics> ReadBalloonStatistics() override {
        BalloonStatistics statistics;
        statistics.target_pages = 5;
        statistics.free_memory = 6;
        return statistics;
    }

  private:
    Status Told(std::string what) {
        if (log_.fail_with) {
            return *log_.fail_with;
        }
        log_.told.push_back(std::move(what));
        return {};
    }

    FakeMachineLog& log_;
};

}  // namespace hearth::vmm
