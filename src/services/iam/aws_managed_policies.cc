#include "services/iam/aws_managed_policies.h"

#include <fmt/format.h>

#include <array>

namespace hearth::iam {
namespace {

#define LOGS_ACTIONS R"("logs:CreateLogGroup","logs:CreateLogStream","logs:PutLogEvents")"

constexpr std::string_view kServiceRole = "/service-role/";

// clang-format off: documents are broken where a reader would.
constexpr std::array kPolicies = {
    AwsManagedPolicy{
        "AdministratorAccess",
        "/",
        "Provides full access to AWS services and resources.",
        R"([{"Effect":"Allow","Action":"*","Resource":"*"}])"},
    AwsManagedPolicy{
        "AmazonDynamoDBFullAccess",
        "/",
        "Provides full access to Amazon DynamoDB via the AWS Management Console.",
        R"([{"Effect":"Allow","Action":["dynamodb:*","dax:*"],"Resource":"*"}])"},
    AwsManagedPolicy{
        "AmazonDynamoDBReadOnlyAccess",
        "/",
        "Provides read only access to Amazon DynamoDB via the AWS Management Console.",
        R"([{"Effect":"Allow","Action":["dynamodb:BatchGetItem","dynamodb:Describe*",)"
        R"("dynamodb:List*",)"
        R"("dynamodb:GetItem","dynamodb:GetResourcePolicy","dynamodb:Query","dynamodb:Scan",)"
        R"("dynamodb:PartiQLSelect"],"Resource":"*"}])"},
    AwsManagedPolicy{
        "AmazonS3FullAccess",
        "/",
        "Provides full access to all buckets via the AWS Management Console.",
        R"([{"Effect":"Allow","Action":["s3:*","s3-object-lambda:*"],"Resource":"*"}])"},
    AwsManagedPolicy{
        "AmazonS3ReadOnlyAccess",
        "/",
        "Provides read only access to all buckets via the AWS Management Console.",
        R"([{"Effect":"Allow","Action":["s3:Get*","s3:List*","s3:Describe*",)"
        R"("s3-object-lambda:Get*",)"
        R"("s3-object-lambda:List*"],"Resource":"*"}])"},
    AwsManagedPolicy{
        "AmazonSNSFullAccess",
        "/",
        "Provides full access to Amazon SNS via the AWS Management Console.",
        R"([{"Effect":"Allow","Action":["sns:*"],"Resource":"*"}])"},
    AwsManagedPolicy{
        "AmazonSQSFullAccess",
        "/",
        "Provides full access to Amazon SQS via the AWS Management Console.",
        R"([{"Effect":"Allow","Action":["sqs:*"],"Resource":"*"}])"},
    AwsManagedPolicy{
        "AmazonSQSReadOnlyAccess",
        "/",
        "Provides read only access to Amazon SQS via the AWS Management Console.",
        R"([{"Effect":"Allow","Action":["sqs:GetQueueAttributes","sqs:GetQueueUrl",)"
        R"("sqs:ListDeadLetterSourceQueues","sqs:ListQueues","sqs:ListMessageMoveTasks",)"
        R"("sqs:ListQueueTags"],"Resource":"*"}])"},
    AwsManagedPolicy{
        "AWSLambdaBasicExecutionRole",
        kServiceRole,
        "Provides write permissions to CloudWatch Logs.",
        R"([{"Effect":"Allow","Action":[)"
        LOGS_ACTIONS
        R"(],"Resource":"*"}])"},
    AwsManagedPolicy{
        "AWSLambdaDynamoDBExecutionRole",
        kServiceRole,
        "Provides list and read access to DynamoDB streams and write permissions to CloudWatch "
        "Logs.",
        R"([{"Effect":"Allow","Action":["dynamodb:DescribeStream","dynamodb:GetRecords",)"
        R"("dynamodb:GetShardIterator","dynamodb:ListStreams",)"
        LOGS_ACTIONS
        R"(],"Resource":"*"}])"},
    AwsManagedPolicy{
        "AWSLambdaExecute",
        "/",
        "Provides Put, Get access to S3 and full access to CloudWatch Logs.",
        R"([{"Effect":"Allow","Action":["logs:*"],"Resource":"arn:aws:logs:*:*:*"},)"
        R"({"Effect":"Allow","Action":["s3:GetObject","s3:PutObject"],)"
        R"("Resource":"arn:aws:s3:::*"}])"},
    AwsManagedPolicy{
        "AWSLambdaKinesisExecutionRole",
        kServiceRole,
        "Provides list and read access to Kinesis streams and write permissions to CloudWatch "
        "Logs.",
        R"([{"Effect":"Allow","Action":["kinesis:DescribeStream","kinesis:DescribeStreamSummary",)"
        R"("kinesis:GetRecords","kinesis:GetShardIterator","kinesis:ListShards",)"
        R"("kinesis:ListStreams",)"
        R"("kinesis:SubscribeToShard",)"
        LOGS_ACTIONS
        R"(],"Resource":"*"}])"},
    AwsManagedPolicy{
        "AWSLambdaRole",
        kServiceRole,
        "Default policy for AWS Lambda service role.",
        R"([{"Effect":"Allow","Action":["lambda:InvokeFunction"],"Resource":["*"]}])"},
    AwsManagedPolicy{
        "AWSLambdaSQSQueueExecutionRole",
        kServiceRole,
        "Provides receive message, delete message, and read attribute access to SQS queues, and "
        "write "
        "permissions to CloudWatch logs.",
        R"([{"Effect":"Allow","Action":["sqs:ReceiveMessage","sqs:DeleteMessage",)"
        R"("sqs:GetQueueAttributes",)"
        LOGS_ACTIONS
        R"(],"Resource":"*"}])"},
    AwsManagedPolicy{
        "AWSLambdaVPCAccessExecutionRole",
        kServiceRole,
        "Provides minimum permissions for a Lambda function to execute while accessing a resource "
        "within "
        "a VPC - create, describe, delete network interfaces and write permissions to CloudWatch "
        "Logs.",
        R"([{"Sid":"AWSLambdaVPCAccessExecutionPermissions","Effect":"Allow","Action":[)"
        LOGS_ACTIONS
        R"(,"ec2:CreateNetworkInterface","ec2:DescribeNetworkInterfaces","ec2:DescribeSubnets",)"
        R"("ec2:DeleteNetworkInterface","ec2:AssignPrivateIpAddresses",)"
        R"("ec2:UnassignPrivateIpAddresses"],)"
        R"("Resource":"*"}])"},
    AwsManagedPolicy{
        "AWSXRayDaemonWriteAccess",
        "/",
        "Allow the AWS X-Ray Daemon to relay raw trace segments data to the service's API and "
        "retrieve "
        "sampling data (rules, targets, etc.) to be used by the X-Ray SDK.",
        R"([{"Effect":"Allow","Action":["xray:PutTraceSegments","xray:PutTelemetryRecords",)"
        R"("xray:GetSamplingRules","xray:GetSamplingTargets",)"
        R"("xray:GetSamplingStatisticSummaries"],)"
        R"("Resource":["*"]}])"},
    AwsManagedPolicy{
        "CloudWatchLogsFullAccess",
        "/",
        "Provides full access to CloudWatch Logs",
        R"([{"Effect":"Allow","Action":["logs:*","cloudwatch:GenerateQuery"],"Resource":"*"}])"},
    AwsManagedPolicy{
        "CloudWatchLogsReadOnlyAccess",
        "/",
        "Provides read only access to CloudWatch Logs",
        R"([{"Effect":"Allow","Action":["logs:Describe*","logs:Get*","logs:List*",)"
        R"("logs:StartQuery",)"
        R"("logs:StopQuery","logs:TestMetricFilter","logs:FilterLogEvents","logs:StartLiveTail",)"
        R"("logs:StopLiveTail","cloudwatch:GenerateQuery"],"Resource":"*"}])"},
    AwsManagedPolicy{
        "PowerUserAccess",
        "/",
        "Provides full access to AWS services and resources, but does not allow management of "
        "Users and "
        "groups.",
        R"([{"Effect":"Allow","NotAction":["iam:*","organizations:*","account:*"],"Resource":"*"},)"
        R"({"Effect":"Allow","Action":["account:GetAccountInformation","account:GetPrimaryEmail",)"
        R"("account:ListRegions","iam:CreateServiceLinkedRole","iam:DeleteServiceLinkedRole",)"
        R"("iam:ListRoles","organizations:DescribeEffectivePolicy",)"
        R"("organizations:DescribeOrganization"],)"
        R"("Resource":"*"}])"},
    // AWS's own lists hundreds of services; these are the ones that Hearth has or plans.
    AwsManagedPolicy{
        "ReadOnlyAccess",
        "/",
        "Provides read-only access to AWS services and resources.",
        R"([{"Effect":"Allow","Action":["cloudwatch:Describe*","cloudwatch:Get*",)"
        R"("cloudwatch:List*",)"
        R"("dynamodb:BatchGet*","dynamodb:Describe*","dynamodb:Get*","dynamodb:List*",)"
        R"("dynamodb:PartiQLSelect","dynamodb:Query","dynamodb:Scan","events:Describe*",)"
        R"("events:List*",)"
        R"("events:Test*","iam:Generate*","iam:Get*","iam:List*","iam:Simulate*",)"
        R"("kinesis:Describe*",)"
        R"("kinesis:Get*","kinesis:List*","kms:Describe*","kms:Get*","kms:List*","lambda:Get*",)"
        R"("lambda:List*","logs:Describe*","logs:FilterLogEvents","logs:Get*",)"
        R"("logs:ListTagsLogGroup",)"
        R"("logs:ListTagsForResource","logs:StartQuery","logs:StopQuery","logs:TestMetricFilter",)"
        R"("s3:DescribeJob","s3:Get*","s3:List*","sns:Check*","sns:Get*","sns:List*","sqs:Get*",)"
        R"("sqs:List*","sqs:Receive*","states:Describe*","states:GetExecutionHistory",)"
        R"("states:List*",)"
        R"("sts:GetAccessKeyInfo","sts:GetCallerIdentity","sts:GetSessionToken","xray:BatchGet*",)"
        R"("xray:Get*"],"Resource":"*"}])"},
};
// clang-format on

#undef LOGS_ACTIONS

}  // namespace

std::string AwsManagedPolicy::Arn() const {
    return fmt::format("arn:aws:iam::aws:policy{}{}", path, name);
}

std::string AwsManagedPolicy::Document() const {
    return fmt::format(R"({{"Version":"2012-10-17","Statement":{}}})", statements);
}

std::span<const AwsManagedPolicy> AwsManagedPolicies() {
    return kPolicies;
}

const AwsManagedPolicy* FindAwsManagedPolicy(std::string_view arn) {
    for (const AwsManagedPolicy& policy : kPolicies) {
        if (policy.Arn() == arn) {
            return &policy;
        }
    }
    return nullptr;
}

}  // namespace hearth::iam
