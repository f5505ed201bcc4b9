#include "hearth/cli/command.h"
#include "hearth/cli/commands.h"

#include <fmt/ranges.h>

#include <map>
#include <set>

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

// What runs each runtime id here, as far as it is not the very one: "python3.12" -> "python:3.11".
std::map<std::string, std::string> Substitutes(
    CloudClient& cloud, const codec::Json::Array& functions) {
    std::set<std::string> names;
    for (const auto& function : functions) {
        if (const auto* runtime = function.FindString("Runtime")) {
            names.insert(*runtime);
        }
    }
    std::map<std::string, std::string> substitutes;
    const auto body = cloud.Admin(
        "GET", "/_hearth/runtimes?names=" + Encoded(fmt::format("{}", fmt::join(names, ","))));
    const auto answer = body.ok() ? codec::ParseJson(*body) : codec::Json();
    const auto* runtimes = answer.ok() ? answer->Find("runtimes") : nullptr;
    if (runtimes == nullptr || runtimes->AsArray() == nullptr) {
        return substitutes;
    }
    for (const auto& one : *runtimes->AsArray()) {
        const auto* name = one.FindString("runtime");
        const auto* note = one.FindString("note");
        const auto* version = one.FindString("version");
        if (name != nullptr && one.FindString("error") != nullptr) {
            substitutes.emplace(*name, "no interpreter");
        } else if (name != nullptr && note != nullptr && version != nullptr && !note->empty()) {
            substitutes.emplace(*name, "runs on " + *version);
        }
    }
    return substitutes;
}

// An older cloud has no function URLs.
codec::Json::Array AllUrls(CloudClient& cloud) {
    const auto body = cloud.Admin("GET", "/_hearth/function-urls");
    auto answer = body.ok() ? codec::ParseJson(*body) : codec::Json();
    const auto* urls = answer.ok() ? answer->Find("urls") : nullptr;
    return urls != nullptr && urls->is_array() ? *urls->AsArray() : codec::Json::Array();
}

void PrintUrls(const codec::Json::Array& urls) {
    std::vector<std::vector<std::string>> rows = {{"FUNCTION URL OF", "AUTH", "MODE", "URL"}};
    for (const auto& url : urls) {
        const std::string alias = Text(url, "alias");
        rows.push_back(
            {Text(url, "function") + (alias.empty() ? "" : ":" + alias),
             Text(url, "auth"),
             Text(url, "mode"),
             Text(url, "url")});
    }
    Print("\n" + Table(rows));
}

// An older cloud has no snapshots.
codec::Json::Array AllSnapshots(CloudClient& cloud) {
    const auto body = cloud.Admin("GET", "/_hearth/snapshots");
    auto answer = body.ok() ? codec::ParseJson(*body) : codec::Json();
    const auto* versions = answer.ok() ? answer->Find("versions") : nullptr;
    return versions != nullptr && versions->is_array() ? *versions->AsArray()
                                                       : codec::Json::Array();
}

void PrintSnapshots(const codec::Json::Array& versions) {
    std::vector<std::vector<std::string>> rows = {
        {"SNAPSTART OF", "STATE", "SNAPSHOT", "BYTES", "WHY NOT"}};
    for (const auto& version : versions) {
        const std::string reason = Text(version, "reason");
        rows.push_back(
            {Text(version, "function") + ":" + Text(version, "version"),
             Text(version, "state"),
             Text(version, "optimization"),
             Text(version, "image_bytes"),
             reason.empty() ? "-" : reason});
    }
    Print("\n" + Table(rows));
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
    const auto substitutes = Substitutes(cloud, functions);
    for (const auto& function : functions) {
        std::string runtime = Text(function, "Runtime");
        if (const auto found = substitutes.find(runtime); found != substitutes.end()) {
            runtime += " (" + found->second + ")";
        }
        rows.push_back(
            {Text(function, "FunctionName"),
             std::move(runtime),
             Text(function, "Handler"),
             Text(function, "MemorySize"),
             Text(function, "Timeout"),
             Text(function, "CodeSize"),
             Text(function, "LastModified")});
    }
    Print(Table(rows));
    if (const auto urls = AllUrls(cloud); !urls.empty()) {
        PrintUrls(urls);
    }
    if (const auto versions = AllSnapshots(cloud); !versions.empty()) {
        PrintSnapshots(versions);
    }
    return 0;
}

}  // namespace

void AddFunctionsCommand(CLI::App* app, int* exit_status) {
    AddCloudCommand(app, "functions", "List the functions", exit_status, Functions);
}

}  // namespace hearth::cli
