#include "services/lambda/http_answer.h"

#include "codec/base64/base64.h"
#include "codec/json/json.h"
#include "http/message.h"
#include "services/lambda/json_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>

namespace hearth::lambda {
namespace {

using codec::Json;

constexpr std::string_view kZeros("\0\0\0\0\0\0\0\0", 8);
// More headers than any client takes.
constexpr size_t kHeadersMax = 1'000;
// What a status, headers or cookies may consist of: a header may be a list of values.
constexpr codec::JsonLimits kHeadLimits = {.depth_max = 8, .values_max = 10'000};
constexpr std::string_view kWhiteSpace = " \t\r\n";

Error Bad(std::string_view what) {
    return Error(Error::Kind::kInvalid, "", std::string(what), 502);
}

// One top-level member of an object, its value still as text.
struct Slice {
    std::string name;
    std::string_view value;
};

size_t SkipWhiteSpace(std::string_view text, size_t at) {
    return std::min(text.find_first_not_of(kWhiteSpace, at), text.size());
}

// Behind the string that starts at `at`.
size_t SkipString(std::string_view text, size_t at) {
    for (++at; at < text.size() && text[at] != '"'; ++at) {
        if (text[at] == '\\') {
            ++at;
        }
    }
    return std::min(at + 1, text.size());
}

size_t SkipValue(std::string_view text, size_t at) {
    size_t depth = 0;
    while (at < text.size()) {
        const char c = text[at];
        if (c == '"') {
            at = SkipString(text, at);
        } else if (c == '{' || c == '[') {
            ++depth;
            ++at;
        } else if (c == '}' || c == ']') {
            if (depth == 0) {
                return at;
            }
            --depth;
            ++at;
        } else if (c == ',' && depth == 0) {
            return at;
        } else {
            at = text.find_first_of("\"{}[],", at + 1);
            at = std::min(at, text.size());
        }
        if (depth == 0 && (c == '"' || c == '}' || c == ']')) {
            return at;
        }
    }
    return at;
}

// The members that mean something in an answer.
constexpr std::array<std::string_view, 5> kMembers = {
    "statusCode", "headers", "cookies", "body", "isBase64Encoded"};

// Those members of the object that `text` is, the last one of each name, as for JavaScript;
// CheckJson has approved of it. Values are not built and other members not kept, so a large answer
// costs its bytes and no tree.
Result<std::vector<Slice>> Members(std::string_view text) {
    std::vector<Slice> members;
    size_t at = SkipWhiteSpace(text, 0) + 1;
    for (;;) {
        at = SkipWhiteSpace(text, at);
        if (at >= text.size() || text[at] == '}') {
            return members;
        }
        if (text[at] == ',') {
            ++at;
            continue;
        }
        const size_t name_end = SkipString(text, at);
        HEARTH_TRY(const Json name, codec::ParseJson(text.substr(at, name_end - at)));
        if (name.AsString() == nullptr) {
            return Bad("a member's name is no text");
        }
        at = SkipWhiteSpace(text, name_end);
        at = SkipWhiteSpace(text, at + 1);  // the colon
        const size_t end = SkipValue(text, at);
        if (end <= at) {
            return Bad("a member without a value");
        }
        if (std::ranges::find(kMembers, *name.AsString()) != kMembers.end()) {
            std::erase_if(
                members, [&name](const Slice& one) { return one.name == *name.AsString(); });
            members.push_back({*name.AsString(), text.substr(at, end - at)});
        }
        at = end;
    }
}

std::string_view Trim(std::string_view text) {
    const size_t begin = text.find_first_not_of(kWhiteSpace);
    return begin == std::string_view::npos
               ? std::string_view()
               : text.substr(begin, text.find_last_not_of(kWhiteSpace) - begin + 1);
}

std::optional<std::string_view> FindMember(
    const std::vector<Slice>& members, std::string_view name) {
    const auto found = std::ranges::find(members, name, &Slice::name);
    if (found == members.end()) {
        return std::nullopt;
    }
    const std::string_view value = Trim(found->value);
    return value == "null" ? std::nullopt : std::optional(value);
}

Result<int> ReadStatus(std::string_view text) {
    HEARTH_TRY(const Json value, codec::ParseJson(text, kHeadLimits));
    int64_t status = 0;
    if (const int64_t* number = value.AsInt()) {
        status = *number;
    } else if (const double* real = value.AsDouble();
               real != nullptr && *real >= 0 && *real < 1'000 && std::floor(*real) == *real) {
        status = static_cast<int64_t>(*real);
    } else if (const std::string* digits = value.AsString()) {
        const char* const end = digits->data() + digits->size();
        if (std::from_chars(digits->data(), end, status).ptr != end) {
            return Bad("statusCode is no number");
        }
    } else {
        return Bad("statusCode is no number");
    }
    // A final answer: 1xx would leave the client waiting for another one.
    if (status < 200 || status > 599) {
        return Bad("statusCode is none of HTTP's");
    }
    return static_cast<int>(status);
}

bool IsToken(std::string_view text) {
    constexpr std::string_view kSpecial = "!#$%&'*+-.^_`|~";
    return !text.empty() && std::ranges::all_of(text, [&](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               kSpecial.find(c) != std::string_view::npos;
    });
}

// No line may end inside a value.
bool IsHeaderValue(std::string_view text) {
    return std::ranges::all_of(text, [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
    });
}

enum class HeaderFate { kPass, kRemap, kDrop };

// What API Gateway and function URLs do with headers that are not the function's to set. Source:
// "Important notes for Amazon API Gateway", 2026.
HeaderFate FateOf(std::string_view name) {
    constexpr std::array<std::string_view, 8> kRemapped = {
        "authorization",
        "connection",
        "content-md5",
        "date",
        "max-forwards",
        "server",
        "user-agent",
        "www-authenticate"};
    constexpr std::array<std::string_view, 10> kDropped = {
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "via"};
    const auto is_name = [&](std::string_view other) {
        return http::EqualsIgnoringCase(name, other);
    };
    return std::ranges::any_of(kRemapped, is_name)  ? HeaderFate::kRemap
           : std::ranges::any_of(kDropped, is_name) ? HeaderFate::kDrop
                                                    : HeaderFate::kPass;
}

Result<std::string> ScalarText(const Json& value) {
    if (const std::string* text = value.AsString()) {
        return *text;
    }
    if (value.is_object()) {
        return Bad("a header's value is an object");
    }
    if (const Json::Array* items = value.AsArray()) {
        std::string joined;
        for (const Json& item : *items) {
            HEARTH_TRY(const std::string text, ScalarText(item));
            joined += joined.empty() ? "" : ",";
            joined += text;
        }
        return joined;
    }
    return codec::WriteJson(value);
}

Status ReadHeaders(std::string_view text, HttpAnswer& answer) {
    HEARTH_TRY(const Json value, codec::ParseJson(text, kHeadLimits));
    const Json::Object* const members = value.AsObject();
    if (members == nullptr || members->size() > kHeadersMax) {
        return Bad("headers is no object of at most 1,000 members");
    }
    for (const Json::Member& member : *members) {
        if (member.value.is_null()) {
            continue;
        }
        HEARTH_TRY(std::string header, ScalarText(member.value));
        if (!IsToken(member.name) || !IsHeaderValue(header)) {
            return Bad("a header is none of HTTP's");
        }
        switch (FateOf(member.name)) {
            case HeaderFate::kPass:
                answer.headers.emplace_back(member.name, std::move(header));
                break;
            case HeaderFate::kRemap:
                answer.headers.emplace_back("x-amzn-Remapped-" + member.name, std::move(header));
                break;
            case HeaderFate::kDrop:
                break;
        }
    }
    return Status();
}

Status ReadCookies(std::string_view text, HttpAnswer& answer) {
    HEARTH_TRY(const Json value, codec::ParseJson(text, kHeadLimits));
    const Json::Array* const cookies = value.AsArray();
    if (cookies == nullptr || cookies->size() > kHeadersMax) {
        return Bad("cookies is no list of at most 1,000 texts");
    }
    for (const Json& cookie : *cookies) {
        const std::string* const line = cookie.AsString();
        if (line == nullptr || !IsHeaderValue(*line)) {
            return Bad("a cookie is none of HTTP's");
        }
        answer.headers.emplace_back("Set-Cookie", *line);
    }
    return Status();
}

bool HasContentType(const HttpAnswer& answer) {
    return std::ranges::any_of(answer.headers, [](const auto& header) {
        return http::EqualsIgnoringCase(header.first, "content-type");
    });
}

// statusCode, headers and cookies; both forms of answer have them.
Status ReadHead(const std::vector<Slice>& members, HttpAnswer& answer) {
    if (const auto status = FindMember(members, "statusCode")) {
        HEARTH_TRY(answer.status, ReadStatus(*status));
    }
    if (const auto headers = FindMember(members, "headers")) {
        HEARTH_RETURN_IF_ERROR(ReadHeaders(*headers, answer));
    }
    if (const auto cookies = FindMember(members, "cookies")) {
        HEARTH_RETURN_IF_ERROR(ReadCookies(*cookies, answer));
    }
    return Status();
}

Result<std::string> ReadBody(const std::vector<Slice>& members) {
    const auto text = FindMember(members, "body");
    if (!text) {
        return std::string();
    }
    if (!text->starts_with('"')) {
        // Not what the format says; AWS sends it as JSON.
        return std::string(*text);
    }
    HEARTH_TRY(Json value, codec::ParseJson(*text));
    std::string body = std::move(*value.AsString());
    const auto encoded = FindMember(members, "isBase64Encoded");
    if (!encoded || *encoded != "true") {
        return body;
    }
    std::erase_if(body, [](char c) { return kWhiteSpace.find(c) != std::string_view::npos; });
    auto decoded = codec::Base64Decode(body);
    if (!decoded.ok()) {
        return Bad("the body is not in base64");
    }
    return decoded;
}

HttpAnswer PlainAnswer(std::string body) {
    HttpAnswer answer;
    answer.headers.emplace_back("Content-Type", "application/json");
    answer.body = std::move(body);
    return answer;
}

Result<HttpAnswer> ReadStructured(const std::vector<Slice>& members) {
    HttpAnswer answer;
    HEARTH_RETURN_IF_ERROR(ReadHead(members, answer));
    HEARTH_TRY(answer.body, ReadBody(members));
    if (!HasContentType(answer)) {
        answer.headers.emplace_back("Content-Type", "application/json");
    }
    return answer;
}

}  // namespace

Result<HttpAnswer> ReadHttpAnswer(std::string payload) {
    // A streaming function behind a buffered URL: no JSON holds a zero byte.
    if (payload.find('\0') != std::string::npos) {
        HttpPreludeReader reader;
        HEARTH_TRY(const bool complete, reader.Take(payload));
        if (!complete) {
            return Bad("the answer is neither JSON nor a head with a body");
        }
        HttpAnswer answer = std::move(reader.answer());
        answer.body = reader.TakeBody();
        return answer;
    }
    if (!CheckJson(payload).ok) {
        return Bad("the answer is no JSON");
    }
    const std::string_view text = Trim(payload);
    if (text.starts_with('"')) {
        HEARTH_TRY(Json value, codec::ParseJson(text));
        return PlainAnswer(std::move(*value.AsString()));
    }
    if (text.starts_with('{')) {
        HEARTH_TRY(const std::vector<Slice> members, Members(text));
        if (FindMember(members, "statusCode")) {
            return ReadStructured(members);
        }
    }
    return PlainAnswer(std::move(payload));
}

Result<bool> HttpPreludeReader::Take(std::string_view piece) {
    // The zeros may be cut in two by pieces.
    const size_t from = bytes_.size() - std::min(bytes_.size(), kZeros.size() - 1);
    bytes_.append(piece.substr(0, kHttpPreludeBytesMax + kZeros.size()));
    const size_t zeros = bytes_.find(kZeros, from);
    if (zeros == std::string::npos) {
        if (bytes_.size() > kHttpPreludeBytesMax) {
            return Bad("the head of a streamed answer is too long");
        }
        return false;
    }
    const size_t of_piece =
        zeros + kZeros.size() -
        (bytes_.size() - std::min(piece.size(), kHttpPreludeBytesMax + kZeros.size()));
    body_ = std::string(piece.substr(of_piece));
    bytes_.resize(zeros);
    if (!CheckJson(bytes_).ok || !Trim(bytes_).starts_with('{')) {
        return Bad("the head of a streamed answer is no JSON object");
    }
    HEARTH_TRY(const std::vector<Slice> members, Members(Trim(bytes_)));
    HEARTH_RETURN_IF_ERROR(ReadHead(members, answer_));
    if (!HasContentType(answer_)) {
        answer_.headers.emplace_back("Content-Type", "application/octet-stream");
    }
    bytes_ = std::string();
    return true;
}

}  // namespace hearth::lambda
