#include "services/lambda/http_event.h"

#include "codec/base64/base64.h"
#include "codec/json/json.h"
#include "codec/uri/uri.h"
#include "http/message.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <unordered_map>

namespace hearth::lambda {
namespace {

// What concerns the connection, not the message.
constexpr std::array<std::string_view, 11> kConnectionHeaders = {
    "connection",
    "expect",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade"};

bool IsUtf8(std::string_view text) {
    size_t at = 0;
    while (at < text.size()) {
        const auto lead = static_cast<unsigned char>(text[at]);
        if (lead < 0x80) {
            ++at;
            continue;
        }
        const size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
        if (lead < 0xc2 || lead > 0xf4 || text.size() - at < length) {
            return false;
        }
        uint32_t point = lead & (0xff >> (length + 1));
        for (size_t i = 1; i < length; ++i) {
            const auto next = static_cast<unsigned char>(text[at + i]);
            if ((next & 0xc0) != 0x80) {
                return false;
            }
            point = point << 6 | (next & 0x3f);
        }
        constexpr std::array<uint32_t, 5> kLeast = {0, 0, 0x80, 0x800, 0x10000};
        if (point < kLeast[length] || point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) {
            return false;
        }
        at += length;
    }
    return true;
}

// Headers and paths are bytes; what is no UTF-8 is taken as Latin-1, so that nothing is lost.
std::string Text(std::string_view bytes) {
    if (IsUtf8(bytes)) {
        return std::string(bytes);
    }
    std::string text;
    text.reserve(bytes.size() * 2);
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x80) {
            text.push_back(c);
        } else {
            text.push_back(static_cast<char>(0xc0 | byte >> 6));
            text.push_back(static_cast<char>(0x80 | (byte & 0x3f)));
        }
    }
    return text;
}

// A broken escape is kept as it is: the raw query is there for who wants to be strict.
std::string DecodeParameter(std::string_view text) {
    std::string spaced(text);
    std::ranges::replace(spaced, '+', ' ');
    auto decoded = codec::PercentDecode(spaced);
    return Text(decoded.ok() ? *decoded : spaced);
}

// Names in the order of their first appearance, values of one name joined.
class JoinedValues final {
  public:
    void Add(std::string name, std::string value) {
        const auto [it, is_new] = places_.try_emplace(std::move(name), values_.size());
        if (is_new) {
            values_.emplace_back(it->first, std::move(value));
        } else {
            values_[it->second].second.append(",").append(value);
        }
    }

    bool empty() const { return values_.empty(); }

    void Write(codec::JsonWriter& json) const {
        json.BeginObject();
        for (const auto& [name, value] : values_) {
            json.Key(name);
            json.String(value);
        }
        json.EndObject();
    }

