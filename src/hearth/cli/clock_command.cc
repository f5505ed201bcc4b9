#include "hearth/cli/command.h"
#include "hearth/cli/commands.h"

#include <CLI/CLI.hpp>

namespace hearth::cli {
namespace {

Result<int> Advance(CloudClient& cloud, const CloudOptions& options, const std::string& duration) {
    codec::Json input;
    input.Set("by", duration);
    HEARTH_TRY(
        const std::string body,
        cloud.Admin("POST", "/_hearth/clock/advance", codec::WriteJson(input)));
    if (options.json) {
        Print(Pretty(body) + "\n");
        return 0;
    }
    HEARTH_TRY(const auto answer, codec::ParseJson(body));
    if (const auto* now = answer.FindString("now")) {
        Print("the cloud's clock shows " + *now + "\n");
    }
    if (const auto* fired = answer.Find("fired"); fired != nullptr && fired->AsArray() != nullptr) {
        Print(fmt::format("{} timers fired\n", fired->AsArray()->size()));
        for (const auto& timer : *fired->AsArray()) {
            const auto* text = timer.AsString();
            Print("    " + (text != nullptr ? *text : codec::WriteJson(timer)) + "\n");
        }
    }
    const auto* attempts = answer.Find("deliveries");
    if (attempts != nullptr && attempts->AsObject() != nullptr) {
        for (const auto& kind : *attempts->AsObject()) {
            Print(fmt::format(
                "{} deliveries of {} were tried\n", codec::WriteJson(kind.value), kind.name));
        }
    }
    return 0;
}

}  // namespace

void AddClockCommand(CLI::App* app, int* exit_status) {
    CLI::App* clock = app->add_subcommand("clock", "The cloud's clock (hearth up --test-clock)");
    clock->require_subcommand(1);
    auto duration = std::make_shared<std::string>();
    CLI::App* advance = AddCloudCommand(
        clock,
        "advance",
        "Move the clock forward from due timer to due timer, and say what fired",
        exit_status,
        [duration](CloudClient& cloud, const CloudOptions& options) {
            return Advance(cloud, options, *duration);
        });
    advance->add_option("DURATION", *duration, "Such as 90d, 12h, 30m or 1d12h")->required();
}

}  // namespace hearth::cli
