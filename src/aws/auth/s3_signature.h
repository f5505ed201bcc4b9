#pragma once

#include "aws/auth/aws_chunked.h"
#include "aws/auth/claimed_signature.h"
#include "aws/auth/sigv4.h"
#include "base/result.h"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// Signature Version 4 as S3 has it: in the Authorization header or in the query string (presigned).
// Unlike elsewhere the path is neither normalised nor encoded twice, and the head alone is signed:
// what it says of the payload (x-amz-content-sha256) is checked while that is read.
// Source: Amazon S3 API Reference, "Authenticating requests (AWS Signature Version 4)", 2025.
namespace hearth::aws {

inline constexpr std::chrono::minutes kS3SkewMax{15};
inline constexpr std::chrono::seconds kPresignedMax{7 * 24 * 3600};

// What a request says of its body.
struct S3Payload {
    enum class Kind {
        kUnsigned,                // as it is
        kHashed,                  // it has this SHA-256
        kSignedChunks,            // STREAMING-AWS4-HMAC-SHA256-PAYLOAD
        kSignedChunksTrailers,    // …-TRAILER
        kUnsignedChunksTrailers,  // STREAMING-UNSIGNED-PAYLOAD-TRAILER
    };

    Kind kind = Kind::kUnsigned;
    // kHashed: 64 digits in lower case.
    std::string sha256;

    bool chunked() const { return kind != Kind::kUnsigned && kind != Kind::kHashed; }

    // From x-amz-content-sha256.
    //   errors  InvalidArgument for what is none of the above; NotImplemented for asymmetric ones
    static Result<S3Payload> Parse(std::string_view text);
};

class S3Signature final : public ClaimedSignature {
  public:
    // nullopt: the request is unsigned. The request's buffers outlive the signature. `resource`:
    // the path with the bucket in it, for Signature Version 2.
    //   errors  S3's for what cannot be read; InvalidRequest for Signature Version 2 in a header
    static Result<std::optional<S3Signature>> Read(
        const SignedParts& request, std::string_view resource);

    // Whether a query has a signature, of whatever version and perhaps for another service.
    static bool IsPresigned(std::string_view query);
    // The same, but only where it says that it is for S3. For routing.
    static bool IsPresignedForS3(std::string_view query);

    std::string_view access_key_id() const override { return key_id_; }

    std::string_view session_token() const override { return session_token_; }

    std::string_view region() const override { return region_; }

    // Scope, time, what must be signed, and the signature.
    std::optional<Error> Verify(std::string_view secret, WallClock::time_point now) override;
    // Of these what needs no secret and a user's program may want to see fail, too: a presigned
    // request that is not yet, or no more, valid.
    std::optional<Error> CheckExpiry(WallClock::time_point now) const;

    Error BadRegion() const override;
    Error UnknownKey() const override;
    Error BadToken() const override;
    Error ExpiredSession() const override;

    bool presigned() const { return presigned_; }

    const S3Payload& payload() const { return payload_; }

    // After Verify returned nullopt; nullopt when nobody knew the key.
    const std::optional<ChunkSigning>& chunk_signing() const { return chunk_signing_; }

  private:
    explicit S3Signature(const SignedParts& request) : request_(request) {}

    static Result<S3Signature> ReadHeader(const SignedParts& request, std::string_view header);
    static Result<S3Signature> ReadQuery(
        const SignedParts& request, std::vector<std::pair<std::string, std::string>> parameters);

    // Signature Version 2, which boto3 still makes for presigned requests unless told otherwise.
    static Result<S3Signature> ReadOldQuery(
        const SignedParts& request,
        std::vector<std::pair<std::string, std::string>> parameters,
        std::string_view resource);
    std::optional<Error> VerifyOld(std::string_view secret, WallClock::time_point now) const;
    std::string OldStringToSign(std::string_view resource) const;

    Status ReadCredential(std::string_view credential);
    Error Malformed(std::string_view what) const;
    std::optional<Error> CheckScope(WallClock::time_point now) const;
    std::optional<Error> CheckSignedHeaders() const;
    std::string Canonical(bool path_as_received) const;

    SignedParts request_;
    bool presigned_ = false;
    std::string key_id_;
    std::string scope_;
    std::string scope_date_;
    std::string region_;
    std::string service_;
    std::string terminator_;
    std::string signed_headers_;
    std::string signature_;
    std::string session_token_;
    std::string time_text_;
    WallClock::time_point time_;
    std::chrono::seconds expires_{0};
    // Signature Version 2.
    bool old_ = false;
    std::string resource_;
    std::vector<std::pair<std::string, std::string>> parameters_;
    // As it stands in the canonical request.
    std::string payload_text_;
    S3Payload payload_;
    std::optional<ChunkSigning> chunk_signing_;
};

// A signature over a form's policy (browsers' uploads), whose fields stand in the form.
class S3PolicySignature final : public ClaimedSignature {
  public:
    // By name in lower case; `policy` as received, in Base64.
    struct Fields {
        std::string algorithm;
        std::string credential;
        std::string date;
        std::string signature;
        std::string security_token;
        std::string policy;
        // Of Signature Version 2, which has nothing else.
        std::string old_key_id;
        std::string old_signature;
    };

    //   errors  InvalidArgument for a field that is missing or cannot be read
    static Result<S3PolicySignature> Read(Fields fields);

    std::string_view access_key_id() const override { return key_id_; }

    std::string_view session_token() const override { return fields_.security_token; }

    std::string_view region() const override { return region_; }

    std::optional<Error> Verify(std::string_view secret, WallClock::time_point now) override;
    Error BadRegion() const override;
    Error UnknownKey() const override;
    Error BadToken() const override;
    Error ExpiredSession() const override;

  private:
    explicit S3PolicySignature(Fields fields) : fields_(std::move(fields)) {}

    Fields fields_;
    std::string key_id_;
    std::string scope_date_;
    std::string region_;
};

}  // namespace hearth::aws
