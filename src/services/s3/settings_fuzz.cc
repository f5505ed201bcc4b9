#include "base/check.h"
#include "services/s3/acl.h"
#include "services/s3/bucket_policy.h"
#include "services/s3/bucket_settings.h"
#include "services/s3/cors_rules.h"
#include "services/s3/tags.h"

#include <cstdint>
#include <string>
#include <string_view>

// The texts of bucket configurations that are not XML. The first byte says which.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace hearth;
    if (size == 0) {
        return 0;
    }
    const std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
    switch (data[0] % 5) {
        case 0:
            if (s3::CheckBucketPolicy(text, "bucket").ok()) {
                static_cast<void>(s3::PolicyIsPublic(text));
            }
            break;
        case 1:
            static_cast<void>(s3::ParseTaggingHeader(text).ok());
            break;
        case 2: {
            s3::AclHeaders headers;
            headers.read = std::string(text);
            const std::string owner(64, 'a');
            const auto acl = s3::AclFromHeaders(headers, s3::AclOf::kObject, owner, owner);
            if (acl.ok() && *acl) {
                const auto again = s3::Acl::Decode((*acl)->Encode());
                CHECK(again.ok() && again->grants == (*acl)->grants, "an ACL changed in storage");
            }
            break;
        }
        case 3: {
            const size_t cut = text.find('\n');
            s3::CorsRule rule;
            rule.origins = {std::string(text.substr(0, cut))};
            rule.methods = {"GET"};
            rule.allowed_headers = {"x-*", "*-y"};
            const std::string_view rest =
                cut == std::string_view::npos ? std::string_view() : text.substr(cut + 1);
            static_cast<void>(s3::CorsRules({rule}).Answer(rest, "GET", rest));
            break;
        }
        default: {
            s3::BucketSettings::Records records;
            records.emplace(s3::setting::kCors, text);
            records.emplace(s3::setting::kLifecycle, text);
            records.emplace(s3::setting::kWebsite, text);
            static_cast<void>(s3::BucketSettings::Compile(records).ok());
        }
    }
    return 0;
}
