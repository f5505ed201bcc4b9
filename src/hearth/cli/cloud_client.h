#pragma once

#include "base/result.h"
#include "codec/json/json.h"
#include "hearth/cli/sign_request.h"
#include "http/blocking_client.h"

#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace hearth::cli {

// Where the commands find the cloud they talk to; every command has these options.
struct CloudOptions {
    std::string endpoint;
    std::string data;
    std::string region;
    bool json = false;
};

// The cloud as the commands see it.
//   endpoint  --endpoint, else HEARTH_ENDPOINT, else the file `endpoint` of the data directory,
//   else
//             http://127.0.0.1:4566
//   data      --data, else HEARTH_DATA, else where `hearth up` of this user keeps it
//   keys      AWS_ACCESS_KEY_ID of a `hearth aws` around us aside: the data directory's
//   credentials,
//             else the environment's, else any (open mode believes them)
// Errors are lines for the user.
class CloudClient final {
  public:
    explicit CloudClient(const CloudOptions& options);

    const std::string& endpoint() const { return endpoint_; }

    const std::string& data() const { return data_; }

    const std::string& region() const { return region_; }

    const Keys& keys() const { return keys_; }

    // The certificate authority of `--tls self`; empty where there is none.
    std::string ca_file() const;

    // A rest-json call, such as GET /2015-03-31/functions/ of lambda. Answers that are not 2xx
    // become
    // "<Code>: <message>".
    Result<http::ClientResponse> Rest(
        const std::string& service,
        const std::string& method,
        const std::string& target,
        const std::string& body = {},
        const std::vector<std::pair<std::string, std::string>>& headers = {});

    // A call of a service whose answer's body comes bit by bit; a false from `piece` ends it.
    Status RestStream(
        const std::string& service,
        const std::string& target,
        const std::function<bool(std::string_view)>& piece,
        const std::string& method = "GET");

    // An AWS JSON 1.1 call: target "Logs_20140328.FilterLogEvents".
    Result<codec::Json> Json11(
        const std::string& service, const std::string& target, const codec::Json& input);

    // Something below /_hearth/.
    Result<std::string> Admin(
        const std::string& method, const std::string& target, const std::string& body = {});

    // A call below /_hearth/ whose answer comes bit by bit; a false from `piece` ends it.
    Status AdminStream(
        const std::string& target,
        const std::function<bool(std::string_view)>& piece,
        const std::string& method = "GET");

  private:
    // With `piece`, the body goes there as it comes.
    Result<http::ClientResponse> Send(
        const std::string& service,
        http::ClientRequest request,
        const std::function<bool(std::string_view)>* piece = nullptr);

    std::string endpoint_;
    std::string data_;
    std::string region_;
    Keys keys_;
    bool tls_ = false;
    std::string host_;
    uint16_t port_ = 0;
    std::optional<http::BlockingClient> client_;
};

// For a path segment or a query value.
std::string Encoded(std::string_view text);

}  // namespace hearth::cli
