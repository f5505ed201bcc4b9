#include "aws/auth/post_policy.h"
#include "aws/auth/s3_errors.h"
#include "aws/auth/s3_signature.h"
#include "aws/front/form_reader.h"
#include "aws/front/gateway_walk.h"
#include "aws/front/limits.h"
#include "aws/front/request_body.h"
#include "aws/protocol/xml.h"
#include "aws/protocol/xml_reader.h"
#include "codec/uri/uri.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>

// Browsers' uploads ("POST Object"): a form whose fields say what a PUT says in its headers, signed
// in advance by a policy. It becomes a PutObject of the form's file.
// Source: Amazon S3 API Reference, "POST Object" and "Creating a POST policy", 2025.
namespace hearth::aws {
namespace {

constexpr uint64_t kFormBytesHeld = 512 * 1024;
constexpr size_t kTagsMax = 64;

using Fields = std::vector<std::pair<std::string, std::string>>;

std::string Find(const Fields& fields, std::string_view name) {
    const auto field = std::ranges::find(fields, name, &std::pair<std::string, std::string>::first);
    return field == fields.end() ? std::string() : field->second;
}

// "${filename}" is the name of the file at the browser's.
void ExpandFileName(Fields& fields, std::string_view file_name) {
    static constexpr std::string_view kVariable = "${filename}";
    for (auto& [name, value] : fields) {
        if (name == "policy" || name == "x-amz-signature" || value.size() > 4096) {
            continue;
        }
        for (size_t at = value.find(kVariable); at != std::string::npos;
             at = value.find(kVariable, at + file_name.size())) {
            value.replace(at, kVariable.size(), file_name);
            if (value.size() > 16 * 1024) {
                break;
            }
        }
    }
}

// The field "tagging" is a document; the header it becomes is a query string.
Result<std::string> TaggingHeader(const std::string& document) {
    using Event = protocol::XmlReader::Event;
    protocol::XmlReader reader(document);
    codec::QueryParameters tags;
    std::vector<std::string> open;
    const auto malformed = [] {
        return Error(
            Error::Kind::kInvalid,
            "MalformedXML",
            "The XML you provided was not well-formed or did not validate against our published "
            "schema",
            400);
    };
    for (;;) {
        const auto event = reader.Next();
        if (!event.ok() || tags.size() > kTagsMax) {
            return malformed();
        }
        switch (*event) {
            case Event::kStart:
                open.emplace_back(reader.name());
                if (open.back() == "Tag") {
                    tags.emplace_back();
                }
                break;
            case Event::kEnd:
                open.pop_back();
                break;
            case Event::kText:
                if (!tags.empty() && !open.empty()) {
                    if (open.back() == "Key") {
                        tags.back().first += reader.text();
                    } else if (open.back() == "Value") {
                        tags.back().second += reader.text();
                    }
                }
                break;
            case Event::kFinished:
                return codec::WriteQuery(tags);
        }
    }
}

bool IsPolicyField(std::string_view name) {
    static constexpr std::array<std::string_view, 5> kNames = {
        "x-amz-algorithm",
        "x-amz-credential",
        "x-amz-date",
        "x-amz-signature",
        "x-amz-security-token"};
    return std::ranges::find(kNames, name) != kNames.end();
}

// The headers that a PUT with the meaning of these fields would have.
Result<Fields> AsHeaders(const Fields& fields, const Fields& received) {
    static constexpr std::array<std::string_view, 6> kSame = {
        "content-type",
        "cache-control",
        "content-disposition",
        "content-encoding",
        "content-language",
        "expires"};
    Fields headers;
    for (const auto& [name, value] : received) {
        if (name == "host" || name == "user-agent" || name == "referer" || name == "origin") {
            headers.emplace_back(name, value);
        }
    }
    for (const auto& [name, value] : fields) {
        if (std::ranges::any_of(value, [](char c) { return c == '\r' || c == '\n'; }) &&
            name != "tagging") {
            continue;
        }
        if (std::ranges::find(kSame, name) != kSame.end() ||
            (name.starts_with("x-amz-") && !IsPolicyField(name))) {
            headers.emplace_back(name, value);
        } else if (name == "acl") {
            headers.emplace_back("x-amz-acl", value);
        } else if (name == "tagging") {
            HEARTH_TRY(std::string tags, TaggingHeader(value));
            headers.emplace_back("x-amz-tagging", std::move(tags));
        }
    }
    return headers;
}

// The form's file as the payload of a PutObject, held to the sizes that the policy allows.
class FileBody final : public RequestBody {
  public:
    FileBody(FormReader& form, PostPolicy::Range range) : form_(form), range_(range) {}

