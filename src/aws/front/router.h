#pragma once

#include "aws/auth/sigv4.h"
#include "aws/front/service.h"
#include "aws/protocol/protocol.h"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hearth::aws {

// Which service a request means, by the tables of the models. Looked at in this order:
// X-Amz-Target, the service of the credential scope (in the header or, presigned, in the query),
// the Host header's labels, the path of the REST services, and for unsigned queries the Action.
// A service with two protocols is found in the form that the request has: JSON with X-Amz-Target,
// the query form without it.
// What is left and has a path may be an object of S3: "GET /bucket/key" says nothing else.
class Router final {
  public:
    explicit Router(std::vector<const model::Service*> services);

    // From the head alone; null when only the body can tell (an unsigned query), or nothing does.
    const model::Service* FindByHead(
        const protocol::RequestParts& head, const std::optional<CredentialScope>& scope) const;

    // The query service that has the request's Action (and Version, where it is given).
    const model::Service* FindByBody(const protocol::RequestParts& request) const;

    // Null where there is no S3.
    const model::Service* s3() const { return s3_; }

    // The path of a request for S3 as "/bucket/key", wherever the bucket was named.
    static std::string PathOfS3(const protocol::RequestParts& head);

  private:
    const model::Service* FindBySigningName(std::string_view name) const;
    const model::Service* FindMainForm(
        const protocol::RequestParts& head, const std::optional<CredentialScope>& scope) const;
    bool MayBeForS3(const protocol::RequestParts& head) const;

    std::vector<const model::Service*> services_;
    const model::Service* s3_ = nullptr;
};

}  // namespace hearth::aws
