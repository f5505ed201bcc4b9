#pragma once

#include "aws/front/service.h"
#include "services/event_target.h"
#include "services/object_reader.h"
#include "services/s3/access_log.h"
#include "services/s3/body_moves.h"
#include "services/s3/checksums.h"
#include "services/s3/conditionals.h"
#include "services/s3/control_operations.h"
#include "services/s3/customer_key.h"
#include "services/s3/lifecycle_engine.h"
#include "services/s3/names.h"
#include "services/s3/notifications.h"
#include "services/s3/object_event_target.h"
#include "services/s3/object_restores.h"
#include "services/s3/part_removal.h"
#include "services/s3/read_request.h"
#include "services/s3/s3_store.h"
#include "services/s3/scrub.h"
#include "services/s3/upload_store.h"
#include "services/s3/website_site.h"
#include "services/service_deps.h"
#include "storage/objects/object_bodies.h"

#include "gen/s3/operations.gen.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hearth::s3 {

// Buckets and objects. Operations may run on any loop; all state is in the store and in bodies on
// disk (storage/objects). An operation's method is in the file named after it; each group adds its
// operations to the table in a function of its own, called by the constructor.
class S3Service final : public aws::ServiceApi, public ObjectReader {
  public:
    // `event_targets`: where notifications go; filled by the time the service starts.
    S3Service(
        const ServiceDeps& deps,
        EventTarget& event_targets,
        std::unique_ptr<storage::ObjectBodies> bodies);

    const aws::model::Service& Model() const override { return model::Service(); }

    const aws::OperationTable& Operations() const override { return operations_; }

    aws::CrossOriginRules* CrossOrigin() override { return &control_; }

    Task<Status> Start() override;
    Task<void> Stop() override;

    Task<Result<std::string>> ReadObject(Name name, uint64_t bytes_max) override;

    // Buckets as targets of other services' events.
    EventTarget& event_target() { return object_target_; }

  private:
    // --- Common to all operations (request_checks.cc) ---

    // The bucket of a request: x-amz-expected-bucket-owner is checked. Errors: NoSuchBucket,
    // AccessDenied.
    Task<Result<BucketHandle>> Bucket(
        aws::RequestContext& context,
        const std::optional<std::string>& name,
        const std::optional<std::string>& expected_owner);
    // The same for the source of a copy.
    Task<Result<BucketHandle>> SourceBucket(
        const std::string& name, const std::optional<std::string>& expected_owner);

    // --- Bytes in and out (object_bytes.cc) ---

    // A body that is durable and belongs to nobody yet, and the value of its check sum.
    struct Received {
        storage::FinishedBody body;
        std::string checksum;
    };

    // Takes the request's body to its end and compares it with what was promised. `in_input`: where
    // the body came with the input instead.
    Task<Result<Received>> Receive(
        aws::RequestContext& context,
        const std::optional<std::string>& in_input,
        const UploadChecks& checks,
        const std::optional<CustomerKeyOfRequest>& customer_key,
        storage::BodyTier place);

    // Fills what a record keeps of a body: body, body_inline, size, encryption. The inline bytes
    // come back, for S3Store::Put.
    template <class Record>
    static std::string KeepBody(const storage::FinishedBody& body, Record& record) {
        storage::StoredBody stored = body.body();
        record.size = stored.length;
        record.body_inline = stored.is_inline();
        std::string inline_bytes = std::move(stored.inline_bytes);
        stored.inline_bytes.clear();
        record.body = stored.Encode();
        return inline_bytes;
    }

    // All bodies of an object in order, with their inline bytes. Error kBodyGone (storage) when the
    // version was displaced since its record was read: read the record again.
    Task<Result<std::vector<storage::StoredBody>>> BodiesOf(
        const BucketRecord& bucket, const ObjectRecord& record);
    Task<Result<std::unique_ptr<storage::BodySource>>> OpenObject(
        const BucketRecord& bucket, const ObjectRecord& record, storage::OpenOptions options);
    // Bytes of an object as a body of their own, that belongs to nobody yet.
    Task<Result<storage::FinishedBody>> CopyBytes(
        const BucketRecord& bucket,
        const ObjectRecord& record,
        storage::OpenOptions options,
        storage::BodyHashes hashes,
        const std::optional<CustomerKeyOfRequest>& customer_key,
        storage::BodyTier place);
    // Kv::Transact with errors in S3's words: OperationAborted for a conflict that outlived its
    // retries, InternalError when the answer was lost (`unknown`, if given, says so).
    Task<Status> Transact(storage::Kv::Body body, bool* unknown = nullptr);

