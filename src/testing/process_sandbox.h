#pragma once

#include "sandbox/sandbox.h"

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace hearth::testing {

// Environments as plain processes, without any isolation and without a host process: for tests of
// what is built on the sandbox. A mount's target in argv, environment and working directory becomes
// its source. Freeze is SIGSTOP to the process group.
class ProcessSandbox final : public sandbox::Sandbox {
  public:
    ProcessSandbox();
    ~ProcessSandbox() override;

    Task<Result<std::unique_ptr<sandbox::Environment>>> Create(
        sandbox::EnvironmentSpec spec) override;

    const std::string& backend() const override { return backend_; }

    // Made and not destroyed yet; made in all.
    int live() const { return live_->load(); }

    int made() const { return made_.load(); }

    // The next `count` Creates fail.
    void FailNext(int count) { failing_ = count; }

  private:
    std::string backend_ = "process";
    std::shared_ptr<std::atomic<int>> live_;
    std::atomic<int> made_{0};
    std::atomic<int> failing_{0};
};

}  // namespace hearth::testing
