#include "hearth/cli/command.h"
#include "hearth/cli/commands.h"

#include <CLI/CLI.hpp>

namespace hearth::cli {
namespace {

// "90d", "12h", "30m", "45s" or a sum such as "1d12h"; in milliseconds, the clock's own unit.
Result<int64_t> ParseDurationMs(const std::string& text) {
    int64_t total_ms = 0;
    size_t at = 0;
    while (at < text.size()) {
        int64_t number = 0;
        const size_t begin = at;
        for (; at < text.size() && std::isdigit(static_cast<unsigned char>(text[at])) != 0; ++at) {
            number = number * 10 + (text[at] - '0');
            if (number > 1'000'000'000) {
                return errors::Malformed(text + ": too long");
            }
        }
        constexpr std::pair<char, int64_t> kUnits[] = {
            {'s', 1'000}, {'m', 60'000}, {'h', 3'600'000}, {'d', 86'400'000}};
        const auto* unit = std::ranges::find(
            kUnits, at < text.size() ? text[at] : '\0', &std::pair<char, int64_t>::first);
        if (at == begin || unit == std::end(kUnits)) {
            return errors::Malformed(text + ": expected a duration such as 90d, 12h, 30m or 1d12h");
        }
        total_ms += number * unit->second;
        ++at;
    }
    if (total_ms == 0) {
        return errors::Malformed("expected a duration such as 90d, 12h or 30m");
    }
    return total_ms;
}

Result<int> Advance(CloudClient& cloud, const CloudOptions& options, const std::string& duration) {
    HEARTH_TRY(const int64_t advance_ms, ParseDurationMs(duration));
    codec::Json input;
    input.Set("milliseconds", advance_ms);
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
