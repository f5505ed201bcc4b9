#include "aws/front/gateway.h"

#include "aws/auth/access_key_id.h"
#include "codec/crypto/master_key.h"
#include "testing/fake_clock.h"
#include "testing/run_task.h"

#include "gen/sts/operations.gen.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hearth::aws {
namespace {

using ::testing::HasSubstr;
namespace model = sts::model;

// A service of two operations: one tells who called, one has a bug.
class EchoService final : public ServiceApi {
  public:
    EchoService() {
        table_.Add<model::GetCallerIdentity>(this, &EchoService::GetCallerIdentity);
        table_.Add<model::GetAccessKeyInfo>(this, &EchoService::GetAccessKeyInfo);
    }

    const aws::model::Service& Model() const override { return model::Service(); }

    const OperationTable& Operations() const override { return table_; }

    Task<Status> Start() override { co_return Status(); }

    Task<void> Stop() override { co_return; }

    RequestContext last;

  private:
    Task<Result<model::GetCallerIdentity::Output>> GetCallerIdentity(
        RequestContext& context, model::GetCallerIdentity::Input) {
        last = context;
        context.response_headers.emplace_back("x-hearth-ignored", "Thing");
        model::GetCallerIdentity::Output output;
        output.arn = context.caller.arn;
        co_return output;
    }

    Task<Result<model::GetAccessKeyInfo::Output>> GetAccessKeyInfo(
        RequestContext&, model::GetAccessKeyInfo::Input input) {
        CHECK_REQUEST(input.access_key_id == "never", "secret detail");
        co_return model::GetAccessKeyInfo::Output();
    }

    OperationTable table_;
};

class OneUser final : public AccessKeyDirectory {
  public:
    Task<Result<std::optional<AccessKey>>> Find(std::string_view id) override {
        if (id != "AKIAUSER") {
            co_return std::optional<AccessKey>();
        }
        co_return std::optional<AccessKey>(key);
    }

    void NoteUse(
        std::string_view,
        std::string_view service,
        std::string_view,
        WallClock::time_point) override {
        used_for = service;
    }

    AccessKey key{.secret = "user-secret", .caller = {}};
    std::string used_for;
};

class GatewayTest : public ::testing::TestWithParam<bool> {
  protected:
    GatewayTest() { Make({}); }

    void Make(Admission::Limits limits) {
        gateway_.reset();
        dispatcher_ = std::make_unique<Dispatcher>(metrics_, clock_, monotonic_, *random_);
        dispatcher_->SetServices({&service_});
        users_.key.caller.type = Caller::Type::kUser;
        users_.key.caller.account = AccountId("123456789012");
        users_.key.caller.arn = "arn:aws:iam::123456789012:user/ada";
        authenticator_ = std::make_unique<Authenticator>(
            RootCredentials{"AKIAROOT", "root-secret"}, sessions_, clock_, enforce_);
        authenticator_->SetDirectory(&users_);
        gateway_ = std::make_unique<Gateway>(Gateway::Parts{
            .dispatcher = *dispatcher_,
            .authenticator = *authenticator_,
            .admin = admin_,
            .metrics = metrics_,
            .wall_clock = clock_,
            .monotonic_clock = monotonic_,
            .random = *random_,
            .limits = limits,
            .sites = &sites_});
    }

    void Enforce() {
        enforce_ = true;
        Make({});
    }

    using Headers = std::vector<std::pair<std::string, std::string>>;

    struct Call {
        std::string method = "POST";
        std::string target = "/";
        Headers headers = {
            {"Host", "hearth:4566"}, {"Content-Type", "application/x-www-form-urlencoded"}};
        std::string body = "Action=GetCallerIdentity&Version=2011-06-15";
    };

    static Call Signed(
        Call call,
        const SigningKey& key,
        WallClock::time_point now,
        std::string_view service = "sts") {
        Headers headers;
        for (const auto& [name, value] : call.headers) {
            headers.emplace_back(http::LowerCase(name), value);
        }
        const size_t mark = call.target.find('?');
        const SignedParts parts{
            call.method,
            std::string_view(call.target).substr(0, mark),
            mark == std::string::npos ? "" : std::string_view(call.target).substr(mark + 1),
            headers,
            call.body};
        for (auto& header : SignRequest(parts, key, "eu-west-1", service, now)) {
            call.headers.push_back(std::move(header));
        }
        return call;
    }

