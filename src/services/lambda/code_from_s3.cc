#include "codec/crypto/crypto.h"
#include "services/lambda/errors.h"
#include "services/lambda/lambda_service.h"
#include "services/lambda/limits.h"
#include "services/object_reader.h"

#include <fmt/format.h>

#include <utility>

// Code that lies in S3: read once, when the function or layer is made; what becomes of the object
// afterwards does not matter to it.
// Source: Lambda API Reference, FunctionCode; the errors as the service answers them.
namespace hearth::lambda {

Task<Result<LambdaService::CodePackage>> LambdaService::FetchCode(
    const aws::RequestContext& context,
    std::optional<std::string>& zip_file,
    const std::optional<std::string>& s3_bucket,
    const std::optional<std::string>& s3_key,
    const std::optional<std::string>& s3_object_version,
    const std::optional<std::string>& image_uri,
    std::string& zip) {
    const bool in_s3 = objects_ != nullptr && s3_bucket && s3_key && !zip_file && !image_uri;
    // Directories of hot reloading are named as a bucket, too.
    if (!in_s3 || *s3_bucket == kHotReloadBucket) {
        co_return ReadCode(zip_file, s3_bucket, s3_key, image_uri, zip);
    }
    auto read = co_await objects_->ReadObject(
        {.bucket = *s3_bucket,
         .key = *s3_key,
         .version_id = s3_object_version,
         .region = context.region},
        limits::kUnzippedBytesMax);
    if (!read.ok()) {
        const Error& error = read.error();
        if (error.code() == "EntityTooLarge") {
            co_return errors::InvalidParameterValue(fmt::format(
                "Unzipped size must be smaller than {} bytes", limits::kUnzippedBytesMax));
        }
        if (!error.is_client_fault() || error.code().empty()) {
            co_return std::move(read).error();
        }
        co_return errors::InvalidParameterValue(fmt::format(
            "Error occurred while GetObject. S3 Error Code: {}. S3 Error Message: {}",
            error.code(),
            error.message()));
    }
    zip = *std::move(read);
    if (zip.empty()) {
        co_return errors::InvalidParameterValue("Uploaded file must be a non-empty zip");
    }
    CodePackage package;
    package.sha256 = codec::Sha256Base64(zip);
    package.size = static_cast<int64_t>(zip.size());
    co_return package;
}

}  // namespace hearth::lambda
