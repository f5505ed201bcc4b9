// Whole requests of strangers through the whole walk: target, headers and body are arbitrary, the
// services are those of a small cloud. Whatever comes, there is an answer with a request id.
#include "aws/front/cross_origin.h"
#include "aws/front/gateway.h"
#include "aws/front/request_body.h"
#include "base/log.h"
#include "codec/crypto/master_key.h"
#include "testing/fake_clock.h"
#include "testing/run_task.h"

#include "gen/lambda/operations.gen.h"
#include "gen/s3/operations.gen.h"
#include "gen/sts/operations.gen.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

namespace hearth::aws {
namespace {

class StsService final : public ServiceApi {
  public:
    StsService() {
        table_.Add<sts::model::AssumeRole>(this, &StsService::Run<sts::model::AssumeRole>);
        table_.Add<sts::model::GetCallerIdentity>(
            this, &StsService::Run<sts::model::GetCallerIdentity>);
    }

    const model::Service& Model() const override { return sts::model::Service(); }

    const OperationTable& Operations() const override { return table_; }

    Task<Status> Start() override { co_return Status(); }

    Task<void> Stop() override { co_return; }

  private:
    template <class Op>
    Task<Result<typename Op::Output>> Run(RequestContext&, typename Op::Input) {
        co_return typename Op::Output();
    }

    OperationTable table_;
};

class LambdaService final : public ServiceApi {
  public:
    LambdaService() {
        table_.Add<lambda::model::CreateFunction>(
            this, &LambdaService::Run<lambda::model::CreateFunction>);
        table_.Add<lambda::model::GetFunction>(
            this, &LambdaService::Run<lambda::model::GetFunction>);
        table_.Add<lambda::model::Invoke>(this, &LambdaService::Run<lambda::model::Invoke>);
    }

    const model::Service& Model() const override { return lambda::model::Service(); }

    const OperationTable& Operations() const override { return table_; }

    Task<Status> Start() override { co_return Status(); }

    Task<void> Stop() override { co_return; }

  private:
    template <class Op>
    Task<Result<typename Op::Output>> Run(RequestContext&, typename Op::Input) {
        co_return typename Op::Output();
    }

    OperationTable table_;
};

// Takes objects in, and one kind of each other operation: a document, a head, a listing.
class S3Service final : public ServiceApi, public CrossOriginRules {
  public:
    S3Service() {
        table_.Add<s3::model::PutObject>(this, &S3Service::Take<s3::model::PutObject>);
        table_.Add<s3::model::UploadPart>(this, &S3Service::Take<s3::model::UploadPart>);
        table_.Add<s3::model::GetObject>(this, &S3Service::Give);
        table_.Add<s3::model::HeadObject>(this, &S3Service::Run<s3::model::HeadObject>);
        table_.Add<s3::model::DeleteObjects>(this, &S3Service::Run<s3::model::DeleteObjects>);
        table_.Add<s3::model::ListObjectsV2>(this, &S3Service::Run<s3::model::ListObjectsV2>);
        table_.Add<s3::model::PutBucketCors>(this, &S3Service::Run<s3::model::PutBucketCors>);
        table_.Add<s3::model::CompleteMultipartUpload>(
            this, &S3Service::Run<s3::model::CompleteMultipartUpload>);
    }

    const model::Service& Model() const override { return s3::model::Service(); }

    const OperationTable& Operations() const override { return table_; }

    Task<Status> Start() override { co_return Status(); }

    Task<void> Stop() override { co_return; }

    CrossOriginRules* CrossOrigin() override { return this; }

    Task<Result<std::optional<Headers>>> Ask(const CrossOriginRequest& request) override {
        if (request.origin.size() % 2 == 0) {
            co_return std::optional<Headers>();
        }
        co_return std::optional<Headers>(
            Headers{{"Access-Control-Allow-Origin", std::string(request.origin)}});
    }

  private:
    template <class Op>
    Task<Result<typename Op::Output>> Run(RequestContext&, typename Op::Input) {
        co_return typename Op::Output();
    }

    // All of the body, which is where frames, hashes and lengths are compared.
    template <class Op>
    Task<Result<typename Op::Output>> Take(RequestContext& context, typename Op::Input) {
        std::array<char, 100> piece;
        while (context.request_body != nullptr) {
            HEARTH_CO_TRY(const size_t bytes, co_await context.request_body->Read(piece));
            if (bytes == 0) {
                break;
            }
        }
        co_return typename Op::Output();
    }

    Task<Result<s3::model::GetObject::Output>> Give(
        RequestContext& context, s3::model::GetObject::Input) {
        context.response_stream_bytes = 0;
        context.response_stream = [](http::BodyWriter&) -> Task<Status> { co_return Status(); };
        co_return s3::model::GetObject::Output();
    }

    OperationTable table_;
};

struct World {
    testing::FakeWallClock clock;
    testing::FakeMonotonicClock monotonic;
    std::shared_ptr<Random> random = Random::Seeded(1);
    codec::MasterKey master_key{{1}};
    SessionIssuer sessions{master_key, clock, *random};
    Metrics metrics;
    AdminEndpoints admin;
    StsService sts;
    LambdaService lambda;
    S3Service s3;
    Dispatcher dispatcher{metrics, clock, monotonic, *random};
    Authenticator authenticator{RootCredentials{"AK", "secret"}, sessions, clock, false};
    std::unique_ptr<Gateway> gateway;

    World() {
        log::Init("fuzz", log::Level::kError);
        dispatcher.SetServices({&sts, &lambda, &s3});
        admin.Add("GET", "/_hearth/x/", [](AdminRequest) -> Task<Result<AdminAnswer>> {
            co_return AdminAnswer();
        });
        gateway = std::make_unique<Gateway>(Gateway::Parts{
            .dispatcher = dispatcher,
            .authenticator = authenticator,
            .admin = admin,
            .metrics = metrics,
            .wall_clock = clock,
            .monotonic_clock = monotonic,
            .random = *random,
            .limits = {}});
    }
};

}  // namespace
}  // namespace hearth::aws

// First line "METHOD target", header lines, an empty line, the body.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace hearth;
    static aws::World world;
    std::string_view rest(reinterpret_cast<const char*>(data), size);
    const auto take = [&rest] {
        const size_t newline = rest.find('\n');
        const std::string_view line = rest.substr(0, newline);
        rest.remove_prefix(newline == std::string_view::npos ? rest.size() : newline + 1);
        return line;
    };
    http::Request request;
    const std::string_view first = take();
    const size_t space = first.find(' ');
    request.method = first.substr(0, space);
    request.target = space == std::string_view::npos ? "/" : first.substr(space + 1);
    for (std::string_view line = take(); !line.empty(); line = take()) {
        const size_t colon = line.find(':');
        if (colon != std::string_view::npos) {
            request.fields.push_back({line.substr(0, colon), line.substr(colon + 1)});
        }
    }
    http::TextBody body((std::string(rest)));
    request.body = &body;
    const http::Response response = testing::RunTask(world.gateway->Handle(request, nullptr));
    bool has_id = false;
    for (const auto& [name, value] : response.headers) {
        has_id = has_id || http::EqualsIgnoringCase(name, "x-amzn-requestid") ||
                 http::EqualsIgnoringCase(name, "x-amz-request-id");
    }
    if (!has_id || response.status < 200 || response.status > 599) {
        std::abort();
    }
    return 0;
}
