#include "hearth/cli/command.h"

#include <algorithm>
#include <cstdio>

namespace hearth::cli {
namespace {

void AppendPretty(const codec::Json& value, size_t indent, std::string* out) {
    const std::string inner(indent + 4, ' ');
    if (const auto* object = value.AsObject(); object != nullptr && !object->empty()) {
        *out += "{\n";
        for (const auto& member : *object) {
            *out += inner;
            codec::AppendJsonString(*out, member.name);
            *out += ": ";
            AppendPretty(member.value, indent + 4, out);
            *out += &member == &object->back() ? "\n" : ",\n";
        }
        *out += std::string(indent, ' ') + "}";
    } else if (const auto* array = value.AsArray(); array != nullptr && !array->empty()) {
        *out += "[\n";
        for (const auto& element : *array) {
            *out += inner;
            AppendPretty(element, indent + 4, out);
            *out += &element == &array->back() ? "\n" : ",\n";
        }
        *out += std::string(indent, ' ') + "]";
    } else {
        *out += codec::WriteJson(value);
    }
}

// Characters, not bytes: continuation bytes of UTF-8 take no column.
size_t Width(const std::string& text) {
    return static_cast<size_t>(std::ranges::count_if(
        text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

}  // namespace

CLI::App* AddCloudCommand(
    CLI::App* app,
    const std::string& name,
    const std::string& description,
    int* exit_status,
    std::function<Result<int>(CloudClient&, const CloudOptions&)> run) {
    CLI::App* command = app->add_subcommand(name, description);
    // Shared by CLI11's option bindings and the callback, which live as long as the app.
    auto options = std::make_shared<CloudOptions>();
    command->add_option("--endpoint", options->endpoint, "URL of the cloud");
    command->add_option(
        "--data", options->data, "Its data directory, for the endpoint and credentials");
    command->add_option("--region", options->region, "AWS region (default us-east-1)");
    command->add_flag("--json", options->json, "Machine-readable output");
    command->callback([options, exit_status, run = std::move(run)] {
        CloudClient cloud(*options);
        auto status = run(cloud, *options);
        if (!status.ok()) {
            fmt::print(stderr, "hearth: {}\n", status.error().message());
            *exit_status = 1;
            return;
        }
        *exit_status = *status;
    });
    return command;
}

std::string Table(const std::vector<std::vector<std::string>>& rows) {
    std::vector<size_t> widths;
    for (const auto& row : rows) {
        widths.resize(std::max(widths.size(), row.size()));
        for (size_t column = 0; column < row.size(); ++column) {
            widths[column] = std::max(widths[column], Width(row[column]));
        }
    }
    std::string text;
    for (const auto& row : rows) {
        for (size_t column = 0; column < row.size(); ++column) {
            text += row[column];
            if (column + 1 < row.size()) {
                text += std::string(widths[column] - Width(row[column]) + 2, ' ');
            }
        }
        text += "\n";
    }
    return text;
}

std::string Pretty(const std::string& json) {
    const auto parsed = codec::ParseJson(json);
    if (!parsed.ok()) {
        return json;
    }
    std::string text;
    AppendPretty(*parsed, 0, &text);
    return text;
}

void Print(std::string_view text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
}

}  // namespace hearth::cli