    http::Response Send(const Call& call, const DoorIdentity* door = nullptr) {
        http::TextBody body(call.body);
        http::Request request;
        request.method = call.method;
        request.target = call.target;
        for (const auto& [name, value] : call.headers) {
            request.fields.push_back({name, value});
        }
        request.body = &body;
        return testing::RunTask(gateway_->Handle(request, door));
    }

    std::string SendForCode(const Call& call, const DoorIdentity* door = nullptr) {
        const http::Response response = Send(call, door);
        const size_t begin = response.body.find("<Code>");
        if (begin == std::string::npos) {
            return std::to_string(response.status);
        }
        const size_t end = response.body.find("</Code>");
        return std::to_string(response.status) + " " +
               response.body.substr(begin + 6, end - begin - 6);
    }

    testing::FakeWallClock clock_;
    testing::FakeMonotonicClock monotonic_;
    std::shared_ptr<Random> random_ = Random::Seeded(1);
    codec::MasterKey master_key_{{1}};
    SessionIssuer sessions_{master_key_, clock_, *random_};
    Metrics metrics_;
    AdminEndpoints admin_;
    Sites sites_;
    EchoService service_;
    OneUser users_;
    bool enforce_ = false;
    std::unique_ptr<Dispatcher> dispatcher_;
    std::unique_ptr<Authenticator> authenticator_;
    std::unique_ptr<Gateway> gateway_;

