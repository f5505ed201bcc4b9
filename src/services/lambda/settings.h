#pragma once

#include "base/result.h"
#include "services/lambda/function_record.h"

#include "gen/lambda/types_fwd.gen.h"

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// From the members of CreateFunction and UpdateFunctionConfiguration to a FunctionRecord and from
// there to what the API shows. Pure: no I/O.
namespace hearth::lambda {

#if defined(__aarch64__)
inline constexpr std::string_view kMachineArchitecture = "arm64";
#else
inline constexpr std::string_view kMachineArchitecture = "x86_64";
#endif

struct SettingsMode {
    // What Hearth cannot honour is kept and named instead of refused.
    bool lenient = false;
    // Environments can be saved here, so SnapStart means something.
    bool snapshots = false;
    // SnapStart is for what AWS has it for, and refused for the rest.
    bool snapstart_as_aws = false;
    // The machine's: "x86_64" or "arm64".
    std::string_view architecture = kMachineArchitecture;
};

// Applies a request's configuration to `record` (of create: with its defaults in place). Names of
// settings that were accepted but will not be honoured are added to `ignored`.
//   errors  InvalidParameterValueException, with AWS's texts; for what Hearth does not have, with
//   its own.
Status ApplySettings(
    const model::CreateFunctionRequest& request,
    const SettingsMode& mode,
    FunctionRecord& record,
    std::vector<std::string>& ignored);
Status ApplySettings(
    const model::UpdateFunctionConfigurationRequest& request,
    const SettingsMode& mode,
    FunctionRecord& record,
    std::vector<std::string>& ignored);

Status ApplyArchitectures(
    const std::optional<std::vector<std::string>>& architectures,
    const SettingsMode& mode,
    FunctionRecord& record,
    std::vector<std::string>& ignored);

// Adds `added` to `tags` under AWS's rules.
Status AddTags(
    const std::map<std::string, std::string>& added, std::map<std::string, std::string>& tags);

// At which moment a configuration is shown: AWS leaves State out of lists, and answers changes with
// the state before they are done.
enum class Shown { kSettled, kCreating, kUpdating, kInList };

// `qualifier` ends the ARN: a version, an alias, or empty.
model::FunctionConfiguration ShowConfiguration(
    const FunctionRecord& record, std::string_view qualifier, Shown shown);

// Names the build of its runtime that a version runs on. There is one for each runtime: the
// interpreter of this machine.
std::string RuntimeVersionArn(const FunctionRecord& record);

// 2026-01-31T10:00:00.123+0000
std::string LambdaTimestamp(WallClock::time_point time);

}  // namespace hearth::lambda
