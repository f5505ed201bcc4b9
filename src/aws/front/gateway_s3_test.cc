// Whole walks of requests for S3, without sockets: a service that keeps what it was given.
#include "aws/front/cross_origin.h"
#include "aws/front/gateway.h"
#include "aws/front/request_body.h"
#include "codec/crypto/crypto.h"
#include "codec/crypto/master_key.h"
#include "testing/fake_clock.h"
#include "testing/run_task.h"

#include "gen/s3/operations.gen.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hearth::aws {
namespace {

using ::testing::HasSubstr;
namespace model = s3::model;

class Shelf final : public ServiceApi, public CrossOriginRules {
  public:
    Shelf() {
        table_.Add<model::PutObject>(this, &Shelf::PutObject);
        table_.Add<model::GetObject>(this, &Shelf::GetObject);
        table_.Add<model::HeadObject>(this, &Shelf::HeadObject);
        table_.Add<model::DeleteObjects>(this, &Shelf::DeleteObjects);
    }

    const aws::model::Service& Model() const override { return model::Service(); }

    const OperationTable& Operations() const override { return table_; }

    Task<Status> Start() override { co_return Status(); }

    Task<void> Stop() override { co_return; }

    CrossOriginRules* CrossOrigin() override { return this; }

    Task<Result<std::optional<Headers>>> Ask(const CrossOriginRequest& request) override {
        if (request.origin != "https://app.example") {
            co_return std::optional<Headers>();
        }
        Headers headers;
        headers.emplace_back("Access-Control-Allow-Origin", "https://app.example");
        co_return std::optional<Headers>(std::move(headers));
    }

    // Of the last PutObject.
    std::string bucket;
    std::string key;
    std::string content;
    std::optional<std::string> content_encoding;
    std::optional<uint64_t> length;
    std::vector<std::pair<std::string, std::string>> trailers;
    RequestContext::SignedBy signed_by = RequestContext::SignedBy::kNothing;
    AnswerSummary summary;
    int deleted = 0;

  private:
    Task<Result<model::PutObject::Output>> PutObject(
        RequestContext& context, model::PutObject::Input input) {
        bucket = input.bucket.value_or("");
        key = input.key.value_or("");
        content_encoding = input.content_encoding;
        signed_by = context.signed_by;
        content.clear();
        CHECK_REQUEST(context.request_body != nullptr);
        length = context.request_body->Length();
        std::vector<char> piece(1000);
        std::string read;
        for (;;) {
            HEARTH_CO_TRY(const size_t bytes, co_await context.request_body->Read(piece));
            if (bytes == 0) {
                break;
            }
            read.append(piece.data(), bytes);
        }
        trailers = context.request_body->trailers();
        content = std::move(read);
        model::PutObject::Output output;
        output.e_tag = "\"tag\"";
        co_return output;
    }

    Task<Result<model::GetObject::Output>> GetObject(
        RequestContext& context, model::GetObject::Input) {
        context.response_stream_bytes = content.size();
        context.response_stream = [this](http::BodyWriter& writer) -> Task<Status> {
            co_return co_await writer.Write(content);
        };
        context.when_answered = [this](const AnswerSummary& given) { summary = given; };
        model::GetObject::Output output;
        output.content_type = "text/plain";
        co_return output;
    }

    Task<Result<model::HeadObject::Output>> HeadObject(
        RequestContext& context, model::HeadObject::Input) {
        context.response_stream_bytes = content.size();
        co_return model::HeadObject::Output();
    }

    Task<Result<model::DeleteObjects::Output>> DeleteObjects(
        RequestContext& context, model::DeleteObjects::Input) {
        CHECK_REQUEST(context.request_body == nullptr);
        ++deleted;
        co_return model::DeleteObjects::Output();
    }

    OperationTable table_;
};

class Collector final : public http::BodyWriter {
  public:
    Task<Status> Write(std::string_view bytes) override {
        text += bytes;
        co_return Status();
    }

    std::string text;
};

class GatewayS3Test : public ::testing::Test {
  protected:
    GatewayS3Test() { Make(false); }

    void Make(bool enforce) {
        gateway_.reset();
        dispatcher_ = std::make_unique<Dispatcher>(metrics_, clock_, monotonic_, *random_);
        dispatcher_->SetServices({&shelf_});
        authenticator_ = std::make_unique<Authenticator>(
            RootCredentials{"AKIAROOT", "root-secret"}, sessions_, clock_, enforce);
        gateway_ = std::make_unique<Gateway>(Gateway::Parts{
            .dispatcher = *dispatcher_,
            .authenticator = *authenticator_,
            .admin = admin_,
            .metrics = metrics_,
            .wall_clock = clock_,
            .monotonic_clock = monotonic_,
            .random = *random_,
            .limits = {}});
    }

