#include "services/sqs/addresses.h"

#include <gtest/gtest.h>

#include <string>

namespace hearth::sqs {
namespace {

std::string Resolved(std::optional<std::string> url, std::string target = "/", bool json = true) {
    aws::RequestContext context;
    context.region = Region("eu-west-1");
    context.target = std::move(target);
    if (json) {
        context.headers.emplace_back("x-amz-target", "AmazonSQS.SendMessage");
    }
    const auto queue = ResolveQueueUrl(context, url);
    return queue.ok() ? queue->Arn() : queue.error().code();
}

TEST(QueueUrls, NameAQueueThroughAnyHost) {
    const std::string arn = "arn:aws:sqs:eu-west-1:123456789012:q";
    for (const char* url :
         {"http://127.0.0.1:4566/123456789012/q",
          "https://sqs.us-east-1.amazonaws.com/123456789012/q",
          "http://sqs.eu-west-1.localhost:4566/123456789012/q/",
          "http://localhost:4566/queue/eu-west-1/123456789012/q",
          "/123456789012/q"}) {
        EXPECT_EQ(Resolved(url), arn) << url;
    }
    EXPECT_EQ(
        Resolved("http://h/123456789012/a_b-c.fifo"),
        "arn:aws:sqs:eu-west-1:123456789012:a_b-c.fifo");
}

TEST(QueueUrls, ThatNameNothingAreRefused) {
    for (const char* url :
         {"q",
          "http://h/q",
          "http://h/1234/q",
          "http://h/123456789012/",
          "http://h/123456789012/a.b",
          "http://h/12345678901x/q",
          "http://h/123456789012/.fifo",
          "//",
          "/"}) {
        EXPECT_EQ(Resolved(url), "InvalidAddress") << url;
    }
    EXPECT_EQ(Resolved(std::nullopt), "QueueDoesNotExist");
    EXPECT_EQ(Resolved(""), "QueueDoesNotExist");
}

TEST(QueueUrls, MayBeThePathOfAQuery) {
    EXPECT_EQ(
        Resolved(std::nullopt, "/123456789012/q?Action=SendMessage", false),
        "arn:aws:sqs:eu-west-1:123456789012:q");
    EXPECT_EQ(Resolved(std::nullopt, "/123456789012/q", true), "QueueDoesNotExist");
    EXPECT_EQ(Resolved(std::nullopt, "/", false), "QueueDoesNotExist");
}

TEST(QueueNames, AreChecked) {
    EXPECT_TRUE(CheckQueueName("Ab_9-", false).ok());
    EXPECT_TRUE(CheckQueueName(std::string(80, 'a'), false).ok());
    EXPECT_TRUE(CheckQueueName(std::string(75, 'a') + ".fifo", true).ok());
    EXPECT_FALSE(CheckQueueName(std::string(81, 'a'), false).ok());
    EXPECT_FALSE(CheckQueueName(std::string(76, 'a') + ".fifo", true).ok());
    for (const char* name : {"", "a.b", "a.fifo", "a b", "ä", "a/b"}) {
        EXPECT_EQ(
            CheckQueueName(name, false).error().message(),
            "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length");
    }
    for (const char* name : {"a", ".fifo", "a.b.fifo"}) {
        EXPECT_FALSE(CheckQueueName(name, true).ok()) << name;
    }
}

}  // namespace
}  // namespace hearth::sqs
