#include "hearth/cli/command.h"
#include "hearth/cli/commands.h"

#include <algorithm>

namespace hearth::cli {
namespace {

// A value of the health answer as one line.
std::string Shown(const codec::Json& value) {
    if (const auto* text = value.AsString()) {
        return *text;
    }
    if (const auto* array = value.AsArray()) {
        std::vector<std::string> parts;
        for (const auto& element : *array) {
            parts.push_back(Shown(element));
        }
        return parts.empty() ? "none" : fmt::format("{}", fmt::join(parts, ", "));
    }
    if (const auto* object = value.AsObject()) {
        std::vector<std::string> parts;
        for (const auto& member : *object) {
            parts.push_back(member.name + ": " + Shown(member.value));
        }
        return fmt::format("{}", fmt::join(parts, ", "));
    }
    return codec::WriteJson(value);
}

// "3 in us-east-1, 2 of them without a signature"; empty: none, or an older cloud.
std::string FunctionUrls(CloudClient& cloud) {
    const auto body = cloud.Admin("GET", "/_hearth/function-urls");
    const auto answer = body.ok() ? codec::ParseJson(*body) : codec::Json();
    const auto* urls = answer.ok() ? answer->Find("urls") : nullptr;
    if (urls == nullptr || urls->AsArray() == nullptr || urls->AsArray()->empty()) {
        return {};
    }
    const auto open = std::ranges::count_if(*urls->AsArray(), [](const codec::Json& url) {
        const auto* auth = url.FindString("auth");
        return auth != nullptr && *auth == "NONE";
    });
    return fmt::format(
        "{} in {}, {} of them without a signature", urls->AsArray()->size(), cloud.region(), open);
}

// "3 damaged: see `hearth s3 scrub --known`", or when all were whole; empty: not looked at yet.
std::string StoredObjects(CloudClient& cloud) {
    const auto body = cloud.Admin("GET", "/_hearth/s3/scrub");
    const auto answer = body.ok() ? codec::ParseJson(*body) : codec::Json();
    if (!answer.ok()) {
        return {};
    }
    const auto* count = answer->Find("damaged_count");
    if (count != nullptr && count->AsInt() != nullptr && *count->AsInt() > 0) {
        return fmt::format("{} damaged: see `hearth s3 scrub --known`", *count->AsInt());
    }
    const auto* finished = answer->FindString("finished");
    return finished == nullptr ? std::string() : "all whole on " + *finished;
}

// "3 waiting in 2 lanes, 1 of them with errors: see `hearth deliveries`"; empty: nothing waits, or
// an older cloud.
std::string Deliveries(CloudClient& cloud) {
    const auto body = cloud.Admin("GET", "/_hearth/deliveries");
    const auto answer = body.ok() ? codec::ParseJson(*body) : codec::Json();
    const auto* lanes = answer.ok() ? answer->Find("lanes") : nullptr;
    if (lanes == nullptr || lanes->AsArray() == nullptr || lanes->AsArray()->empty()) {
        return {};
    }
    int64_t pending = 0;
    int64_t in_trouble = 0;
    for (const auto& lane : *lanes->AsArray()) {
        const auto* count = lane.Find("pending");
        pending += count != nullptr && count->AsInt() != nullptr ? *count->AsInt() : 0;
        const auto* error = lane.FindString("last_error");
        in_trouble += error != nullptr && !error->empty() ? 1 : 0;
    }
    return fmt::format(
        "{} waiting in {} lanes, {} of them with errors: see `hearth deliveries`",
        pending,
        lanes->AsArray()->size(),
        in_trouble);
}

Result<int> Status(CloudClient& cloud, const CloudOptions& options) {
    // `status` says more than `health`, which needs no signature; an older cloud has only that.
    auto body = cloud.Admin("GET", "/_hearth/status");
    if (!body.ok() && body.error().kind() != Error::Kind::kUnavailable) {
        body = cloud.Admin("GET", "/_hearth/health");
    }
    HEARTH_TRY(const std::string text, std::move(body));
    HEARTH_TRY(const auto health, codec::ParseJson(text));
    if (options.json) {
        Print(Pretty(text) + "\n");
        return 0;
    }
    std::vector<std::vector<std::string>> rows = {{"endpoint", cloud.endpoint()}};
    if (const auto* members = health.AsObject()) {
        for (const auto& member : *members) {
            if (member.name != "endpoint") {
                rows.push_back({member.name, Shown(member.value)});
            }
        }
    }
    if (const auto urls = FunctionUrls(cloud); !urls.empty()) {
        rows.push_back({"function URLs", urls});
    }
    if (const auto objects = StoredObjects(cloud); !objects.empty()) {
        rows.push_back({"stored objects", objects});
    }
    if (const auto deliveries = Deliveries(cloud); !deliveries.empty()) {
        rows.push_back({"deliveries", deliveries});
    }
    Print(Table(rows));
    return 0;
}

}  // namespace

void AddStatusCommand(CLI::App* app, int* exit_status) {
    AddCloudCommand(app, "status", "Show whether the cloud runs and how", exit_status, Status);
}

}  // namespace hearth::cli