    // Makes `record` current in one transaction and gives room back; `finished` (null: none) is
    // kept with it. `cause` (null: S3 itself) and `event` are what the bucket tells of it. Errors:
    // those of `conditions`, NoSuchBucket, OperationAborted.
    struct Told {
        const aws::RequestContext* cause = nullptr;
        NotificationEvent event = NotificationEvent::kCreatedPut;
    };

    Task<Result<ObjectRecord>> Commit(
        const BucketState& bucket,
        ObjectRecord record,
        const std::string* inline_bytes,
        storage::FinishedBody* finished,
        const WriteConditions& conditions,
        Told told);

    // An object of Hearth's own making, such as a piece of an access log.
    Task<Status> PutText(
        BucketHandle bucket,
        std::string key,
        std::string text,
        std::string content_type = "text/plain");

    // Of a body that an object has alone: entity tag, check sum, what it is encrypted with.
    void FinishRecord(
        ObjectRecord& record,
        const storage::FinishedBody& body,
        ChecksumAlgorithm algorithm,
        std::string checksum);
    // What the storage of bodies says, in S3's words.
    static Error TranslateBodyError(Error error);

    // The source of CopyObject and UploadPartCopy (copy_object.cc): found, allowed by its
    // conditions, readable now.
    struct CopySourceObject {
        CopySource source;
        BucketHandle bucket;
        ObjectRecord record;
    };

    Task<Result<CopySourceObject>> FindCopySource(
        aws::RequestContext& context,
        const std::optional<std::string>& header,
        const std::optional<std::string>& expected_owner,
        const ReadConditions& conditions,
        const std::optional<CustomerKeyOfRequest>& key);
    // Its bytes, or a range of them, as a body of their own. Error kBodyGone (storage): it was
    // overwritten since it was found; find it again.
    Task<Result<storage::FinishedBody>> CopyBytes(
        const CopySourceObject& from, storage::OpenOptions range, storage::BodyOptions to);

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
    // What GET and HEAD have in common; adds headers that go with errors to the context.
    Task<Result<ReadPlan>> PlanRead(
        aws::RequestContext& context, const BucketRecord& bucket, ReadRequest request);

    // The n-th part of an object: where it is and what it is. Errors: InvalidPartNumber.
    struct PartOfObject {
        ByteRange range;
        std::map<std::string, std::string> checksums;
    };

    Task<Result<PartOfObject>> FindPart(
        const BucketRecord& bucket, const ObjectRecord& record, int32_t number);
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

    // Where a part goes: an upload that exists, asked for with the right key.
    struct PartTarget {
        BucketHandle bucket;
        UploadRecord upload;
        int32_t number = 0;
    };

    // Errors: InvalidArgument, NoSuchUpload, InvalidRequest.
    Task<Result<PartTarget>> FindPartTarget(
        BucketHandle bucket,
        std::string key,
        std::string upload_id,
        int32_t number,
        const std::optional<CustomerKeyOfRequest>& customer_key);
    // Replaces the part of that number and gives room back.
    Task<Status> StorePart(
        const PartTarget& target, PartRecord part, storage::FinishedBody finished);
    // One transaction of CompleteMultipartUpload (complete_multipart_upload.cc).
    struct Completion;
    Task<Status> CompleteIn(storage::Transaction& transaction, Completion& completion);
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

    // Control: ControlOperations, which adds itself to the table.

    ServiceDeps deps_;
    Notifications notifications_;
    std::unique_ptr<storage::ObjectBodies> bodies_;
    PartRemoval part_removal_;
    S3Store store_;
    UploadStore uploads_;
    AccessLog access_log_;
    ObjectEventTarget object_target_;
    BodyMoves body_moves_;
    LifecycleEngine lifecycle_;
    ObjectRestores restores_;
    Scrub scrub_;
    ControlOperations control_;
    WebsiteSite website_;
    aws::OperationTable operations_;
};

// With bodies below the data directory. Aborts when that cannot be made: nothing of S3 would work.
std::unique_ptr<S3Service> MakeS3Service(const ServiceDeps& deps, EventTarget& event_targets);

}  // namespace hearth::s3