    // What follows the file in the form is not known before.
    std::optional<uint64_t> Length() const override { return std::nullopt; }

    Task<Result<size_t>> Read(std::span<char> into) override {
        HEARTH_CO_TRY(const size_t read, co_await form_.ReadFile(into));
        bytes_ += read;
        if (bytes_ > std::min(range_.max, kObjectBytesMax)) {
            co_return s3_errors::EntityTooLarge(bytes_, std::min(range_.max, kObjectBytesMax));
        }
        if (read == 0 && bytes_ < range_.min) {
            co_return Error(
                Error::Kind::kInvalid,
                "EntityTooSmall",
                "Your proposed upload is smaller than the minimum allowed size",
                400)
                .WithField("ProposedSize", std::to_string(bytes_))
                .WithField("MinSizeAllowed", std::to_string(range_.min));
        }
        co_return read;
    }

    const std::vector<std::pair<std::string, std::string>>& trailers() const override {
        return none_;
    }

  private:
    FormReader& form_;
    const PostPolicy::Range range_;
    uint64_t bytes_ = 0;
    const std::vector<std::pair<std::string, std::string>> none_;
};

// Who may redirect a browser where: to pages alone, never to a script.
bool IsPage(std::string_view url) {
    return url.starts_with("http://") || url.starts_with("https://");
}

// What the browser gets instead of PutObject's answer.
http::Response FormAnswer(
    http::Response put,
    const Fields& fields,
    std::string_view bucket,
    std::string_view key,
    std::string_view location) {
    std::string etag;
    for (const auto& [name, value] : put.headers) {
        if (http::EqualsIgnoringCase(name, "etag")) {
            etag = value;
        }
    }
    http::Response answer;
    answer.headers = std::move(put.headers);
    std::string redirect = Find(fields, "success_action_redirect");
    if (redirect.empty()) {
        redirect = Find(fields, "redirect");
    }
    const std::string status = Find(fields, "success_action_status");
    if (IsPage(redirect)) {
        redirect += redirect.find('?') == std::string::npos ? '?' : '&';
        redirect += codec::WriteQuery(
            {{"bucket", std::string(bucket)}, {"key", std::string(key)}, {"etag", etag}});
        answer.status = 303;
        answer.headers.emplace_back("Location", std::move(redirect));
        return answer;
    }
    answer.headers.emplace_back("Location", std::string(location));
    answer.status = status == "200" ? 200 : status == "201" ? 201 : 204;
    if (answer.status == 201) {
        protocol::XmlWriter writer;
        writer.Declaration();
        writer.Open("PostResponse");
        writer.Text("Location", location);
        writer.Text("Bucket", bucket);
        writer.Text("Key", key);
        writer.Text("ETag", etag);
        writer.Close("PostResponse");
        answer.body = writer.Take();
        answer.headers.emplace_back("Content-Type", "application/xml");
    }
    return answer;
}

}  // namespace

Task<http::Response> Gateway::HandleS3Form(
    http::Request& request,
    const DoorIdentity* door,
    Room& room,
    Walk& walk,
    const std::string& bucket_path,
    bool origin_is_allowed) {
    auto form = FormReader::For(*request.body, walk.parts.Header("content-type"));
    if (!form) {
        co_return walk.Fail(Error(
                                Error::Kind::kInvalid,
                                "PreconditionFailed",
                                "At least one of the pre-conditions you specified did not hold",
                                412)
                                .WithField(
                                    "Condition",
                                    "Bucket POST must be of the enclosure-type "
                                    "multipart/form-data"));
    }
    if (!room.AddBodyBytes(kFormBytesHeld)) {
        refused_.Add();
        co_return walk.Fail(
            Error(Error::Kind::kThrottled, "SlowDown", "Please reduce your request rate.", 503));
    }
    auto read = co_await form->ReadFields();
    if (!read.ok()) {
        co_return walk.Fail(read.error());
    }
    Fields fields = std::move(read->values);
    ExpandFileName(fields, read->file_name);

    // Who signed, and what it allows.
    Authenticator::Identity identity;
    PostPolicy::Range range;
    const auto bucket = codec::PercentDecode(std::string_view(bucket_path).substr(1));
    if (!bucket.ok()) {
        co_return walk.Fail(s3_errors::InvalidRequest("The bucket's name cannot be decoded."));
    }
    if (const std::string policy_text = Find(fields, "policy"); policy_text.empty()) {
        if (parts_.authenticator.enforce()) {
            co_return walk.Fail(s3_errors::AccessDenied());
        }
        identity = parts_.authenticator.Unsigned(door);
    } else {
        auto signature = S3PolicySignature::Read(
            {.algorithm = Find(fields, "x-amz-algorithm"),
             .credential = Find(fields, "x-amz-credential"),
             .date = Find(fields, "x-amz-date"),
             .signature = Find(fields, "x-amz-signature"),
             .security_token = Find(fields, "x-amz-security-token"),
             .policy = policy_text,
             .old_key_id = Find(fields, "awsaccesskeyid"),
             .old_signature = Find(fields, "signature")});
        if (!signature.ok()) {
            co_return walk.Fail(signature.error());
        }
        auto found =
            co_await parts_.authenticator.IdentifyBy(*signature, walk.service->signing_name, door);
        if (!found.ok()) {
            co_return walk.Fail(found.error());
        }
        identity = *std::move(found);
        const auto policy = PostPolicy::Parse(policy_text);
        if (!policy.ok()) {
            co_return walk.Fail(policy.error());
        }
        Fields judged = fields;
        std::erase_if(judged, [](const auto& field) { return field.first == "bucket"; });
        judged.emplace_back("bucket", *bucket);
        if (const Status allowed = policy->Check(judged, parts_.wall_clock.Now()); !allowed.ok()) {
            co_return walk.Fail(allowed.error());
        }
        range = policy->content_length();
    }
    walk.caller_arn = identity.caller.arn;
    if (const std::string_view origin = walk.parts.Header("origin");
        !origin.empty() && !origin_is_allowed && !identity.caller.verified &&
        !MayCallUnsigned(origin)) {
        co_return walk.Fail(s3_errors::AccessDenied(ForeignPage().message()));
    }

    // The PUT that it means.
    const std::string key = Find(fields, "key");
    if (key.empty()) {
        co_return walk.Fail(s3_errors::InvalidArgument(
            "Bucket POST must contain a field named 'key'.  If it is specified, please check the "
            "order of the fields.",
            "key",
            ""));
    }
    auto headers = AsHeaders(fields, walk.headers);
    if (!headers.ok()) {
        co_return walk.Fail(headers.error());
    }
    const std::string location = fmt::format(
        "{}://{}{}/{}",
        request.connection != nullptr && request.connection->secure() ? "https" : "http",
        walk.parts.Header("host").substr(0, 256),
        walk.parts.path == "/" ? std::string_view() : std::string_view(bucket_path),
        codec::PercentEncode(key));
    const std::string path = bucket_path + "/" + codec::PercentEncode(key, true);
    walk.headers = *std::move(headers);
    walk.parts.method = "PUT";
    walk.parts.path = path;
    walk.parts.query = {};
    walk.parts.headers = walk.headers;
    auto match = protocol::FindOperation(*walk.service, walk.parts);
    if (!match.ok()) {
        co_return walk.Fail(match.error());
    }
    walk.operation = match->operation;
    const OperationTable::Entry* entry = parts_.dispatcher.Find(*walk.service, *walk.operation);
    if (entry == nullptr) {
        co_return walk.Fail(protocol::NotImplemented(*walk.service, *walk.operation));
    }
    FileBody body(*form, range);
    http::Response response = co_await Perform(
        {.request = request,
         .door = door,
         .room = room,
         .walk = walk,
         .match = *match,
         .entry = *entry,
         .identity = identity,
         .body = &body,
         .signed_by = RequestContext::SignedBy::kForm});
    if (response.status != 200) {
        co_return response;
    }
    co_return FormAnswer(std::move(response), fields, *bucket, key, location);
}

}  // namespace hearth::aws
