#pragma once

#include <optional>
#include <string>
#include <string_view>

// Where a request for S3 names its bucket: in the path, or in front of the Host header's name.
namespace hearth::aws {

// What a host name says when it has S3's label in it: "s3", "s3-us-west-2", "s3-fips". The bucket
// is everything before the last such label, dots and all; empty: the path names it.
//   "photos.2026.s3.eu-west-1.localhost"  bucket "photos.2026"
//   "s3.localhost"                        path
//   "lambda.localhost"                    nullopt
std::optional<std::string> BucketOfS3Host(std::string_view host_name);

// The bucket of "<bucket>.localhost", which clients make of the endpoint http://localhost:4566.
// Only for a request that nobody else claims, as other services have names there, too.
// "hearth.localhost" is the cloud itself.
std::optional<std::string> BucketOfLocalhost(std::string_view host_name);

// "/bucket" and the path, which is empty or starts with a slash.
std::string PathOfBucket(std::string_view bucket, std::string_view path);

}  // namespace hearth::aws
