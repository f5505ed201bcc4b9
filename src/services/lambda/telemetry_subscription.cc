#include "services/lambda/telemetry_subscription.h"

#include "codec/json/json.h"
#include "sandbox/protocol/init_protocol.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace hearth::lambda {

namespace {

constexpr size_t kUriBytesMax = 2048;

struct SchemaName {
    std::string_view name;
    TelemetrySchema schema;
};

constexpr std::array<SchemaName, 2> kLogsSchemas = {
    SchemaName{"2020-08-15", TelemetrySchema::kLogs20200815},
    SchemaName{"2021-03-18", TelemetrySchema::kLogs20210318}};
constexpr std::array<SchemaName, 3> kTelemetrySchemas = {
    SchemaName{"2022-07-01", TelemetrySchema::kTelemetry20220701},
    SchemaName{"2022-12-13", TelemetrySchema::kTelemetry20221213},
    SchemaName{"2025-01-29", TelemetrySchema::kTelemetry20250129}};

class Reader final {
  public:
    Reader(bool logs_api, const codec::Json& json) : logs_api_(logs_api), json_(json) {}

    Result<TelemetrySubscription> Read() {
        ReadSchema();
        ReadTypes();
        ReadDestination();
        ReadBuffering();
        if (!problems_.empty()) {
            return errors::Malformed(problems_);
        }
        return std::move(subscription_);
    }

  private:
    void Problem(std::string_view text) {
        if (!problems_.empty()) {
            problems_ += "; ";
        }
        problems_ += text;
    }

    void ReadSchema() {
        const codec::Json* given = json_.Find("schemaVersion");
        if (given == nullptr) {
            if (logs_api_) {
                subscription_.schema = TelemetrySchema::kLogs20200815;
            } else {
                Problem("schemaVersion is not provided");
            }
            return;
        }
        const std::string* name = given->AsString();
        const auto take = [&](const auto& schemas) {
            for (const SchemaName& one : schemas) {
                if (name != nullptr && *name == one.name) {
                    subscription_.schema = one.schema;
                    return true;
                }
            }
            return false;
        };
        if (!(logs_api_ ? take(kLogsSchemas) : take(kTelemetrySchemas))) {
            Problem("schemaVersion is not supported");
        }
    }

    void ReadTypes() {
        const codec::Json* given = json_.Find("types");
        const auto* list = given == nullptr ? nullptr : given->AsArray();
        if (list == nullptr || list->empty()) {
            Problem("types should not be empty");
            return;
        }
        static constexpr std::array<std::string_view, 3> kNames = {
            "platform", "function", "extension"};
        for (const codec::Json& one : *list) {
            const std::string* name = one.AsString();
            const auto found =
                name == nullptr ? kNames.end() : std::find(kNames.begin(), kNames.end(), *name);
            if (found == kNames.end()) {
                Problem("types should be platform, function or extension");
                return;
            }
            bool& wanted = subscription_.streams[static_cast<size_t>(found - kNames.begin())];
            if (!std::exchange(wanted, true)) {
                subscription_.types.push_back(*name);
            }
        }
    }

    void ReadDestination() {
        const codec::Json* destination = json_.Find("destination");
        if (destination == nullptr || !destination->is_object()) {
            Problem("destination is not provided");
            return;
        }
        const std::string* protocol = destination->FindString("protocol");
        if (protocol == nullptr || (*protocol != "HTTP" && *protocol != "TCP")) {
            Problem("protocol should be HTTP or TCP");
            return;
        }
        if (const codec::Json* encoding = destination->Find("encoding")) {
            const std::string* name = encoding->AsString();
            if (name == nullptr || *name != "JSON") {
                Problem("encoding should be JSON");
            }
        }
        subscription_.tcp = *protocol == "TCP";
        if (subscription_.tcp) {
            const codec::Json* port = destination->Find("port");
            const int64_t* number = port == nullptr ? nullptr : port->AsInt();
            if (number == nullptr || *number < 1 || *number > 65'535) {
                Problem("port is not provided");
                return;
            }
            TakePort(static_cast<uint16_t>(*number));
            return;
        }
        if (const codec::Json* method = destination->Find("method")) {
            const std::string* name = method->AsString();
            if (name == nullptr || (*name != "POST" && *name != "PUT")) {
                Problem("method should be POST or PUT");
            } else {
                subscription_.method = *name;
            }
        }
        const std::string* uri = destination->FindString("URI");
        if (uri == nullptr || uri->empty()) {
            Problem("URI is not provided");
            return;
        }
        ReadUri(*uri);
    }