    const SigningKey root_{"AKIAROOT", "root-secret", ""};
    const SigningKey user_{"AKIAUSER", "user-secret", ""};
};

TEST_F(GatewayTest, AnswersASignedCall) {
    const http::Response response = Send(Signed({}, root_, clock_.Now()));
    EXPECT_EQ(response.status, 200);
    EXPECT_THAT(response.body, HasSubstr("<Arn>arn:aws:iam::000000000000:root</Arn>"));
    EXPECT_EQ(service_.last.region.text(), "eu-west-1");
    EXPECT_EQ(service_.last.endpoint, "http://hearth:4566");
    EXPECT_TRUE(service_.last.caller.verified);
    EXPECT_THAT(response.body, HasSubstr(service_.last.request_id));
    EXPECT_THAT(gateway_->NotHonoured(), ::testing::ElementsAre("sts GetCallerIdentity: Thing"));
    EXPECT_THAT(
        metrics_.Render(),
        HasSubstr("hearth_requests_total{operation=\"GetCallerIdentity\",result=\"success\","
                  "service=\"sts\"} 1"));
}

TEST_F(GatewayTest, OpenModeBelievesUnknownKeysAndUnsignedCalls) {
    Send({});
    EXPECT_EQ(service_.last.caller.type, Caller::Type::kAnonymous);
    EXPECT_EQ(service_.last.account.text(), "000000000000");
    Send(Signed({}, {"123456789012", "whatever", ""}, clock_.Now()));
    EXPECT_EQ(service_.last.account.text(), "123456789012");
    EXPECT_FALSE(service_.last.caller.verified);
    Send(Signed({}, {"AKIASOMEONE", "whatever", ""}, clock_.Now()));
    EXPECT_EQ(service_.last.account.text(), "000000000000");
}

TEST_F(GatewayTest, KnownKeysAreVerifiedInBothModes) {
    for (const bool enforce : {false, true}) {
        enforce_ = enforce;
        Make({});
        EXPECT_EQ(SendForCode(Signed({}, user_, clock_.Now())), "200");
        EXPECT_EQ(service_.last.caller.arn, "arn:aws:iam::123456789012:user/ada");
        EXPECT_EQ(users_.used_for, "sts");
        EXPECT_EQ(
            SendForCode(Signed({}, {"AKIAUSER", "wrong", ""}, clock_.Now())),
            "403 SignatureDoesNotMatch");
        EXPECT_EQ(
            SendForCode(Signed({}, {"AKIAROOT", "wrong", ""}, clock_.Now())),
            "403 SignatureDoesNotMatch");
        EXPECT_EQ(
            SendForCode(Signed({}, root_, clock_.Now() - std::chrono::minutes(6))),
            "403 SignatureDoesNotMatch");
        EXPECT_EQ(
            SendForCode(Signed({}, {"AKIAUSER", "user-secret", "a token"}, clock_.Now())),
            "403 InvalidClientTokenId");
    }
    users_.key.active = false;
    EXPECT_EQ(SendForCode(Signed({}, user_, clock_.Now())), "403 InvalidClientTokenId");
    enforce_ = false;
    Make({});
    EXPECT_EQ(SendForCode(Signed({}, user_, clock_.Now())), "403 InvalidClientTokenId");
}

TEST_F(GatewayTest, EnforceModeRefusesWhoeverItDoesNotKnow) {
    Enforce();
    EXPECT_EQ(SendForCode({}), "403 MissingAuthenticationToken");
    EXPECT_EQ(
        SendForCode(Signed({}, {"123456789012", "x", ""}, clock_.Now())),
        "403 InvalidClientTokenId");
    Call call;
    call.headers.emplace_back("Authorization", "Bearer x");
    EXPECT_EQ(SendForCode(call), "400 IncompleteSignature");
}

TEST_F(GatewayTest, SessionsAreVerifiedAndExpire) {
    const SessionCredentials session = sessions_.IssueForRole(
        {.account = AccountId("123456789012"),
         .role_name = "r",
         .role_id = "AROAX",
         .session_name = "s",
         .duration = std::chrono::seconds(900)});
    const SigningKey key{session.access_key_id, session.secret_access_key, session.session_token};
    const Call good = Signed({}, key, clock_.Now());
    EXPECT_EQ(SendForCode(good), "200");
    EXPECT_EQ(service_.last.caller.arn, "arn:aws:sts::123456789012:assumed-role/r/s");
    SigningKey wrong = key;
    wrong.secret_access_key = "x";
    EXPECT_EQ(SendForCode(Signed({}, wrong, clock_.Now())), "403 SignatureDoesNotMatch");
    wrong = key;
    wrong.session_token.back() = wrong.session_token.back() == 'A' ? 'B' : 'A';
    EXPECT_EQ(SendForCode(Signed({}, wrong, clock_.Now())), "403 InvalidClientTokenId");
    wrong = key;
    wrong.access_key_id = "ASIAOTHER";
    EXPECT_EQ(SendForCode(Signed({}, wrong, clock_.Now())), "403 InvalidClientTokenId");
    clock_.Advance(std::chrono::minutes(15));
    EXPECT_EQ(SendForCode(Signed({}, key, clock_.Now())), "403 ExpiredToken");
}

TEST_F(GatewayTest, ThroughADoorUnknownKeysAreTheFunctionsRole) {
    const DoorIdentity door{
        .role = SessionIssuer::CallerOf(
            {.account = AccountId("111122223333"),
             .role_name = "fn-role",
             .role_id = "AROAX",
             .session_name = "fn"}),
        .account = AccountId("111122223333"),
        .region = Region("eu-central-1"),
        .function_arn = "arn:aws:lambda:eu-central-1:111122223333:function:fn"};
    for (const Call& call : {Call{}, Signed({}, {"123456789012", "x", ""}, clock_.Now())}) {
        EXPECT_EQ(SendForCode(call, &door), "200");
        EXPECT_EQ(service_.last.account.text(), "111122223333");
        EXPECT_EQ(service_.last.caller.arn, "arn:aws:sts::111122223333:assumed-role/fn-role/fn");
        EXPECT_EQ(service_.last.calling_function_arn, door.function_arn);
    }
    EXPECT_EQ(
        SendForCode(Signed({}, {"AKIAROOT", "guess", ""}, clock_.Now()), &door),
        "403 SignatureDoesNotMatch");
    Call admin;
    admin.method = "GET";
    admin.target = "/_hearth/metrics";
    admin_.Add("GET", "/_hearth/metrics", [](AdminRequest) -> Task<Result<AdminAnswer>> {
        co_return AdminAnswer();
    });
    EXPECT_EQ(Send(admin, &door).status, 404);
    EXPECT_EQ(Send(admin).status, 200);
    Enforce();
    EXPECT_EQ(SendForCode({}, &door), "403 MissingAuthenticationToken");
}

TEST_F(GatewayTest, OwnEndpointsNeedTheRootKeyInEnforceMode) {
    admin_.Add("GET", "/_hearth/thing", [](AdminRequest request) -> Task<Result<AdminAnswer>> {
        AdminAnswer answer;
        answer.body = request.account.text() + request.Query("q");
        co_return answer;
    });
    admin_.Add("GET", "/_hearth/health", [](AdminRequest) -> Task<Result<AdminAnswer>> {
        co_return AdminAnswer();
    });
    Call call;
    call.method = "GET";
    call.target = "/_hearth/thing?q=%20x";
    call.body.clear();
    EXPECT_EQ(Send(call).body, "000000000000 x");
    Enforce();
    EXPECT_EQ(Send(call).status, 403);
    EXPECT_EQ(Send(Signed(call, root_, clock_.Now(), "hearth")).body, "000000000000 x");
    EXPECT_EQ(Send(Signed(call, user_, clock_.Now(), "hearth")).status, 403);
    EXPECT_EQ(Send(Signed(call, root_, clock_.Now(), "sts")).status, 403);
    call.target = "/_hearth/health";
    EXPECT_EQ(Send(call).status, 200);
    call.method = "PUT";
    EXPECT_EQ(Send(call).status, 405);
}

TEST_F(GatewayTest, ForeignWebPagesNeedAVerifiedSignature) {
    Call call;
    call.headers.emplace_back("Origin", "https://evil.example");
    EXPECT_EQ(SendForCode(call), "403 AccessDeniedException");
    EXPECT_EQ(SendForCode(Signed(call, root_, clock_.Now())), "200");
    call.headers.back().second = "http://localhost:3000";
    EXPECT_EQ(SendForCode(call), "200");
    call.headers.back().second = "http://localhost.evil.example";
    EXPECT_EQ(SendForCode(call), "403 AccessDeniedException");
}

TEST_F(GatewayTest, WhatIsNotThereIsSaidClearly) {
    Call call;
    call.body = "Action=AssumeRoleWithSAML&Version=2011-06-15";
    EXPECT_EQ(SendForCode(call), "501 NotImplemented");
    call.body = "Action=Nonsense&Version=2011-06-15";
    EXPECT_EQ(Send(call).status, 404);
    EXPECT_EQ(SendForCode(Signed(call, root_, clock_.Now())), "400 InvalidAction");
    EXPECT_EQ(Send(Signed({}, root_, clock_.Now(), "s3")).status, 501);
}

TEST_F(GatewayTest, ABugInAnOperationIsAnInternalFailureWithoutDetails) {
    Call call;
    call.body = "Action=GetAccessKeyInfo&Version=2011-06-15&AccessKeyId=AKIAIOSFODNN7EXAMPLE";
    const http::Response response = Send(call);
    EXPECT_EQ(response.status, 500);
    EXPECT_THAT(response.body, HasSubstr("<Code>InternalFailure</Code>"));
    EXPECT_THAT(response.body, ::testing::Not(HasSubstr("secret detail")));
}

TEST_F(GatewayTest, RefusesWhatIsTooLargeOrTooMuch) {
    Call large;
    large.body = "Action=GetCallerIdentity&X=" + std::string(1024 * 1024, 'x');
    EXPECT_EQ(Send(large).status, 413);
    EXPECT_EQ(SendForCode(Signed(large, root_, clock_.Now())), "413 RequestEntityTooLarge");
    Make({.requests_max = 0});
    EXPECT_EQ(Send({}).status, 503);
    EXPECT_TRUE(Send({}).close);
    Make({.requests_max = 1, .body_bytes_max = 10});
    EXPECT_EQ(Send({}).status, 503);
    EXPECT_EQ(Send({}).status, 503);
    EXPECT_EQ(gateway_->requests_in_flight(), 0);
}

// A body that comes in chunks, as its length is not stated.
class ChunkedBody final : public http::BodyReader {
  public:
    explicit ChunkedBody(size_t size) : left_(size) {}

