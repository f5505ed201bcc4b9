#include "hearth/cli/sign_request.h"

#include "codec/crypto/crypto.h"

#include <fmt/chrono.h>

#include <algorithm>
#include <map>
#include <vector>

namespace hearth::cli {
namespace {

std::string LowerCase(std::string text) {
    std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::tolower(c); });
    return text;
}

// Path segments are encoded once more for every service but S3.
std::string CanonicalPath(std::string_view path) {
    std::string encoded;
    for (const char c : path) {
        if (std::isalnum(static_cast<unsigned char>(c)) != 0 ||
            std::string_view("/-_.~").find(c) != std::string_view::npos) {
            encoded += c;
        } else {
            encoded += fmt::format("%{:02X}", static_cast<unsigned char>(c));
        }
    }
    return encoded;
}

std::string CanonicalQuery(std::string_view query) {
    std::vector<std::string> parts;
    while (!query.empty()) {
        const size_t end = std::min(query.find('&'), query.size());
        std::string part(query.substr(0, end));
        parts.push_back(part.find('=') == std::string::npos ? part + "=" : part);
        query.remove_prefix(std::min(end + 1, query.size()));
    }
    std::ranges::sort(parts);
    return fmt::format("{}", fmt::join(parts, "&"));
}

}  // namespace

void SignRequest(
    const Keys& keys,
    const std::string& service,
    const std::string& region,
    const std::string& host,
    std::time_t now,
    http::ClientRequest* request) {
    const std::string date_time = fmt::format("{:%Y%m%dT%H%M%SZ}", fmt::gmtime(now));
    const std::string date = date_time.substr(0, 8);
    const std::string body_hash = codec::Sha256Hex(request->body);
    request->headers.emplace_back("Host", host);
    request->headers.emplace_back("X-Amz-Date", date_time);
    request->headers.emplace_back("X-Amz-Content-Sha256", body_hash);
    if (!keys.session_token.empty()) {
        request->headers.emplace_back("X-Amz-Security-Token", keys.session_token);
    }
    std::map<std::string, std::string> signed_headers;
    for (const auto& [name, value] : request->headers) {
        signed_headers[LowerCase(name)] = value;
    }
    std::string canonical_headers;
    std::string names;
    for (const auto& [name, value] : signed_headers) {
        canonical_headers += name + ":" + value + "\n";
        names += (names.empty() ? "" : ";") + name;
    }
    const std::string_view target = request->target;
    const size_t question = target.find('?');
    const std::string_view query =
        question == std::string_view::npos ? std::string_view() : target.substr(question + 1);
    const std::string canonical = fmt::format(
        "{}\n{}\n{}\n{}\n{}\n{}",
        request->method,
        service == "s3" ? std::string(target.substr(0, question))
                        : CanonicalPath(target.substr(0, question)),
        CanonicalQuery(query),
        canonical_headers,
        names,
        body_hash);
    const std::string scope = fmt::format("{}/{}/{}/aws4_request", date, region, service);
    const std::string to_sign =
        fmt::format("AWS4-HMAC-SHA256\n{}\n{}\n{}", date_time, scope, codec::Sha256Hex(canonical));
    auto key = codec::HmacSha256("AWS4" + keys.secret_access_key, date);
    for (const std::string_view part :
         {std::string_view(region), std::string_view(service), std::string_view("aws4_request")}) {
        key = codec::HmacSha256(key, part);
    }
    request->headers.emplace_back(
        "Authorization",
        fmt::format(
            "AWS4-HMAC-SHA256 Credential={}/{}, SignedHeaders={}, Signature={}",
            keys.access_key_id,
            scope,
            names,
            codec::Hex(codec::HmacSha256(key, to_sign))));
}

}  // namespace hearth::cli