    using Headers = std::vector<std::pair<std::string, std::string>>;

    http::Response Send(
        std::string_view method,
        std::string_view target,
        const Headers& headers = {},
        std::string body_text = {}) {
        http::TextBody body(std::move(body_text));
        http::Request request;
        request.method = method;
        request.target = target;
        request.fields.push_back({"Host", host_});
        for (const auto& [name, value] : headers) {
            request.fields.push_back({name, value});
        }
        request.body = &body;
        http::Response response = testing::RunTask(gateway_->Handle(request, nullptr));
        if (response.stream) {
            Collector collector;
            EXPECT_TRUE(testing::RunTask(response.stream(collector)).ok());
            response.body = collector.text;
        }
        return response;
    }

    static std::string Code(const http::Response& response) {
        const size_t begin = response.body.find("<Code>");
        return begin == std::string::npos
                   ? std::to_string(response.status)
                   : std::to_string(response.status) + " " +
                         response.body.substr(begin + 6, response.body.find("</Code>") - begin - 6);
    }

    testing::FakeWallClock clock_;
    testing::FakeMonotonicClock monotonic_;
    std::shared_ptr<Random> random_ = Random::Seeded(1);
    codec::MasterKey master_key_{{1}};
    SessionIssuer sessions_{master_key_, clock_, *random_};
    Metrics metrics_;
    AdminEndpoints admin_;
    Shelf shelf_;
    std::unique_ptr<Dispatcher> dispatcher_;
    std::unique_ptr<Authenticator> authenticator_;
    std::unique_ptr<Gateway> gateway_;
    std::string host_ = "127.0.0.1:4566";
};

TEST_F(GatewayS3Test, PayloadsAndAnswersFlow) {
    EXPECT_EQ(Code(Send("PUT", "/photos/a%20b", {{"Content-Length", "5"}}, "hello")), "200");
    EXPECT_EQ(shelf_.bucket, "photos");
    EXPECT_EQ(shelf_.key, "a b");
    EXPECT_EQ(shelf_.content, "hello");
    EXPECT_EQ(shelf_.length, 5U);
    EXPECT_EQ(shelf_.signed_by, RequestContext::SignedBy::kNothing);
    const http::Response got = Send("GET", "/photos/a%20b");
    EXPECT_EQ(got.body, "hello");
    EXPECT_EQ(got.stream_bytes, 5U);
    EXPECT_EQ(shelf_.summary.bytes_sent, 5U);
    EXPECT_EQ(shelf_.summary.status, 200);
    const http::Response head = Send("HEAD", "/photos/a%20b");
    EXPECT_EQ(head.stream_bytes, 5U);
    EXPECT_FALSE(head.stream);
}

TEST_F(GatewayS3Test, HostsNameBuckets) {
    host_ = "my.photos.s3.eu-west-1.localhost:4566";
    EXPECT_EQ(Code(Send("PUT", "/key", {{"Content-Length", "1"}}, "x")), "200");
    EXPECT_EQ(shelf_.bucket + " " + shelf_.key, "my.photos key");
    host_ = "films.localhost";
    EXPECT_EQ(Code(Send("PUT", "//key", {{"Content-Length", "1"}}, "x")), "200");
    EXPECT_EQ(shelf_.bucket + " " + shelf_.key, "films /key");
}

TEST_F(GatewayS3Test, PromisesOfTheHeadAreKept) {
    const std::string hash = codec::Sha256Hex("hello");
    const Headers headers = {{"Content-Length", "5"}, {"X-Amz-Content-SHA256", hash}};
    EXPECT_EQ(Code(Send("PUT", "/b/k", headers, "hello")), "200");
    EXPECT_EQ(Code(Send("PUT", "/b/k", headers, "jello")), "400 XAmzContentSHA256Mismatch");
    EXPECT_EQ(shelf_.content, "");
    EXPECT_EQ(Code(Send("PUT", "/b/k")), "411 MissingContentLength");
    const Headers chunked = {
        {"Content-Length", "60"},
        {"X-Amz-Content-SHA256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"},
        {"X-Amz-Decoded-Content-Length", "5"},
        {"X-Amz-Trailer", "X-Amz-Checksum-CRC32"},
        {"Content-Encoding", "gzip, aws-chunked"}};
    const std::string body = "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n";
    EXPECT_EQ(Code(Send("PUT", "/b/k", chunked, body)), "200");
    EXPECT_EQ(shelf_.content, "hello");
    EXPECT_EQ(shelf_.content_encoding, "gzip");
    ASSERT_EQ(shelf_.trailers.size(), 1U);
    EXPECT_EQ(shelf_.trailers[0].first, "x-amz-checksum-crc32");
}

TEST_F(GatewayS3Test, DocumentsAreReadWhole) {
    const std::string document = "<Delete><Object><Key>a</Key></Object></Delete>";
    const Headers good = {{"Content-Length", "46"}, {"Content-MD5", "aFPqFnlCon58cZ4Qt7zwvQ=="}};
    const http::Response answer = Send("POST", "/b?delete", good, document);
    EXPECT_EQ(Code(answer), "200") << answer.body;
    EXPECT_EQ(shelf_.deleted, 1);
    const Headers wrong = {
        {"Content-Length", "46"}, {"X-Amz-Content-SHA256", codec::Sha256Hex("other")}};
    EXPECT_EQ(Code(Send("POST", "/b?delete", wrong, document)), "400 XAmzContentSHA256Mismatch");
    EXPECT_EQ(
        Code(Send("POST", "/b?delete", {}, std::string(9 * 1024 * 1024, ' '))),
        "400 MaxMessageLengthExceeded");
    EXPECT_EQ(shelf_.deleted, 1);
}

TEST_F(GatewayS3Test, FormsAreUploads) {
    const std::string form =
        "--X\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nup/${filename}\r\n"
        "--X\r\nContent-Disposition: form-data; name=\"success_action_status\"\r\n\r\n201\r\n"
        "--X\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\n"
        "hello\r\n--X--\r\n";
    const http::Response answer =
        Send("POST", "/photos", {{"Content-Type", "multipart/form-data; boundary=X"}}, form);
    EXPECT_EQ(answer.status, 201);
    EXPECT_THAT(answer.body, HasSubstr("<Key>up/a.txt</Key><ETag>&quot;tag&quot;</ETag>"));
    EXPECT_EQ(shelf_.key, "up/a.txt");
    EXPECT_EQ(shelf_.content, "hello");
    EXPECT_EQ(shelf_.signed_by, RequestContext::SignedBy::kForm);
}

TEST_F(GatewayS3Test, PagesAreLetInByRules) {
    const Headers own = {{"Origin", "https://app.example"}};
    const http::Response answer = Send("GET", "/b/k", own);
    EXPECT_EQ(answer.status, 200);
    EXPECT_THAT(
        answer.headers,
        ::testing::Contains(::testing::Pair("Access-Control-Allow-Origin", "https://app.example")));
    EXPECT_EQ(Code(Send("GET", "/b/k", {{"Origin", "https://evil.example"}})), "403 AccessDenied");
    const Headers preflight = {
        {"Origin", "https://app.example"}, {"Access-Control-Request-Method", "PUT"}};
    EXPECT_EQ(Send("OPTIONS", "/b/k", preflight).status, 200);
    const Headers foreign = {
        {"Origin", "https://evil.example"}, {"Access-Control-Request-Method", "PUT"}};
    EXPECT_EQ(Code(Send("OPTIONS", "/b/k", foreign)), "403 AccessForbidden");
    EXPECT_EQ(Code(Send("OPTIONS", "/b/k")), "400 BadRequest");
}

TEST_F(GatewayS3Test, EnforceWantsASignature) {
    Make(true);
    EXPECT_EQ(Code(Send("GET", "/b/k")), "403 AccessDenied");
    EXPECT_EQ(Code(Send("PUT", "/b/k", {{"Content-Length", "5"}}, "hello")), "403 AccessDenied");
    EXPECT_EQ(
        Code(Send("GET", "/b/k", {{"Authorization", "AWS key:signature"}})), "400 InvalidRequest");
}

TEST_F(GatewayS3Test, OperationsThatAreNotThereSaySo) {
    EXPECT_EQ(Code(Send("GET", "/b?acl")), "501 NotImplemented");
    EXPECT_EQ(Code(Send("PATCH", "/b/k")), "405 MethodNotAllowed");
}

TEST_F(GatewayS3Test, WhatIsNotAllowedSaysWhatIs) {
    const auto allow = [&](const std::string& method, const std::string& target) {
        const http::Response response = Send(method, target);
        EXPECT_EQ(Code(response), "405 MethodNotAllowed") << method << " " << target;
        for (const auto& [name, value] : response.headers) {
            if (name == "allow") {
                return value;
            }
        }
        return std::string("not told");
    };
    EXPECT_EQ(allow("POST", "/b/k"), "HEAD, GET, PUT, DELETE");
    EXPECT_EQ(allow("PATCH", "/b"), "HEAD, GET, PUT, DELETE");
    EXPECT_EQ(allow("DELETE", "/"), "GET");
    EXPECT_EQ(allow("PUT", "/"), "GET");
}

}  // namespace
}  // namespace hearth::aws
