#include "codec/crypto/crypto.h"
#include "services/lambda/errors.h"
#include "services/lambda/lambda_service.h"
#include "services/lambda/limits.h"

#include <fmt/format.h>

// An uploaded zip on its way into a record. Equal bytes in one account and region are kept once:
// the record of the code (FunctionTransaction::FindCode) names the blob, and references from the
// versions keep it.
namespace hearth::lambda {

void LambdaService::CodePackage::WriteTo(FunctionRecord& record) const {
    record.code_sha256 = sha256;
    record.code_size = size;
    record.code_unzipped_size = unzipped_size;
    record.code_blob = blob;
    record.hot_reload_directory = hot_reload_directory;
}

Result<LambdaService::CodePackage> LambdaService::ReadCode(
    std::optional<std::string>& zip_file,
    const std::optional<std::string>& s3_bucket,
    const std::optional<std::string>& s3_key,
    const std::optional<std::string>& image_uri,
    std::string& zip) const {
    CodePackage package;
    if (image_uri) {
        return errors::NotSupported("container images (ImageUri)");
    }
    if (zip_file && (s3_bucket || s3_key)) {
        return errors::InvalidParameterValue(
            "Please do not provide other FunctionCode parameters when providing a ZipFile.");
    }
    if (s3_bucket || s3_key) {
        if (!s3_bucket || !s3_key) {
            return errors::InvalidParameterValue("S3Bucket and S3Key must be provided together.");
        }
        if (*s3_bucket == kHotReloadBucket) {
            HEARTH_TRY(package.hot_reload_directory, hot_reload_.ReadPath(*s3_key));
            package.sha256 = "hot-reloading-hash-not-available";
            return package;
        }
        return errors::NotSupported("code from S3 (S3Bucket, S3Key)");
    }
    if (!zip_file) {
        return errors::InvalidParameterValue("Please provide a source for function code.");
    }
    if (zip_file->empty()) {
        return errors::InvalidParameterValue("Uploaded file must be a non-empty zip");
    }
    if (zip_file->size() > limits::kZipBytesMax) {
        return errors::RequestEntityTooLarge(
            fmt::format("Zipped size must be smaller than {} bytes", limits::kZipBytesMax));
    }
    zip = *std::move(zip_file);
    zip_file.reset();
    package.sha256 = codec::Sha256Base64(zip);
    package.size = static_cast<int64_t>(zip.size());
    return package;
}

Task<Status> LambdaService::TransactWithCode(
    FunctionKey key, CodePackage package, std::string zip, const CodeBody& body) {
    if (!package.hot_reload_directory.empty()) {
        HEARTH_CO_RETURN_IF_ERROR(co_await hot_reload_.Check(package.hot_reload_directory));
        const FunctionStore::Body plain = [&](FunctionTransaction& transaction) -> Task<Status> {
            return body(transaction, package);
        };
        co_return co_await store_.Transact(plain);
    }
    for (;;) {
        std::optional<CodeRecord> known;
        const FunctionStore::Body look = [&](FunctionTransaction& transaction) -> Task<Status> {
            HEARTH_CO_TRY(
                known, co_await transaction.FindCode(key.account, key.region, package.sha256));
            co_return Status();
        };
        HEARTH_CO_RETURN_IF_ERROR(co_await store_.Transact(look));
        package.added = !known;
        if (known) {
            package.blob = known->blob;
            package.unzipped_size = known->unzipped_size;
        } else {
            HEARTH_CO_TRY(CodeStore::Added added, co_await code_.Add(zip));
            package.blob = std::move(added.id);
            package.unzipped_size = added.unzipped_bytes;
        }
        bool taken = false;
        bool gone = false;
        const FunctionStore::Body wrapped = [&](FunctionTransaction& transaction) -> Task<Status> {
            taken = false;
            gone = false;
            HEARTH_CO_TRY(
                const auto kept,
                co_await transaction.FindCode(key.account, key.region, package.sha256));
            CodePackage current = package;
            if (kept) {
                current.blob = kept->blob;
                current.unzipped_size = kept->unzipped_size;
                taken = kept->blob == package.blob;
            } else if (package.added) {
                transaction.PutCode(
                    key.account,
                    key.region,
                    package.sha256,
                    {package.blob, package.size, package.unzipped_size});
                taken = true;
            } else {
                // Its last user was deleted after we looked.
                gone = true;
                co_return hearth::errors::Unavailable("the code was deleted meanwhile");
            }
            co_return co_await body(transaction, current);
        };
        const Status status = co_await store_.Transact(wrapped);
        // After a lost answer the record may be there; the sweep of a later start decides.
        const bool unknown = !status.ok() && status.error().kind() == Error::Kind::kUnavailable;
        if (package.added && !unknown && !(status.ok() && taken)) {
            co_await code_.Drop(package.blob);
        }
        if (!gone) {
            co_return status;
        }
    }
}

}  // namespace hearth::lambda
