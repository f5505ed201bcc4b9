#pragma once

#include "aws/front/metrics.h"
#include "aws/front/sites.h"
#include "base/ids.h"
#include "services/lambda/function_url_store.h"
#include "services/lambda/http_answer.h"
#include "services/lambda/invoker.h"

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace hearth::lambda {

class LambdaService;

// The label of function URLs in host names and paths (aws/front/sites.h).
inline constexpr std::string_view kFunctionUrlLabel = "lambda-url";

// "http://<id>.lambda-url.<region>.localhost:4566/", with scheme and port of `endpoint`, which is
// how the caller reached Hearth. Below the endpoint's own name where that is a name; below
// .localhost where it is this machine's or an address.
std::string FunctionUrlText(std::string_view endpoint, std::string_view id, const Region& region);

// What comes to function URLs: finds the function, answers browsers' preflights, checks who may
// call, turns the request into an event and the function's answer into HTTP. In order of these
// steps: Serve in function_url_site.cc.
class FunctionUrlSite final : public aws::Site {
  public:
    // `service` outlives it.
    FunctionUrlSite(LambdaService& service, aws::Metrics& metrics);

    Task<http::Response> Serve(aws::SiteRequest& request) override;

  private:
    struct Visit;

    Task<http::Response> ServeUrl(Visit& visit);
    // Whether the visit may call, as far as it can be told without its body. Null: yes.
    Task<Result<bool>> MayCall(const Visit& visit, const aws::Caller* caller);
    Task<Result<http::Response>> Call(Visit& visit, std::string event);
    Task<Result<http::Response>> CallStreaming(
        Visit& visit,
        std::shared_ptr<const FunctionVersion> function,
        InvokeRequest request,
        std::shared_ptr<const CodeDirectory> code);

    LambdaService& service_;
    // By the first digit of the status.
    std::array<aws::Counter, 4> answers_;
};

}  // namespace hearth::lambda