  private:
    std::vector<std::pair<std::string, std::string>> values_;
    std::unordered_map<std::string, size_t> places_;
};

std::string_view Trim(std::string_view text) {
    const size_t begin = text.find_first_not_of(" \t");
    return begin == std::string_view::npos
               ? std::string_view()
               : text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

// "12/Mar/2020:19:03:58 +0000"
std::string CommonLogTime(WallClock::time_point time) {
    const auto since_1970 = std::chrono::floor<std::chrono::seconds>(time.time_since_epoch());
    const auto days = std::chrono::floor<std::chrono::days>(since_1970);
    const std::chrono::year_month_day date{std::chrono::sys_days(days)};
    const std::chrono::hh_mm_ss clock(since_1970 - days);
    constexpr std::array<std::string_view, 12> kMonths = {
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    return fmt::format(
        "{:02}/{}/{:04}:{:02}:{:02}:{:02} +0000",
        static_cast<unsigned>(date.day()),
        kMonths[static_cast<unsigned>(date.month()) - 1],
        static_cast<int>(date.year()),
        clock.hours().count(),
        clock.minutes().count(),
        clock.seconds().count());
}

void WriteCookies(codec::JsonWriter& json, const HttpEvent& event) {
    bool any = false;
    for (const auto& [name, value] : event.headers) {
        if (name != "cookie") {
            continue;
        }
        std::string_view rest = value;
        while (!rest.empty()) {
            const size_t end = std::min(rest.find(';'), rest.size());
            const std::string_view cookie = Trim(rest.substr(0, end));
            rest.remove_prefix(std::min(end + 1, rest.size()));
            if (cookie.empty()) {
                continue;
            }
            if (!any) {
                json.Key("cookies");
                json.BeginArray();
                any = true;
            }
            json.String(Text(cookie));
        }
    }
    if (any) {
        json.EndArray();
    }
}

void WriteHeaders(codec::JsonWriter& json, const HttpEvent& event) {
    JoinedValues headers;
    for (const auto& [name, value] : event.headers) {
        if (std::ranges::find(kConnectionHeaders, name) == kConnectionHeaders.end()) {
            headers.Add(Text(name), Text(value));
        }
    }
    json.Key("headers");
    headers.Write(json);
}

void WriteQuery(codec::JsonWriter& json, std::string_view query) {
    JoinedValues parameters;
    while (!query.empty()) {
        const size_t end = std::min(query.find('&'), query.size());
        const std::string_view piece = query.substr(0, end);
        query.remove_prefix(std::min(end + 1, query.size()));
        if (piece.empty()) {
            continue;
        }
        const size_t equals = std::min(piece.find('='), piece.size());
        parameters.Add(
            DecodeParameter(piece.substr(0, equals)),
            DecodeParameter(piece.substr(std::min(equals + 1, piece.size()))));
    }
    if (!parameters.empty()) {
        json.Key("queryStringParameters");
        parameters.Write(json);
    }
}

void WriteAuthorizer(codec::JsonWriter& json, const aws::Caller& caller) {
    json.Key("authorizer");
    json.BeginObject();
    json.Key("iam");
    json.BeginObject();
    json.Key("accessKey");
    json.String(caller.access_key_id);
    json.Key("accountId");
    json.String(caller.account.text());
    json.Key("callerId");
    json.String(caller.user_id);
    json.Key("cognitoIdentity");
    json.Null();
    json.Key("principalOrgId");
    json.Null();
    json.Key("userArn");
    json.String(caller.arn);
    json.Key("userId");
    json.String(caller.user_id);
    json.EndObject();
    json.EndObject();
}

std::string_view UserAgent(const HttpEvent& event) {
    for (const auto& [name, value] : event.headers) {
        if (name == "user-agent") {
            return value;
        }
    }
    return {};
}

void WriteContext(codec::JsonWriter& json, const HttpEvent& event) {
    json.Key("requestContext");
    json.BeginObject();
    json.Key("accountId");
    json.String(
        event.caller != nullptr ? std::string_view(event.caller->account.text())
                                : std::string_view("anonymous"));
    json.Key("apiId");
    json.String(event.url_id);
    if (event.caller != nullptr) {
        WriteAuthorizer(json, *event.caller);
    }
    json.Key("domainName");
    json.String(Text(event.domain_name));
    json.Key("domainPrefix");
    json.String(event.url_id);
    json.Key("http");
    json.BeginObject();
    json.Key("method");
    json.String(Text(event.method));
    json.Key("path");
    json.String(Text(event.path));
    json.Key("protocol");
    json.String(event.minor_version == 0 ? "HTTP/1.0" : "HTTP/1.1");
    json.Key("sourceIp");
    json.String(event.source_ip);
    if (const std::string_view user_agent = UserAgent(event); !user_agent.empty()) {
        json.Key("userAgent");
        json.String(Text(user_agent));
    }
    json.EndObject();
    json.Key("requestId");
    json.String(event.request_id);
    json.Key("routeKey");
    json.String("$default");
    json.Key("stage");
    json.String("$default");
    json.Key("time");
    json.String(CommonLogTime(event.time));
    json.Key("timeEpoch");
    json.Int(std::chrono::duration_cast<std::chrono::milliseconds>(event.time.time_since_epoch())
                 .count());
    json.EndObject();
}

std::string_view ContentType(const HttpEvent& event) {
    for (const auto& [name, value] : event.headers) {
        if (name == "content-type") {
            return value;
        }
    }
    return {};
}

}  // namespace

bool IsTextualContentType(std::string_view content_type) {
    const std::string type = http::LowerCase(Trim(content_type.substr(0, content_type.find(';'))));
    return type.starts_with("text/") || type == "application/json" ||
           type == "application/javascript" || type == "application/xml" ||
           type.ends_with("+json") || type.ends_with("+xml");
}

std::string WriteHttpEvent(const HttpEvent& event) {
    codec::JsonWriter json;
    json.BeginObject();
    json.Key("version");
    json.String("2.0");
    json.Key("routeKey");
    json.String("$default");
    json.Key("rawPath");
    json.String(Text(event.path));
    json.Key("rawQueryString");
    json.String(Text(event.query));
    WriteCookies(json, event);
    WriteHeaders(json, event);
    WriteQuery(json, event.query);
    WriteContext(json, event);
    bool base64 = false;
    if (!event.body.empty()) {
        base64 = !IsTextualContentType(ContentType(event)) || !IsUtf8(event.body);
        json.Key("body");
        if (base64) {
            json.String(codec::Base64Encode(event.body));
        } else {
            json.String(event.body);
        }
    }
    json.Key("isBase64Encoded");
    json.Bool(base64);
    json.EndObject();
    return json.Take();
}

}  // namespace hearth::lambda
