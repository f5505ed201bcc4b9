#pragma once

#include "aws/auth/sigv4.h"
#include "aws/front/service.h"
#include "aws/protocol/protocol.h"

#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace hearth::aws {

// Which service a request means, by the tables of the models. Looked at in this order:
// X-Amz-Target, the service of the credential scope, the Host header's first label, the path of the
// REST services, and for unsigned queries the Action.
class Router final {
  public:
    explicit Router(std::vector<const model::Service*> services);

    // From the head alone; null when only the body can tell (an unsigned query), or nothing does.
    const model::Service* FindByHead(
        const protocol::RequestParts& head, const std::optional<CredentialScope>& scope) const;

    // The query service that has the request's Action (and Version, where it is given).
    const model::Service* FindByBody(const protocol::RequestParts& request) const;

  private:
    const model::Service* FindBySigningName(std::string_view name) const;

    std::vector<const model::Service*> services_;
};

}  // namespace hearth::aws
