#include "aws/front/router.h"

#include "aws/auth/s3_signature.h"
#include "aws/front/s3_address.h"
#include "aws/front/sites.h"
#include "aws/model/descriptor.h"

#include <utility>

namespace hearth::aws {
namespace {

constexpr std::string_view kS3 = "s3";

// The first label of a host name that has more than one.
std::string_view FirstLabel(std::string_view host) {
    const size_t dot = host.find('.');
    return dot == std::string_view::npos ? std::string_view() : host.substr(0, dot);
}

// "POST /bucket?uploads" and the like, and what goes to an object and is no form; every other POST
// without a signature is a query. (A queue's address has two parts, too, and takes forms.)
bool IsPostOfS3(const protocol::RequestParts& head) {
    const std::string_view type = head.Header("content-type");
    const std::string_view query = head.query;
    const std::string_view first = query.substr(0, query.find_first_of("=&"));
    const bool is_form = type.starts_with("application/x-www-form-urlencoded") ||
                         type.starts_with("application/x-amz-json");
    const size_t bucket_end = head.path.find('/', 1);
    const bool to_object =
        bucket_end != std::string_view::npos && bucket_end + 1 < head.path.size();
    if (to_object && !is_form && protocol::QueryAction(head).empty()) {
        return true;
    }
    return type.starts_with("multipart/form-data") || first == "delete" || first == "uploads" ||
           first == "uploadId" || first == "restore" || first == "select";
}

}  // namespace

Router::Router(std::vector<const model::Service*> services) : services_(std::move(services)) {
    s3_ = FindBySigningName(kS3);
}

const model::Service* Router::FindBySigningName(std::string_view name) const {
    for (const model::Service* service : services_) {
        if (service->signing_name == name) {
            return service;
        }
    }
    return nullptr;
}

const model::Service* Router::FindByHead(
    const protocol::RequestParts& head, const std::optional<CredentialScope>& scope) const {
    const model::Service* service = FindMainForm(head, scope);
    const bool by_query =
        service != nullptr && service->query_form != nullptr && head.Header("x-amz-target").empty();
    return by_query ? service->query_form : service;
}

const model::Service* Router::FindMainForm(
    const protocol::RequestParts& head, const std::optional<CredentialScope>& scope) const {
    if (const std::string_view target = head.Header("x-amz-target"); !target.empty()) {
        const std::string_view prefix = target.substr(0, target.rfind('.'));
        for (const model::Service* service : services_) {
            if (!service->target_prefix.empty() && service->target_prefix == prefix) {
                return service;
            }
        }
    }
    if (scope) {
        if (const model::Service* service = FindBySigningName(scope->service)) {
            return service;
        }
    }
    const std::string_view host = head.Header("host");
    if (s3_ != nullptr && !scope &&
        (S3Signature::IsPresignedForS3(head.query) ||
         head.Header("authorization").starts_with("AWS ") || BucketOfS3Host(HostName(host)))) {
        return s3_;
    }
    if (const std::string_view label = FirstLabel(host); !label.empty()) {
        if (const model::Service* service = FindBySigningName(label)) {
            return service;
        }
    }
    if (head.path != "/") {
        for (const model::Service* service : services_) {
            if (service->protocol == model::Protocol::kRestJson &&
                protocol::FindOperation(*service, head).ok()) {
                return service;
            }
        }
    }
    return s3_ != nullptr && !scope && MayBeForS3(head) ? s3_ : nullptr;
}

// Nothing is signed, and nobody else wants it.
bool Router::MayBeForS3(const protocol::RequestParts& head) const {
    if (!head.Header("authorization").empty() || !head.path.starts_with('/')) {
        return false;
    }
    const bool has_bucket = head.path != "/" || BucketOfLocalhost(HostName(head.Header("host")));
    if (head.method == "POST") {
        return has_bucket && IsPostOfS3(head);
    }
    return (has_bucket || head.method != "OPTIONS") && protocol::QueryAction(head).empty();
}

std::string Router::PathOfS3(const protocol::RequestParts& head) {
    const std::string host = HostName(head.Header("host"));
    std::optional<std::string> bucket = BucketOfS3Host(host);
    if (!bucket) {
        bucket = BucketOfLocalhost(host);
    }
    std::string path =
        bucket && !bucket->empty() ? PathOfBucket(*bucket, head.path) : std::string(head.path);
    // "/bucket/" is the bucket as well.
    if (path.size() > 2 && path.find('/', 1) == path.size() - 1) {
        path.pop_back();
    }
    return path;
}

const model::Service* Router::FindByBody(const protocol::RequestParts& request) const {
    const std::string action = protocol::QueryAction(request);
    if (action.empty()) {
        return nullptr;
    }
    for (const model::Service* service : services_) {
        const model::Service* form = service->query_form != nullptr ? service->query_form : service;
        if (form->protocol == model::Protocol::kQuery && form->FindOperation(action) != nullptr) {
            return form;
        }
    }
    return nullptr;
}

}  // namespace hearth::aws