    void TakePort(uint16_t port) {
        if (port == sandbox::kRuntimeApiPort) {
            Problem("port 9001 is reserved");
        }
        subscription_.port = port;
    }

    void ReadUri(std::string_view uri) {
        constexpr std::string_view scheme = "http://";
        if (!uri.starts_with(scheme) || uri.size() > kUriBytesMax ||
            std::any_of(
                uri.begin(), uri.end(), [](unsigned char c) { return c <= 0x20 || c >= 0x7F; })) {
            Problem("URI should be of the form http://sandbox.localdomain:PORT/PATH");
            return;
        }
        uri.remove_prefix(scheme.size());
        const size_t slash = std::min(uri.find_first_of("/?#"), uri.size());
        const std::string_view authority = uri.substr(0, slash);
        std::string_view path = uri.substr(slash);
        path = path.substr(0, path.find('#'));
        const size_t colon = authority.find(':');
        const std::string_view host = authority.substr(0, colon);
        if (host != "sandbox.localdomain" && host != "sandbox") {
            Problem("URI host should be sandbox.localdomain");
            return;
        }
        unsigned port = 0;
        if (colon != std::string_view::npos) {
            const std::string_view digits = authority.substr(colon + 1);
            const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), port);
            if (parsed.ec != std::errc() || parsed.ptr != digits.data() + digits.size()) {
                port = 0;
            }
        }
        if (port == 0 || port > 65'535) {
            Problem("URI port is not provided");
            return;
        }
        TakePort(static_cast<uint16_t>(port));
        subscription_.host = host;
        if (!path.empty()) {
            subscription_.path = path.front() == '/' ? std::string(path) : "/" + std::string(path);
        }
    }

    void ReadBuffering() {
        const codec::Json* buffering = json_.Find("buffering");
        if (buffering == nullptr || buffering->is_null()) {
            return;
        }
        if (!buffering->is_object()) {
            Problem("buffering should be an object");
            return;
        }
        ReadLimit(*buffering, "maxItems", 1000, 10'000, subscription_.items_max);
        ReadLimit(*buffering, "maxBytes", 262'144, 1'048'576, subscription_.bytes_max);
        size_t timeout_ms = static_cast<size_t>(subscription_.timeout.count());
        ReadLimit(*buffering, "timeoutMs", 25, 30'000, timeout_ms);
        subscription_.timeout = std::chrono::milliseconds(timeout_ms);
    }

    void ReadLimit(
        const codec::Json& buffering, const char* name, int64_t min, int64_t max, size_t& value) {
        const codec::Json* given = buffering.Find(name);
        if (given == nullptr || given->is_null()) {
            return;
        }
        const int64_t* number = given->AsInt();
        if (number == nullptr || *number < min || *number > max) {
            Problem(fmt::format("{} should be between {} and {}", name, min, max));
            return;
        }
        value = static_cast<size_t>(*number);
    }

    bool logs_api_;
    const codec::Json& json_;
    TelemetrySubscription subscription_;
    std::string problems_;
};

}  // namespace

Result<TelemetrySubscription> ParseTelemetrySubscription(bool logs_api, std::string_view body) {
    auto json = codec::ParseJson(body, {.depth_max = 8, .values_max = 1000});
    if (!json.ok()) {
        return errors::Malformed("failed to parse JSON: " + json.error().message());
    }
    if (!json->is_object()) {
        return errors::Malformed("the request should be a JSON object");
    }
    return Reader(logs_api, *json).Read();
}

}  // namespace hearth::lambda
