#pragma once

#include "aws/auth/sigv4.h"
#include "aws/front/context.h"
#include "aws/front/doors.h"
#include "base/clock.h"
#include "base/result.h"
#include "http/message.h"
#include "rt/task.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// A site is web traffic of a customer's own: what comes to a function URL, and later to a bucket's
// website or an API. It is no call of an AWS operation, so the gateway hands it over before it
// routes, as HTTP, with the same limits on requests and bodies.
//
// A site has a label. A request is for it when its Host is `<id>.<label>.<anything>` (AWS's own
// names, or below .localhost), or, for clients that cannot use such a name, when its path is
// `/_hearth/<label>/<id>/...`; the site is shown the path behind the id.
namespace hearth::aws {

// Who signed a site's request.
struct SiteCaller {
    Caller caller;
    // Of the credential scope.
    std::string region;
};

// One request to a site. Its views live until the site's handler has returned.
class SiteRequest {
  public:
    virtual ~SiteRequest() = default;

    std::string request_id;
    // When its head was read.
    MonotonicClock::time_point began;
    // What stands before the label: "abc" of abc.lambda-url.eu-west-1.localhost; lower case.
    std::string id;
    // The Host header in lower case, without a port; empty when there is none.
    std::string host;
    // It came by the path form, and `host` is the cloud's own.
    bool by_path = false;

    std::string_view method;
    // As received, percent-encoded; always starts with a slash. In the path form what follows the
    // id.
    std::string_view path;
    std::string_view query;
    // In the order received, names in lower case.
    std::vector<std::pair<std::string, std::string>> headers;
    int minor_version = 1;

    std::string peer_address;
    bool secure = false;
    // Whose environment it came from; null for the outside.
    const DoorIdentity* door = nullptr;

    // The first header of that name; empty when there is none.
    std::string_view Header(std::string_view lower_case_name) const {
        for (const auto& [name, value] : headers) {
            if (name == lower_case_name) {
                return value;
            }
        }
        return {};
    }

    // The whole body, once, within the memory for all bodies.
    //   errors  413 when it is larger than `bytes_max`, 503 when there is no room for it now, and
    //           those of http::BodyReader
    virtual Task<Result<std::string>> ReadBody(uint64_t bytes_max) = 0;

    // Verifies the signature over the request as it was received, made for `signing_name`. Empty:
    // it has none. In open mode a key that nobody knows is believed, as everywhere.
    //   errors  as the protocol REST-JSON shows them
    virtual Task<Result<std::optional<SiteCaller>>> Identify(
        std::string_view signing_name, std::string_view body) = 0;
};

class Site {
  public:
    virtual ~Site() = default;
    // Called for many at a time, each on its connection's loop. The request lives until the task
    // has ended: an answer's stream owns what it needs. A CHECK_REQUEST that fails is answered with
    // 500.
    virtual Task<http::Response> Serve(SiteRequest& request) = 0;
};

// The sites by label. Immutable once the gateway runs.
class Sites final {
  public:
    // Before the gateway starts; `site` outlives it. `label` such as "lambda-url".
    void Add(std::string label, Site& site);

    struct Address {
        Site* site = nullptr;
        std::string id;
        // Path form alone: what follows the id, at least a slash.
        std::string_view path;
    };

    // `host` as in a Host header or an origin, perhaps with a port.
    std::optional<Address> FindByHost(std::string_view host) const;
    // `path` as received.
    std::optional<Address> FindByPath(std::string_view path) const;

  private:
    std::vector<std::pair<std::string, Site*>> sites_;
};

// A Host header's name in lower case without the port.
std::string HostName(std::string_view host);

}  // namespace hearth::aws