    std::optional<uint64_t> Length() const override { return std::nullopt; }

    Task<Result<size_t>> Read(std::span<char> into) override {
        const size_t size = std::min({into.size(), left_, size_t{1000}});
        std::ranges::fill(into.subspan(0, size), 'x');
        left_ -= size;
        read += size;
        co_return size;
    }

    size_t read = 0;

  private:
    size_t left_;
};

TEST_F(GatewayTest, ChunkedBodiesAreLimitedAsTheyCome) {
    Make({.requests_max = 10, .body_bytes_max = 100'000});
    http::Request request;
    request.method = "POST";
    request.target = "/";
    ChunkedBody large(10'000'000);
    request.body = &large;
    EXPECT_EQ(testing::RunTask(gateway_->Handle(request, nullptr)).status, 503);
    EXPECT_LE(large.read, 102'000u);
    Make({});
    ChunkedBody again(10'000'000);
    request.body = &again;
    EXPECT_EQ(testing::RunTask(gateway_->Handle(request, nullptr)).status, 413);
    EXPECT_LE(again.read, 1'050'000u);
}

TEST_F(GatewayTest, EnforceModeReadsNoBodyOfAnUnsignedCall) {
    Enforce();
    const std::vector<http::Field> fields = {{"Host", "sts.us-east-1.amazonaws.com"}};
    http::Request request;
    request.method = "POST";
    request.target = "/";
    request.fields = fields;
    ChunkedBody body(1000);
    request.body = &body;
    EXPECT_EQ(testing::RunTask(gateway_->Handle(request, nullptr)).status, 403);
    EXPECT_EQ(body.read, 0u);
}

TEST_F(GatewayTest, ADoorHasLimitsOfItsOwn) {
    const DoorIdentity door{
        .role = users_.key.caller, .account = AccountId("1"), .region = {}, .function_arn = "f"};
    Admission own(Admission::Limits{.requests_max = 1, .body_bytes_max = 50});
    http::Request request;
    request.method = "POST";
    request.target = "/";
    ChunkedBody body(51);
    request.body = &body;
    EXPECT_EQ(testing::RunTask(gateway_->Handle(request, &door, &own)).status, 503);
    {
        const Admission::Place busy = own.Admit();
        ChunkedBody nothing(0);
        request.body = &nothing;
        EXPECT_EQ(testing::RunTask(gateway_->Handle(request, &door, &own)).status, 503);
        EXPECT_EQ(testing::RunTask(gateway_->Handle(request, nullptr)).status, 404);
    }
    EXPECT_EQ(own.requests(), 0);
    EXPECT_EQ(own.body_bytes(), 0u);
}

TEST_F(GatewayTest, TheInternalClientCallsTheSameHandlers) {
    const InternalClient::As as{
        .caller = users_.key.caller,
        .account = AccountId("123456789012"),
        .region = Region("us-east-1")};
    auto made = testing::RunTask(
        dispatcher_->Call<model::GetCallerIdentity>("sts", as, model::GetCallerIdentity::Input()));
    ASSERT_TRUE(made.ok());
    EXPECT_EQ(made->arn, "arn:aws:iam::123456789012:user/ada");
    auto refused = testing::RunTask(
        dispatcher_->Call<model::GetAccessKeyInfo>("sts", as, model::GetAccessKeyInfo::Input()));
    EXPECT_THAT(refused.error().message(), HasSubstr("validation error detected"));
}

// Remembers what it was asked, and says who signed.
class EchoSite final : public Site {
  public:
    Task<http::Response> Serve(SiteRequest& request) override {
        id = request.id;
        path = request.path;
        query = request.query;
        by_path = request.by_path;
        http::Response response;
        auto body = co_await request.ReadBody(10);
        if (!body.ok()) {
            response.status = body.error().http_status();
            co_return response;
        }
        auto caller = co_await request.Identify("lambda", *body);
        if (!caller.ok()) {
            response.status = 403;
            response.body = caller.error().code();
            co_return response;
        }
        CHECK_REQUEST(*body != "bug", "secret detail");
        response.body = *caller ? (*caller)->caller.arn + " " + (*caller)->region : "nobody";
        co_return response;
    }

    std::string id;
    std::string path;
    std::string query;
    bool by_path = false;
};

class SiteTest : public GatewayTest {
  protected:
    SiteTest() {
        sites_.Add("some-site", site_);
        Make({});
    }

    static Call To(std::string host, std::string target, std::string body = "") {
        return {
            .method = "GET",
            .target = std::move(target),
            .headers = {{"Host", std::move(host)}},
            .body = std::move(body)};
    }

    EchoSite site_;
};

TEST_F(SiteTest, IsFoundByHostAndByPath) {
    EXPECT_EQ(Send(To("AbC.Some-Site.eu-west-1.localhost:4566", "/a/b?c=d")).body, "nobody");
    EXPECT_EQ(site_.id, "abc");
    EXPECT_EQ(site_.path, "/a/b");
    EXPECT_EQ(site_.query, "c=d");
    EXPECT_FALSE(site_.by_path);
    EXPECT_EQ(Send(To("hearth:4566", "/_hearth/some-site/x1/a%2Fb?c")).body, "nobody");
    EXPECT_EQ(site_.id, "x1");
    EXPECT_EQ(site_.path, "/a%2Fb");
    EXPECT_TRUE(site_.by_path);
    EXPECT_EQ(Send(To("hearth:4566", "/_hearth/some-site/x2")).body, "nobody");
    EXPECT_EQ(site_.path, "/");
    // On a site's host all paths are the customer's.
    EXPECT_EQ(Send(To("y.some-site.localhost", "/_hearth/health")).body, "nobody");
    EXPECT_EQ(site_.path, "/_hearth/health");
    EXPECT_EQ(Send(To("a.b.some-site.localhost", "/")).body, "nobody");
    EXPECT_EQ(site_.id, "a.b");
}

TEST_F(SiteTest, OtherRequestsAreNotItsBusiness) {
    for (const char* host :
         {"hearth:4566",
          "some-site.localhost",
          ".some-site.localhost",
          "x.some-site",
          "x.some-sites.localhost",
          "127.0.0.1:4566"}) {
        site_.id = "unasked";
        Send(To(host, "/x"));
        EXPECT_EQ(site_.id, "unasked") << host;
    }
    for (const char* path :
         {"/_hearth/some-site", "/_hearth/some-site/", "/_hearth/some-sitex/y"}) {
        site_.id = "unasked";
        Send(To("hearth:4566", path));
        EXPECT_EQ(site_.id, "unasked") << path;
    }
}

TEST_F(SiteTest, SignaturesAreVerifiedOverTheRequestAsReceived) {
    for (const char* target : {"/a%20b?x=1", "/_hearth/some-site/abc/a%20b?x=1"}) {
        const std::string host =
            std::string_view(target).starts_with("/_") ? "hearth:4566" : "abc.some-site.localhost";
        const Call call = To(host, target, "body");
        EXPECT_EQ(
            Send(Signed(call, user_, clock_.Now(), "lambda")).body,
            "arn:aws:iam::123456789012:user/ada eu-west-1");
        EXPECT_EQ(Send(Signed(call, user_, clock_.Now(), "sts")).body, "InvalidSignatureException");
        EXPECT_EQ(
            Send(Signed(call, {"AKIAUSER", "wrong", ""}, clock_.Now(), "lambda")).body,
            "InvalidSignatureException");
    }
}

TEST_F(SiteTest, ForeignPagesNeedAVerifiedSignatureWhereOneIsAsked) {
    Call call = To("abc.some-site.localhost", "/");
    call.headers.emplace_back("Origin", "https://evil.example");
    EXPECT_EQ(Send(call).body, "nobody");
    EXPECT_EQ(
        Send(Signed(call, {"AKIANOBODY", "x", ""}, clock_.Now(), "lambda")).body,
        "AccessDeniedException");
    EXPECT_THAT(Send(Signed(call, user_, clock_.Now(), "lambda")).body, HasSubstr("user/ada"));
}

TEST_F(SiteTest, ItsPagesAreForeignToTheApi) {
    Call call;
    call.headers.emplace_back("Origin", "http://app.localhost:3000");
    EXPECT_EQ(SendForCode(call), "200");
    call.headers.back().second = "http://abc.some-site.eu-west-1.localhost:4566";
    EXPECT_EQ(Send(call).status, 403);
    call.headers.back().second = "http://ABC.SOME-SITE.localhost.";
    EXPECT_EQ(Send(call).status, 403);
}

TEST_F(SiteTest, LimitsHoldAndBugsStayInside) {
    EXPECT_EQ(Send(To("abc.some-site.localhost", "/", "12345678901")).status, 413);
    const http::Response bug = Send(To("abc.some-site.localhost", "/", "bug"));
    EXPECT_EQ(bug.status, 500);
    EXPECT_THAT(bug.body, ::testing::Not(HasSubstr("secret")));
    Make({.requests_max = 0});
    EXPECT_EQ(Send(To("abc.some-site.localhost", "/")).status, 503);
    Make({.body_bytes_max = 3});
    EXPECT_EQ(Send(To("abc.some-site.localhost", "/", "1234")).status, 503);
}

}  // namespace
}  // namespace hearth::aws
