#include "codec/base64/base64.h"
#include "services/lambda/errors.h"
#include "services/lambda/lambda_service.h"

#include <fmt/format.h>

#include <charconv>

// Code.Location of functions and layers: where a zip can be fetched for ten minutes, as on AWS
// without a signature. The token in the query says until when, sealed for this piece of code.
namespace hearth::lambda {
namespace {

constexpr std::string_view kPath = "/_hearth/lambda/code/";
constexpr std::chrono::minutes kLifetime{10};

std::string SealContext(std::string_view blob) {
    return fmt::format("lambda/code/{}", blob);
}

std::string UrlSafe(std::string text) {
    for (char& c : text) {
        c = c == '+' ? '-' : c == '/' ? '_' : c;
    }
    while (text.ends_with('=')) {
        text.pop_back();
    }
    return text;
}

std::string FromUrlSafe(std::string text) {
    for (char& c : text) {
        c = c == '-' ? '+' : c == '_' ? '/' : c;
    }
    text.resize((text.size() + 3) / 4 * 4, '=');
    return text;
}

Error Expired() {
    return Error(
        Error::Kind::kDenied, "AccessDenied", "The location of the code has expired.", 403);
}

}  // namespace

std::string LambdaService::CodeLocation(
    const aws::RequestContext& context, const FunctionRecord& record) const {
    if (!record.hot_reload_directory.empty()) {
        return "file://" + record.hot_reload_directory;
    }
    return BlobLocation(context, record.code_blob);
}

std::string LambdaService::BlobLocation(
    const aws::RequestContext& context, const std::string& blob) const {
    const std::string until = fmt::format("{}", UnixMs(context.now + kLifetime));
    const std::string token =
        UrlSafe(codec::Base64Encode(sealing_key_.Seal(until, SealContext(blob))));
    return fmt::format("{}{}{}?token={}", context.endpoint, kPath, blob, token);
}

Task<Result<aws::AdminAnswer>> LambdaService::ServeCode(aws::AdminRequest request) {
    const std::string blob = request.path.substr(kPath.size());
    const auto sealed = codec::Base64Decode(FromUrlSafe(request.Query("token")));
    if (!sealed.ok()) {
        co_return Expired();
    }
    const auto until = sealing_key_.Open(*sealed, SealContext(blob));
    if (!until.ok()) {
        co_return Expired();
    }
    int64_t until_ms = 0;
    std::from_chars(until->data(), until->data() + until->size(), until_ms);
    if (UnixMs(deps_.wall_clock.Now()) > until_ms) {
        co_return Expired();
    }
    auto zip = co_await code_.ReadZip(blob);
    if (!zip.ok() && zip.error().kind() == Error::Kind::kNotFound) {
        co_return errors::ResourceNotFound("The code is not there any more.");
    }
    HEARTH_CO_RETURN_IF_ERROR(zip.ok() ? Status() : Status(zip.error()));
    aws::AdminAnswer answer;
    answer.content_type = "application/zip";
    answer.body = *std::move(zip);
    co_return answer;
}

void LambdaService::AddEndpoints() {
    deps_.admin.AddUnsigned("GET", std::string(kPath), [this](aws::AdminRequest request) {
        return ServeCode(std::move(request));
    });
}

}  // namespace hearth::lambda
