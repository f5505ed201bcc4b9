#include "hearth/cli/command.h"
#include "hearth/cli/commands.h"

namespace hearth::cli {
namespace {

std::string Text(const codec::Json& function, std::string_view name) {
    const auto* value = function.Find(name);
    if (value == nullptr || value->is_null()) {
        return "-";
    }
    const auto* text = value->AsString();
    return text != nullptr ? *text : codec::WriteJson(*value);
}

Result<codec::Json::Array> AllFunctions(CloudClient& cloud) {
    codec::Json::Array all;
    std::string marker;
    do {
        HEARTH_TRY(
            const auto response,
            cloud.Rest(
                "lambda",
                "GET",
                "/2015-03-31/functions/" + (marker.empty() ? "" : "?Marker=" + Encoded(marker))));
        HEARTH_TRY(const auto page, codec::ParseJson(response.body));
        if (const auto* functions = page.Find("Functions"); functions != nullptr) {
            if (const auto* array = functions->AsArray()) {
                all.insert(all.end(), array->begin(), array->end());
            }
        }
        const auto* next = page.FindString("NextMarker");
        marker = next != nullptr ? *next : std::string();
    } while (!marker.empty());
    return all;
}

Result<int> Functions(CloudClient& cloud, const CloudOptions& options) {
    HEARTH_TRY(auto functions, AllFunctions(cloud));
    if (options.json) {
        Print(Pretty(codec::WriteJson(codec::Json(std::move(functions)))) + "\n");
        return 0;
    }
    if (functions.empty()) {
        Print("no functions in " + cloud.region() + "\n");
        return 0;
    }
    std::vector<std::vector<std::string>> rows = {
        {"NAME", "RUNTIME", "HANDLER", "MEMORY", "TIMEOUT", "CODE BYTES", "CHANGED"}};
    for (const auto& function : functions) {
        rows.push_back(
            {Text(function, "FunctionName"),
             Text(function, "Runtime"),
             Text(function, "Handler"),
             Text(function, "MemorySize"),
             Text(function, "Timeout"),
             Text(function, "CodeSize"),
             Text(function, "LastModified")});
    }
    Print(Table(rows));
    return 0;
}

}  // namespace

void AddFunctionsCommand(CLI::App* app, int* exit_status) {
    AddCloudCommand(app, "functions", "List the functions", exit_status, Functions);
}

}  // namespace hearth::cli
