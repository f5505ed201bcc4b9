#pragma once

#include "aws/model/descriptor.h"
#include "base/result.h"
#include "services/s3/cors_rules.h"
#include "services/s3/lifecycle_rules.h"
#include "services/s3/notification_rules.h"
#include "services/s3/object_lock.h"
#include "services/s3/website_rules.h"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

// What a bucket's owner has configured, in the form it is used in. The records are kept one for
// each setting (keys::Setting) and are read and changed together with the bucket
// (S3Store::FindBucket, S3Store::ChangeBucket); this is what FindBucket makes of them, once for
// each change.
namespace hearth::s3 {

// Names of settings, as in storage keys: never changed. Those of which there are several have their
// id behind a slash.
namespace setting {
inline constexpr std::string_view kAcl = "acl";                                // acl.h
inline constexpr std::string_view kCors = "cors";                              // JSON, wire names
inline constexpr std::string_view kEncryption = "encryption";                  // JSON
inline constexpr std::string_view kIntelligentTiering = "tiering/";            // + id; JSON
inline constexpr std::string_view kLifecycle = "lifecycle";                    // JSON
inline constexpr std::string_view kLifecycleMinimum = "lifecycle-minimum";     // text
inline constexpr std::string_view kLogging = "logging";                        // JSON
inline constexpr std::string_view kNotification = "notification";              // JSON
inline constexpr std::string_view kObjectLock = "object-lock";                 // JSON
inline constexpr std::string_view kOwnership = "ownership";                    // JSON
inline constexpr std::string_view kPolicy = "policy";                          // the document
inline constexpr std::string_view kPublicAccessBlock = "public-access-block";  // JSON
inline constexpr std::string_view kTagging = "tagging";                        // JSON
inline constexpr std::string_view kWebsite = "website";                        // JSON
inline constexpr std::string_view kAccelerate = "accelerate";                  // JSON
// A setting that a new bucket has by default and that was taken away.
inline constexpr std::string_view kRemoved = "-";
}  // namespace setting

enum class ObjectOwnership : uint8_t { kBucketOwnerEnforced, kBucketOwnerPreferred, kObjectWriter };

// Accounts outside may be kept from a bucket whatever policies and ACLs say.
struct PublicAccessBlock {
    bool block_public_acls = true;
    bool ignore_public_acls = true;
    bool block_public_policy = true;
    bool restrict_public_buckets = true;
};

// Where copies of a bucket's access log go.
struct LoggingTarget {
    std::string bucket;
    std::string prefix;
    // [prefix][account]/[region]/[bucket]/[yyyy]/[mm]/[dd]/... instead of [prefix]....
    bool partitioned = false;
    // Partitions by the time of delivery instead of that of the events.
    bool by_delivery_time = false;
};

// Immutable once made; shared by all requests of a bucket.
struct BucketSettings {
    // By kind, as stored.
    using Records = std::map<std::string, std::string, std::less<>>;

    //   errors  kInternal: a record that no version of Hearth has written
    static Result<BucketSettings> Compile(const Records& records);

    // BucketOwnerEnforced unless configured, ObjectWriter when the controls were deleted.
    ObjectOwnership ownership = ObjectOwnership::kBucketOwnerEnforced;

    bool acls_enabled() const { return ownership != ObjectOwnership::kBucketOwnerEnforced; }

    // Nullopt: it was deleted, and nothing is blocked.
    std::optional<PublicAccessBlock> public_access_block = PublicAccessBlock{};
    // What new versions get when the request says nothing (LockNewVersion of object_lock.h).
    std::optional<DefaultRetention> default_retention;
    // Uploads that bring their own key are refused.
    bool blocks_customer_keys = false;
    std::optional<LoggingTarget> logging;
    // Null: none.
    std::shared_ptr<const CorsRules> cors;
    std::shared_ptr<const LifecycleRules> lifecycle;
    std::shared_ptr<const NotificationRules> notifications;
    std::shared_ptr<const WebsiteRules> website;
    // Opt-in archive tiers, in order of id.
    std::shared_ptr<const TieringRules> tiering;
};

// One setting as JSON of its wire names, which never change: the payload of the operation that puts
// it, so there is no second description of its shape.
//   std::string record = EncodeSetting(model::PutBucketCors::Descriptor(), &input);
//   HEARTH_TRY(auto cors, DecodeSetting<model::PutBucketCors>(record)).cors_configuration
std::string EncodeSetting(const aws::model::Operation& put, const void* input);
Status DecodeSettingInto(const aws::model::Operation& put, std::string_view record, void* input);

template <class Put>
Result<typename Put::Input> DecodeSetting(std::string_view record) {
    typename Put::Input input;
    HEARTH_RETURN_IF_ERROR(DecodeSettingInto(Put::Descriptor(), record, &input));
    return input;
}

}  // namespace hearth::s3
