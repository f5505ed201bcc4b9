#include "hearth/cli/cloud_client.h"

#include "hearth/cli/s3_names.h"
#include "hearth/keeper/options.h"
#include "hearth/keeper/ready_text.h"

#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <sstream>

namespace hearth::cli {
namespace {

constexpr const char* kDefaultEndpoint = "http://127.0.0.1:4566";
// A function may run for 15 minutes before its caller hears from it.
constexpr std::chrono::milliseconds kReadTimeout{16 * 60 * 1000};

std::string FromEnvironment(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? std::string() : std::string(value);
}

std::string FirstOf(std::initializer_list<std::string> candidates) {
    for (const auto& candidate : candidates) {
        if (!candidate.empty()) {
            return candidate;
        }
    }
    return {};
}

std::string FirstLine(const std::string& path) {
    std::ifstream file(path);
    std::string line;
    std::getline(file, line);
    return line;
}

// The first profile of an AWS credentials file.
Keys ReadCredentials(const std::string& path) {
    std::ifstream file(path);
    Keys keys;
    for (std::string line; std::getline(file, line);) {
        const size_t equals = line.find('=');
        if (equals == std::string::npos) {
            continue;
        }
        const auto trimmed = [](const std::string& text) {
            const size_t begin = text.find_first_not_of(" \t\r");
            const size_t end = text.find_last_not_of(" \t\r");
            return begin == std::string::npos ? std::string() : text.substr(begin, end - begin + 1);
        };
        const std::string name = trimmed(line.substr(0, equals));
        const std::string value = trimmed(line.substr(equals + 1));
        if (name == "aws_access_key_id") {
            keys.access_key_id = value;
        } else if (name == "aws_secret_access_key") {
            keys.secret_access_key = value;
        }
    }
    return keys;
}

// What AWS says in its errors: {"__type": ..., "message"|"Message": ...}, the code perhaps in a
// header.
std::string DescribeError(const http::ClientResponse& response) {
    std::string code;
    std::string message;
    if (const auto* header = response.Find("x-amzn-errortype")) {
        code = header->substr(0, header->find(':'));
    }
    // S3's: <Error><Code>...</Code><Message>...</Message>
    size_t at = 0;
    if (const auto element = Element(response.body, "Code", at)) {
        code = *element;
        at = 0;
        message = Element(response.body, "Message", at).value_or("");
    }
    if (auto parsed = codec::ParseJson(response.body); parsed.ok()) {
        for (const char* name : {"message", "Message"}) {
            if (const auto* text = parsed->FindString(name)) {
                message = *text;
            }
        }
        if (const auto* type = parsed->FindString("__type"); type != nullptr && code.empty()) {
            code = type->substr(type->find('#') == std::string::npos ? 0 : type->find('#') + 1);
        }
    }
    if (code.empty() && message.empty()) {
        return fmt::format("status {}: {}", response.status, response.body.substr(0, 500));
    }
    return code.empty() ? message : code + ": " + message;
}

}  // namespace

CloudClient::CloudClient(const CloudOptions& options) {
    data_ = FirstOf({options.data, FromEnvironment("HEARTH_DATA"), keeper::DefaultDataDirectory()});
    endpoint_ = FirstOf(
        {options.endpoint,
         FromEnvironment("HEARTH_ENDPOINT"),
         FirstLine(data_ + "/" + keeper::kEndpointFile),
         kDefaultEndpoint});
    region_ = FirstOf(
        {options.region,
         FromEnvironment("AWS_REGION"),
         FromEnvironment("AWS_DEFAULT_REGION"),
         "us-east-1"});
    keys_ = ReadCredentials(data_ + "/credentials");
    if (keys_.access_key_id.empty()) {
        keys_ = {
            FirstOf({FromEnvironment("AWS_ACCESS_KEY_ID"), "000000000000"}),
            FirstOf({FromEnvironment("AWS_SECRET_ACCESS_KEY"), "hearth"}),
            FromEnvironment("AWS_SESSION_TOKEN")};
    }
    std::string rest = endpoint_;
    tls_ = rest.starts_with("https://");
    if (const size_t scheme = rest.find("://"); scheme != std::string::npos) {
        rest = rest.substr(scheme + 3);
    }
    rest = rest.substr(0, rest.find('/'));
    port_ = tls_ ? 443 : 80;
    host_ = rest;
    if (const size_t colon = rest.rfind(':');
        colon != std::string::npos && rest.find(']', colon) == std::string::npos) {
        std::from_chars(rest.data() + colon + 1, rest.data() + rest.size(), port_);
        host_ = rest.substr(0, colon);
    }
    http::BlockingClient::Options client;
    client.host = host_.starts_with('[') ? host_.substr(1, host_.size() - 2) : host_;
    client.port = port_;
    client.read_timeout = kReadTimeout;
    client.tls = tls_;
    client.ca_file = ca_file();
    client_.emplace(client);
}

std::string CloudClient::ca_file() const {
    const std::string path = data_ + "/ca.pem";
    return tls_ && ::access(path.c_str(), R_OK) == 0 ? path : std::string();
}

Result<http::ClientResponse> CloudClient::Send(
    const std::string& service,
    http::ClientRequest request,
    const std::function<bool(std::string_view)>* piece) {
    SignRequest(
        keys_, service, region_, fmt::format("{}:{}", host_, port_), std::time(nullptr), &request);
    auto response =
        piece != nullptr ? client_->CallStreaming(request, *piece) : client_->Call(request);
    if (!response.ok()) {
        return errors::Unavailable(fmt::format(
            "no answer from {}: {} (is `hearth up` running? --endpoint names another)",
            endpoint_,
            response.error().message()));
    }
    if (response->status / 100 != 2) {
        return errors::Malformed(DescribeError(*response));
    }
    return response;
}

Result<http::ClientResponse> CloudClient::Rest(
    const std::string& service,
    const std::string& method,
    const std::string& target,
    const std::string& body,
    const std::vector<std::pair<std::string, std::string>>& headers) {
    http::ClientRequest request;
    request.method = method;
    request.target = target;
    request.body = body;
    request.headers = headers;
    return Send(service, std::move(request));
}

Result<codec::Json> CloudClient::Json11(
    const std::string& service, const std::string& target, const codec::Json& input) {
    HEARTH_TRY(
        const auto response,
        Rest(
            service,
            "POST",
            "/",
            codec::WriteJson(input),
            {{"Content-Type", "application/x-amz-json-1.1"}, {"X-Amz-Target", target}}));
    return codec::ParseJson(response.body.empty() ? "{}" : response.body);
}

Result<std::string> CloudClient::Admin(
    const std::string& method, const std::string& target, const std::string& body) {
    HEARTH_TRY(
        auto response,
        Rest("hearth", method, target, body, {{"Content-Type", "application/json"}}));
    return std::move(response.body);
}

Status CloudClient::RestStream(
    const std::string& service,
    const std::string& target,
    const std::function<bool(std::string_view)>& piece,
    const std::string& method) {
    http::ClientRequest request;
    request.method = method;
    request.target = target;
    HEARTH_RETURN_IF_ERROR(Send(service, std::move(request), &piece));
    return Status();
}

Status CloudClient::AdminStream(
    const std::string& target,
    const std::function<bool(std::string_view)>& piece,
    const std::string& method) {
    return RestStream("hearth", target, piece, method);
}

std::string Encoded(std::string_view text) {
    std::string encoded;
    for (const char c : text) {
        if (std::isalnum(static_cast<unsigned char>(c)) != 0 ||
            std::string_view("-_.~").find(c) != std::string_view::npos) {
            encoded += c;
        } else {
            encoded += fmt::format("%{:02X}", static_cast<unsigned char>(c));
        }
    }
    return encoded;
}

}  // namespace hearth::cli
