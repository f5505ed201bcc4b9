#include "codec/uri/uri.h"
#include "hearth/cli/command.h"
#include "hearth/cli/commands.h"

#include <CLI/CLI.hpp>

namespace hearth::cli {
namespace {

struct Choice {
    std::string kind;
    std::string lane;
};

std::string Cell(const codec::Json& lane, std::string_view name) {
    const auto* value = lane.Find(name);
    if (value == nullptr || value->is_null()) {
        return "-";
    }
    const auto* text = value->AsString();
    const std::string shown = text != nullptr ? *text : codec::WriteJson(*value);
    return shown.empty() ? "-" : shown;
}

Result<int> Deliveries(CloudClient& cloud, const CloudOptions& options, const Choice& choice) {
    const std::string target = fmt::format(
        "/_hearth/deliveries?kind={}&lane={}",
        codec::PercentEncode(choice.kind),
        codec::PercentEncode(choice.lane));
    HEARTH_TRY(const std::string body, cloud.Admin("GET", target));
    if (options.json) {
        Print(Pretty(body) + "\n");
        return 0;
    }
    HEARTH_TRY(const auto answer, codec::ParseJson(body));
    const auto* lanes = answer.Find("lanes");
    if (lanes == nullptr || lanes->AsArray() == nullptr || lanes->AsArray()->empty()) {
        Print("nothing waits to be delivered\n");
        return 0;
    }
    std::vector<std::vector<std::string>> rows = {
        {"KIND", "LANE", "PENDING", "RUNNING", "OLDEST", "NEXT DUE", "HELD UNTIL", "LAST ERROR"}};
    for (const auto& lane : *lanes->AsArray()) {
        const auto* exact = lane.Find("pending_exact");
        const bool at_least = exact != nullptr && exact->AsBool() != nullptr && !*exact->AsBool();
        rows.push_back(
            {Cell(lane, "kind"),
             Cell(lane, "lane"),
             Cell(lane, "pending") + (at_least ? "+" : ""),
             Cell(lane, "running"),
             Cell(lane, "oldest_accepted"),
             Cell(lane, "next_due"),
             Cell(lane, "held_until"),
             Cell(lane, "last_error")});
    }
    Print(Table(rows));
    return 0;
}

}  // namespace

void AddDeliveriesCommand(CLI::App* app, int* exit_status) {
    auto choice = std::make_shared<Choice>();
    CLI::App* deliveries = AddCloudCommand(
        app,
        "deliveries",
        "Show what waits to be delivered: asynchronous invocations, notifications",
        exit_status,
        [choice](CloudClient& cloud, const CloudOptions& options) {
            return Deliveries(cloud, options, *choice);
        });
    deliveries->add_option("--kind", choice->kind, "Only this kind, such as lambda-async");
    deliveries->add_option("LANE", choice->lane, "Only lanes with this in their name");
}

}  // namespace hearth::cli
