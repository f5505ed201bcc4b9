#pragma once

#include "aws/front/sites.h"
#include "services/s3/s3_store.h"
#include "services/service_deps.h"
#include "storage/objects/object_bodies.h"

#include <functional>
#include <memory>
#include <string_view>

namespace hearth::s3 {

// Buckets as web sites: `<bucket>.s3-website.<anything>` (and s3-website-<region>, as in the
// regions whose names AWS writes so), or /_hearth/s3-website/<bucket>/... The steps are in Serve,
// in order. Only reads; nobody signs. Under --auth enforce only what a policy or a list makes
// public is shown. Source: S3 User Guide, "Hosting a static website using Amazon S3", "Website
// endpoints".
class WebsiteSite final : public aws::Site {
  public:
    // Opens the bytes of an object; the references live as long as the call.
    using Open = std::function<Task<Result<std::unique_ptr<storage::BodySource>>>(
        const BucketRecord&, const ObjectRecord&, storage::OpenOptions)>;

    // `store` outlives it. Adds itself to the sites.
    WebsiteSite(const ServiceDeps& deps, S3Store& store, Open open);

    Task<http::Response> Serve(aws::SiteRequest& request) override;

  private:
    struct Visit;

    // An error becomes a page.
    Task<Result<http::Response>> ServePage(Visit& visit);
    Task<Result<http::Response>> ServeMissing(Visit& visit, Error error);
    Task<Result<http::Response>> ServeObject(Visit& visit, const ObjectRecord& record, int status);
    bool MayRead(const Visit& visit, const ObjectRecord& record) const;

    ServiceDeps deps_;
    S3Store& store_;
    Open open_;
};

}  // namespace hearth::s3
