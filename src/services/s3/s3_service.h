#pragma once

#include "aws/front/service.h"
#include "services/s3/s3_store.h"
#include "services/s3/upload_store.h"
#include "services/service_deps.h"

#include "gen/s3/operations.gen.h"

#include <string>
#include <string_view>

namespace hearth::s3 {

// Buckets and objects. Operations may run on any loop; all state is in the store and in bodies on
// disk (storage/objects). An operation's method is in the file named after it; each group adds its
// operations to the table in a function of its own, called by the constructor.
class S3Service final : public aws::ServiceApi {
  public:
    explicit S3Service(const ServiceDeps& deps);

    const aws::model::Service& Model() const override { return model::Service(); }

    const aws::OperationTable& Operations() const override { return operations_; }

    Task<Status> Start() override;
    Task<void> Stop() override;

  private:
    // --- Common to all operations (request_checks.cc) ---

    // The bucket of a request: x-amz-expected-bucket-owner is checked. Errors: NoSuchBucket,
    // AccessDenied.
    Task<Result<BucketHandle>> Bucket(
        const aws::RequestContext& context,
        const std::optional<std::string>& name,
        const std::optional<std::string>& expected_owner);

    // --- Buckets (buckets.cc, bucket_versioning.cc) ---
    void AddBucketOperations();
    Task<Result<model::CreateBucket::Output>> CreateBucket(
        aws::RequestContext& context, model::CreateBucket::Input input);
    Task<Result<model::HeadBucket::Output>> HeadBucket(
        aws::RequestContext& context, model::HeadBucket::Input input);
    Task<Result<model::GetBucketLocation::Output>> GetBucketLocation(
        aws::RequestContext& context, model::GetBucketLocation::Input input);
    Task<Result<model::DeleteBucket::Output>> DeleteBucket(
        aws::RequestContext& context, model::DeleteBucket::Input input);
    Task<Result<model::ListBuckets::Output>> ListBuckets(
        aws::RequestContext& context, model::ListBuckets::Input input);
    Task<Result<model::PutBucketVersioning::Output>> PutBucketVersioning(
        aws::RequestContext& context, model::PutBucketVersioning::Input input);
    Task<Result<model::GetBucketVersioning::Output>> GetBucketVersioning(
        aws::RequestContext& context, model::GetBucketVersioning::Input input);

    // --- Objects (put_object.cc, get_object.cc, delete_object.cc, copy_object.cc ...) ---
    void AddObjectOperations();
    Task<Result<model::PutObject::Output>> PutObject(
        aws::RequestContext& context, model::PutObject::Input input);
    Task<Result<model::GetObject::Output>> GetObject(
        aws::RequestContext& context, model::GetObject::Input input);
    Task<Result<model::HeadObject::Output>> HeadObject(
        aws::RequestContext& context, model::HeadObject::Input input);
    Task<Result<model::GetObjectAttributes::Output>> GetObjectAttributes(
        aws::RequestContext& context, model::GetObjectAttributes::Input input);
    Task<Result<model::DeleteObject::Output>> DeleteObject(
        aws::RequestContext& context, model::DeleteObject::Input input);
    Task<Result<model::DeleteObjects::Output>> DeleteObjects(
        aws::RequestContext& context, model::DeleteObjects::Input input);
    Task<Result<model::CopyObject::Output>> CopyObject(
        aws::RequestContext& context, model::CopyObject::Input input);

    // --- Listings (list_objects.cc, list_object_versions.cc, list_uploads.cc) ---
    void AddListOperations();
    Task<Result<model::ListObjects::Output>> ListObjects(
        aws::RequestContext& context, model::ListObjects::Input input);
    Task<Result<model::ListObjectsV2::Output>> ListObjectsV2(
        aws::RequestContext& context, model::ListObjectsV2::Input input);
    Task<Result<model::ListObjectVersions::Output>> ListObjectVersions(
        aws::RequestContext& context, model::ListObjectVersions::Input input);
    Task<Result<model::ListMultipartUploads::Output>> ListMultipartUploads(
        aws::RequestContext& context, model::ListMultipartUploads::Input input);

    // --- Multipart (create_multipart_upload.cc, upload_part.cc ...) ---
    void AddMultipartOperations();
    Task<Result<model::CreateMultipartUpload::Output>> CreateMultipartUpload(
        aws::RequestContext& context, model::CreateMultipartUpload::Input input);
    Task<Result<model::UploadPart::Output>> UploadPart(
        aws::RequestContext& context, model::UploadPart::Input input);
    Task<Result<model::UploadPartCopy::Output>> UploadPartCopy(
        aws::RequestContext& context, model::UploadPartCopy::Input input);
    Task<Result<model::ListParts::Output>> ListParts(
        aws::RequestContext& context, model::ListParts::Input input);
    Task<Result<model::CompleteMultipartUpload::Output>> CompleteMultipartUpload(
        aws::RequestContext& context, model::CompleteMultipartUpload::Input input);
    Task<Result<model::AbortMultipartUpload::Output>> AbortMultipartUpload(
        aws::RequestContext& context, model::AbortMultipartUpload::Input input);

    // --- Control: C's block. Add `void AddControlOperations();` here and call it in the
    // constructor. ---

    ServiceDeps deps_;
    S3Store store_;
    UploadStore uploads_;
    aws::OperationTable operations_;
};

}  // namespace hearth::s3
