#include "services/s3/access_log_line.h"

#include "aws/protocol/rest_xml.h"
#include "codec/uri/uri.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

namespace hearth::s3 {
namespace {

// Operations whose names in logs do not follow from their own.
constexpr std::array<std::pair<std::string_view, std::string_view>, 24> kNames = {{
    {"GetObject", "OBJECT"},
    {"HeadObject", "OBJECT"},
    {"PutObject", "OBJECT"},
    {"DeleteObject", "OBJECT"},
    {"CopyObject", "OBJECT"},
    {"RestoreObject", "OBJECT_RESTORE"},
    {"GetObjectAttributes", "OBJECT_ATTRIBUTES"},
    {"DeleteObjects", "MULTI_OBJECT_DELETE"},
    {"GetObjectAcl", "ACL"},
    {"PutObjectAcl", "ACL"},
    {"GetBucketAcl", "ACL"},
    {"PutBucketAcl", "ACL"},
    {"GetObjectTagging", "OBJECT_TAGGING"},
    {"PutObjectTagging", "OBJECT_TAGGING"},
    {"DeleteObjectTagging", "OBJECT_TAGGING"},
    {"ListObjects", "BUCKET"},
    {"ListObjectsV2", "BUCKET"},
    {"HeadBucket", "BUCKET"},
    {"DeleteBucket", "BUCKET"},
    {"ListObjectVersions", "BUCKETVERSIONS"},
    {"ListMultipartUploads", "UPLOADS"},
    {"CreateMultipartUpload", "UPLOADS"},
    {"UploadPart", "PART"},
    {"UploadPartCopy", "PART"},
}};

std::string_view Known(std::string_view operation) {
    const auto it = std::find_if(kNames.begin(), kNames.end(), [operation](const auto& name) {
        return name.first == operation;
    });
    return it == kNames.end() ? std::string_view() : it->second;
}

std::string OrDash(std::string_view text) {
    return text.empty() ? "-" : std::string(text);
}

// Fields in quotes hold whatever clients send: what would end the field or the line is encoded.
std::string Quoted(std::string_view text) {
    if (text.empty()) {
        return "\"-\"";
    }
    std::string quoted = "\"";
    for (const char c : text) {
        if (c == '"' || static_cast<uint8_t>(c) < 0x20 || c == 0x7f) {
            quoted += fmt::format("%{:02X}", static_cast<uint8_t>(c));
        } else {
            quoted += c;
        }
    }
    return quoted + '"';
}

std::string HeaderOf(const aws::RequestContext& context, std::string_view name) {
    const std::string* value = context.Header(name);
    return value == nullptr ? std::string() : *value;
}

// The object's part of a target, by path or by host.
std::string_view KeyOf(std::string_view target, std::string_view host, std::string_view bucket) {
    std::string_view path = target.substr(0, target.find('?'));
    path.remove_prefix(std::min<size_t>(1, path.size()));
    const bool by_host = host.starts_with(bucket) && host.substr(bucket.size()).starts_with('.');
    if (by_host) {
        return path;
    }
    const size_t slash = path.find('/');
    return slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
}

std::string VersionOf(std::string_view target) {
    const size_t question = target.find('?');
    if (question == std::string_view::npos) {
        return {};
    }
    auto query = codec::ParseQuery(target.substr(question + 1));
    if (query.ok()) {
        for (auto& [name, value] : *query) {
            if (name == "versionId") {
                return codec::PercentEncode(value);
            }
        }
    }
    return {};
}

std::string Time(WallClock::time_point time) {
    const auto seconds = std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
    return fmt::format("[{:%d/%b/%Y:%H:%M:%S} +0000]", fmt::gmtime(static_cast<time_t>(seconds)));
}

int64_t Milliseconds(MonotonicClock::duration time) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(time).count();
}

}  // namespace

std::string AccessLogOperation(std::string_view operation, std::string_view method) {
    std::string resource(Known(operation));
    if (resource.empty()) {
        for (const std::string_view verb :
             {"Get", "Put", "Delete", "List", "Create", "Complete", "Abort"}) {
            if (operation.starts_with(verb)) {
                operation.remove_prefix(verb.size());
                break;
            }
        }
        if (operation.starts_with("Bucket") && operation.size() > 6) {
            operation.remove_prefix(6);
        }
        for (const char c : operation) {
            if (c >= 'A' && c <= 'Z' && !resource.empty()) {
                resource += '_';
            }
            resource += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
        }
    }
    return fmt::format(
        "REST.{}.{}", operation == "CopyObject" ? std::string_view("COPY") : method, resource);
}

AccessLogEntry DescribeAccess(
    const aws::RequestContext& context, std::string_view bucket, std::string_view bucket_owner) {
    AccessLogEntry entry;
    entry.bucket_owner = bucket_owner;
    entry.bucket = bucket;
    entry.time = context.now;
    entry.remote_ip = context.peer_address;
    entry.requester =
        context.signed_by == aws::RequestContext::SignedBy::kNothing ? "" : context.caller.arn;
    entry.request_id = context.request_id;
    entry.operation = AccessLogOperation(context.operation, context.method);
    entry.host_header = HeaderOf(context, "host");
    entry.key = KeyOf(context.target, entry.host_header, bucket);
    entry.request_line = fmt::format("{} {} HTTP/1.1", context.method, context.target);
    entry.referer = HeaderOf(context, "referer");
    entry.user_agent = HeaderOf(context, "user-agent");
    entry.version_id = VersionOf(context.target);
    entry.signed_by = context.signed_by;
    entry.secure = context.secure;
    return entry;
}

std::string AccessLogLine(const AccessLogEntry& entry, const aws::AnswerSummary& answer) {
    using SignedBy = aws::RequestContext::SignedBy;
    const bool is_signed = entry.signed_by != SignedBy::kNothing;
    const std::string_view how = entry.signed_by == SignedBy::kHeader  ? "AuthHeader"
                                 : entry.signed_by == SignedBy::kQuery ? "QueryString"
                                                                       : "-";
    // Bytes sent stand for the object's size where all of it was answered; S3 does not tell it for
    // requests that do not read.
    const std::string bytes = answer.bytes_sent > 0 ? std::to_string(answer.bytes_sent) : "-";
    return fmt::format(
        "{} {} {} {} {} {} {} {} {} {} {} {} - {} {} {} {} {} {} {} {} {} {} {} - -\n",
        entry.bucket_owner,
        entry.bucket,
        Time(entry.time),
        OrDash(entry.remote_ip),
        OrDash(entry.requester),
        OrDash(entry.request_id),
        entry.operation,
        OrDash(entry.key),
        Quoted(entry.request_line),
        answer.status,
        OrDash(answer.error_code),
        bytes,
        Milliseconds(answer.total),
        Milliseconds(answer.turnaround),
        Quoted(entry.referer),
        Quoted(entry.user_agent),
        OrDash(entry.version_id),
        aws::protocol::HostId(entry.request_id),
        is_signed ? "SigV4" : "-",
        entry.secure ? "TLS_AES_128_GCM_SHA256" : "-",
        how,
        OrDash(entry.host_header),
        entry.secure ? "TLSv1.3" : "-");
}

}  // namespace hearth::s3
