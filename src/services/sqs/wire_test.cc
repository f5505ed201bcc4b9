// What both protocols make of SQS's model: names, lists without numbers, errors. Pure.
#include "aws/protocol/protocol.h"
#include "services/sqs/errors.h"

#include "gen/sqs/operations.gen.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace hearth::sqs {
namespace {

using aws::protocol::Answer;
using aws::protocol::RequestParts;

const aws::model::Service& Query() {
    return *model::Service().query_form;
}

template <class Op>
typename Op::Input Decode(std::string_view body) {
    const RequestParts request{
        .method = "POST", .path = "/", .query = {}, .headers = {}, .body = body};
    typename Op::Input input;
    const auto match = aws::protocol::FindOperation(Query(), request);
    EXPECT_TRUE(match.ok()) << match.error().message();
    const Status status = aws::protocol::DecodeRequest(Query(), *match, request, &input);
    EXPECT_TRUE(status.ok()) << status.error().message();
    return input;
}

std::string_view HeaderOf(const Answer& answer, std::string_view name) {
    for (const auto& [key, value] : answer.headers) {
        if (key == name) {
            return value;
        }
    }
    return {};
}

TEST(SqsWire, FormsOfOneServiceHaveTheSameOperationsInTheSameOrder) {
    const auto json = model::Service().operations;
    const auto query = Query().operations;
    ASSERT_EQ(json.size(), query.size());
    for (size_t i = 0; i < json.size(); ++i) {
        EXPECT_EQ(json[i].name, query[i].name);
        EXPECT_FALSE(json[i].known_only()) << json[i].name;
    }
}

TEST(SqsWire, QueryReadsAttributesOfQueues) {
    const auto input = Decode<model::CreateQueue>(
        "Action=CreateQueue&Version=2012-11-05&QueueName=q&Attribute.1.Name=DelaySeconds"
        "&Attribute.1.Value=5&Attribute.2.Name=VisibilityTimeout&Attribute.2.Value=60"
        "&Tag.1.Key=team&Tag.1.Value=red");
    EXPECT_EQ(input.queue_name, "q");
    EXPECT_EQ(
        input.attributes,
        (std::map<std::string, std::string>{{"DelaySeconds", "5"}, {"VisibilityTimeout", "60"}}));
    EXPECT_EQ(input.tags, (std::map<std::string, std::string>{{"team", "red"}}));
}

TEST(SqsWire, QueryNeedsNoNumberForOne) {
    const auto set = Decode<model::SetQueueAttributes>(
        "Action=SetQueueAttributes&Attribute.Name=DelaySeconds&Attribute.Value=5");
    EXPECT_EQ(set.attributes, (std::map<std::string, std::string>{{"DelaySeconds", "5"}}));
    const auto receive = Decode<model::ReceiveMessage>(
        "Action=ReceiveMessage&AttributeName=All&MessageAttributeName.1=a&MessageAttributeName.2=b"
        "&MessageSystemAttributeName.1=SenderId&MaxNumberOfMessages=3");
    EXPECT_EQ(receive.attribute_names, std::vector<std::string>{"All"});
    EXPECT_EQ(receive.message_attribute_names, (std::vector<std::string>{"a", "b"}));
    EXPECT_EQ(receive.message_system_attribute_names, std::vector<std::string>{"SenderId"});
    EXPECT_EQ(receive.max_number_of_messages, 3);
}

TEST(SqsWire, QueryReadsBatchesWithAttributes) {
    const auto input = Decode<model::SendMessageBatch>(
        "Action=SendMessageBatch&QueueUrl=u"
        "&SendMessageBatchRequestEntry.1.Id=a&SendMessageBatchRequestEntry.1.MessageBody=one"
        "&SendMessageBatchRequestEntry.1.MessageAttribute.1.Name=n"
        "&SendMessageBatchRequestEntry.1.MessageAttribute.1.Value.DataType=Binary"
        "&SendMessageBatchRequestEntry.1.MessageAttribute.1.Value.BinaryValue=AAE%3D"
        "&SendMessageBatchRequestEntry.2.Id=b&SendMessageBatchRequestEntry.2.MessageBody=two"
        "&SendMessageBatchRequestEntry.2.DelaySeconds=7");
    ASSERT_TRUE(input.entries);
    ASSERT_EQ(input.entries->size(), 2U);
    const auto& first = input.entries->at(0);
    EXPECT_EQ(first.message_attributes->at("n").data_type, "Binary");
    EXPECT_EQ(first.message_attributes->at("n").binary_value, std::string("\0\1", 2));
    EXPECT_EQ(input.entries->at(1).delay_seconds, 7);
}

TEST(SqsWire, QueryWritesMessagesAsItsClientsReadThem) {
    model::ReceiveMessage::Output output;
    auto& message = output.messages.emplace().emplace_back();
    message.message_id = "id";
    message.body = "a<b>\r&\"";
    message.attributes.emplace()["SenderId"] = "AIDA";
    message.message_attributes.emplace()["n"].data_type = "String";
    (*message.message_attributes)["n"].string_value = "v";
    const Answer answer = aws::protocol::EncodeResponse(
        Query(), *Query().FindOperation("ReceiveMessage"), &output, "r");
    EXPECT_EQ(
        answer.body,
        "<ReceiveMessageResponse xmlns=\"http://queue.amazonaws.com/doc/2012-11-05/\">"
        "<ReceiveMessageResult><Message><MessageId>id</MessageId>"
        "<Body>a&lt;b&gt;&#xD;&amp;&quot;</Body>"
        "<Attribute><Name>SenderId</Name><Value>AIDA</Value></Attribute>"
        "<MessageAttribute><Name>n</Name><Value><StringValue>v</StringValue>"
        "<DataType>String</DataType></Value></MessageAttribute></Message></ReceiveMessageResult>"
        "<ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></ReceiveMessageResponse>");
}

TEST(SqsWire, ErrorsHaveTheNamesOfBothProtocols) {
    const Error error = errors::QueueDoesNotExist();
    const Answer json = aws::protocol::EncodeError(model::Service(), error, "r");
    EXPECT_EQ(
        json.body,
        R"({"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"The specified queue does not exist."})");
    EXPECT_EQ(
        HeaderOf(json, "x-amzn-query-error"), "AWS.SimpleQueueService.NonExistentQueue;Sender");
    EXPECT_EQ(HeaderOf(json, "Content-Type"), "application/x-amz-json-1.0");
    EXPECT_EQ(HeaderOf(json, "x-amzn-ErrorType"), "");
    const Answer query = aws::protocol::EncodeError(Query(), error, "r");
    EXPECT_NE(
        query.body.find("<Code>AWS.SimpleQueueService.NonExistentQueue</Code><Message>The "
                        "specified queue does not exist for this wsdl version.</Message>"),
        std::string::npos)
        << query.body;
    const Answer common =
        aws::protocol::EncodeError(model::Service(), errors::MissingParameter("X"), "r");
    EXPECT_EQ(
        common.body,
        R"({"__type":"com.amazon.coral.service#MissingRequiredParameterException","message":"The request must contain the parameter X."})");
    EXPECT_EQ(HeaderOf(common, "x-amzn-query-error"), "MissingParameter;Sender");
}

}  // namespace
}  // namespace hearth::sqs
