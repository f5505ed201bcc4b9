#include "aws/auth/policy/policy.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace hearth::aws {
namespace {

constexpr char kFunction[] = "arn:aws:lambda:us-east-1:111122223333:function:f";

AccessRequest Ask(AccessPrincipal principal) {
    AccessRequest request;
    request.principal = std::move(principal);
    request.action = "lambda:InvokeFunction";
    request.resource = kFunction;
    request.SetStandardKeys(WallClock::time_point(std::chrono::milliseconds(1'790'000'000'000)));
    return request;
}

AccessPrincipal User(std::string name, std::string account = "444455556666") {
    return {fmt::format("arn:aws:iam::{}:user/{}", account, name), account, {}};
}

AccessPrincipal Session(std::string role, std::string session) {
    return {
        fmt::format("arn:aws:sts::444455556666:assumed-role/{}/{}", role, session),
        "444455556666",
        {}};
}

std::string Document(std::string_view statements, std::string_view version = "2012-10-17") {
    return fmt::format(
        R"({{"Version":"{}","Id":"default","Statement":[{}]}})", version, statements);
}

// One statement that allows invoking kFunction; `rest` begins with a comma.
std::string Allow(std::string_view principal, std::string_view rest = "") {
    return Document(fmt::format(
        R"({{"Effect":"Allow","Principal":{},"Action":"lambda:InvokeFunction","Resource":"{}"{}}})",
        principal,
        kFunction,
        rest));
}

std::string Deny(std::string_view principal_element, std::string_view rest = "") {
    return Document(fmt::format(
        R"({{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}},)"
        R"({{"Effect":"Deny",{},"Action":"*","Resource":"*"{}}})",
        principal_element,
        rest));
}

// The verdict on a condition under a request whose key test:key has these values.
Verdict Condition(std::string_view op, std::string_view wanted, std::vector<std::string> actual) {
    AccessRequest request = Ask(User("ann"));
    request.Set("test:key", std::move(actual));
    return Evaluate(
        Allow(R"("*")", fmt::format(R"(,"Condition":{{"{}":{{"test:key":{}}}}})", op, wanted)),
        request);
}

bool Holds(std::string_view op, std::string_view wanted, std::string actual) {
    return Condition(op, wanted, {std::move(actual)}) == Verdict::kAllow;
}

TEST(Policy, PrincipalsAreNamedByAccountUserRoleAndSession) {
    const auto allowed = [](std::string_view aws, const AccessPrincipal& who) {
        return Evaluate(Allow(fmt::format(R"({{"AWS":{}}})", aws)), Ask(who)) == Verdict::kAllow;
    };
    const AccessPrincipal root{"arn:aws:iam::444455556666:root", "444455556666", {}};
    for (const std::string_view account :
         {R"("444455556666")",
          R"("arn:aws:iam::444455556666:root")",
          R"("*")",
          R"(["111122223333","444455556666"])"}) {
        EXPECT_TRUE(allowed(account, root)) << account;
        EXPECT_TRUE(allowed(account, User("ann"))) << account;
        EXPECT_TRUE(allowed(account, Session("worker", "s"))) << account;
    }
    EXPECT_FALSE(allowed(R"("444455556667")", User("ann")));
    EXPECT_FALSE(allowed(R"("arn:aws:iam::444455556667:root")", User("ann")));
    EXPECT_TRUE(allowed(R"("arn:aws:iam::444455556666:user/ann")", User("ann")));
    EXPECT_FALSE(allowed(R"("arn:aws:iam::444455556666:user/ann")", User("anna")));
    EXPECT_FALSE(allowed(R"("arn:aws:iam::444455556666:user/*")", User("ann")));
    EXPECT_TRUE(allowed(R"("arn:aws:iam::444455556666:role/worker")", Session("worker", "s")));
    EXPECT_TRUE(allowed(R"("arn:aws:iam::444455556666:role/a/b/worker")", Session("worker", "s")));
    EXPECT_FALSE(allowed(R"("arn:aws:iam::444455556666:role/other")", Session("worker", "s")));
    EXPECT_FALSE(allowed(R"("arn:aws:iam::444455556667:role/worker")", Session("worker", "s")));
    EXPECT_TRUE(
        allowed(R"("arn:aws:sts::444455556666:assumed-role/worker/s")", Session("worker", "s")));
    EXPECT_FALSE(
        allowed(R"("arn:aws:sts::444455556666:assumed-role/worker/t")", Session("worker", "s")));
}

TEST(Policy, NobodyIsEverybodyButNotAnAccount) {
    EXPECT_EQ(Evaluate(Allow(R"("*")"), Ask(AccessPrincipal::Anonymous())), Verdict::kAllow);
    EXPECT_EQ(
        Evaluate(Allow(R"({"AWS":"*"})"), Ask(AccessPrincipal::Anonymous())), Verdict::kAllow);
    EXPECT_EQ(
        Evaluate(Allow(R"({"AWS":"444455556666"})"), Ask(AccessPrincipal::Anonymous())),
        Verdict::kNoMatch);
    EXPECT_EQ(
        Evaluate(Allow(R"({"AWS":""})"), Ask(AccessPrincipal::Anonymous())), Verdict::kNoMatch);
}

TEST(Policy, ServicesAreNamedAsServices) {
    const AccessRequest s3 = Ask(AccessPrincipal::Service("s3.amazonaws.com"));
    EXPECT_EQ(Evaluate(Allow(R"({"Service":"s3.amazonaws.com"})"), s3), Verdict::kAllow);
    EXPECT_EQ(
        Evaluate(Allow(R"({"Service":["sns.amazonaws.com","s3.amazonaws.com"]})"), s3),
        Verdict::kAllow);
    EXPECT_EQ(Evaluate(Allow(R"({"Service":"sns.amazonaws.com"})"), s3), Verdict::kNoMatch);
    EXPECT_EQ(Evaluate(Allow(R"({"AWS":"s3.amazonaws.com"})"), s3), Verdict::kNoMatch);
    // As the policies of AWS's own examples for S3 notifications have it.
    EXPECT_EQ(Evaluate(Allow(R"({"AWS":"*"})"), s3), Verdict::kAllow);
    EXPECT_EQ(Evaluate(Allow(R"({"CanonicalUser":"x","Federated":"y"})"), s3), Verdict::kNoMatch);
}

TEST(Policy, NotPrincipalExemptsOnlyWhoIsNamedInFull) {
    const auto denied = [](std::string_view listed, const AccessPrincipal& who) {
        return Evaluate(Deny(fmt::format(R"("NotPrincipal":{{"AWS":{}}})", listed)), Ask(who)) ==
               Verdict::kExplicitDeny;
    };
    constexpr char kAnn[] =
        R"(["arn:aws:iam::444455556666:user/ann","arn:aws:iam::444455556666:root"])";
    EXPECT_FALSE(denied(kAnn, User("ann")));
    EXPECT_TRUE(denied(kAnn, User("bob")));
    EXPECT_TRUE(denied(kAnn, AccessPrincipal::Anonymous()));
    EXPECT_TRUE(denied(R"("444455556666")", User("ann")));
    EXPECT_FALSE(denied(
        R"(["444455556666","arn:aws:iam::444455556666:role/worker",)"
        R"("arn:aws:sts::444455556666:assumed-role/worker/s"])",
        Session("worker", "s")));
    EXPECT_TRUE(denied(
        R"(["444455556666","arn:aws:iam::444455556666:role/worker"])", Session("worker", "s")));
    // Open to everybody who is not named.
    const std::string open = Document(
        R"({"Effect":"Allow","NotPrincipal":{"AWS":"444455556666"},"Action":"*","Resource":"*"})");
    EXPECT_EQ(Evaluate(open, Ask(User("ann"))), Verdict::kNoMatch);
    EXPECT_EQ(Evaluate(open, Ask(User("ann", "777788889999"))), Verdict::kAllow);
}

TEST(Policy, ActionsIgnoreCaseAndResourcesDoNot) {
    const auto verdict = [](std::string_view elements) {
        return Evaluate(
            Document(fmt::format(R"({{"Effect":"Allow","Principal":"*",{}}})", elements)),
            Ask(User("ann")));
    };
    EXPECT_EQ(verdict(R"("Action":"LAMBDA:invoke*","Resource":"*")"), Verdict::kAllow);
    EXPECT_EQ(verdict(R"("Action":"lambda:InvokeFunctio?","Resource":"*")"), Verdict::kAllow);
    EXPECT_EQ(verdict(R"("Action":"lambda:GetFunction","Resource":"*")"), Verdict::kNoMatch);
    EXPECT_EQ(verdict(R"("NotAction":"lambda:Get*","Resource":"*")"), Verdict::kAllow);
    EXPECT_EQ(verdict(R"("NotAction":"lambda:Inv*","Resource":"*")"), Verdict::kNoMatch);
    EXPECT_EQ(
        verdict(R"("Action":"*","Resource":"arn:aws:lambda:us-east-1:111122223333:function:*")"),
        Verdict::kAllow);
    EXPECT_EQ(
        verdict(R"("Action":"*","Resource":"arn:aws:lambda:us-east-1:111122223333:function:F")"),
        Verdict::kNoMatch);
    EXPECT_EQ(
        verdict(R"("Action":"*","NotResource":"arn:aws:lambda:*:*:function:g")"), Verdict::kAllow);
    EXPECT_EQ(verdict(R"("Action":"*","NotResource":"arn:aws:lambda:*")"), Verdict::kNoMatch);
    EXPECT_EQ(verdict(R"("Resource":"*")"), Verdict::kNoMatch);
    EXPECT_EQ(verdict(R"("Action":7,"Resource":"*")"), Verdict::kNoMatch);
    EXPECT_EQ(verdict(R"("Action":"*","NotAction":"a:b","Resource":"*")"), Verdict::kNoMatch);
}

TEST(Policy, ADenyBeatsAnAllow) {
    EXPECT_EQ(Evaluate(Deny(R"("Principal":"*")"), Ask(User("ann"))), Verdict::kExplicitDeny);
    const std::string bob = Deny(R"("Principal":{"AWS":"arn:aws:iam::444455556666:user/bob"})");
    EXPECT_EQ(Evaluate(bob, Ask(User("ann"))), Verdict::kAllow);
    EXPECT_EQ(Evaluate(bob, Ask(User("bob"))), Verdict::kExplicitDeny);
}

TEST(Policy, WhatCannotBeJudgedOpensNothing) {
    const AccessRequest ann = Ask(User("ann"));
    for (const std::string_view condition :
         {R"({"StringEquals":{"never:heard":"of"}})",
          R"({"StringNotEquals":{"never:heard":"of"}})",
          R"({"StringEqualsIfExists":{"never:heard":"of"}})",
          R"({"Null":{"never:heard":"true"}})",
          R"({"StringSmells":{"aws:PrincipalAccount":"444455556666"}})",
          R"({"StringEquals":{"aws:PrincipalAccount":{"a":1}}})",
          R"({"StringEquals":"aws:PrincipalAccount"})",
          R"(["StringEquals"])",
          R"({"IpAddress":{"aws:PrincipalAccount":"10.0.0.0/8"}})",
          R"({"StringEquals":{"aws:PrincipalAccount":"${never:heard}"}})"}) {
        const std::string element = fmt::format(R"(,"Condition":{})", condition);
        EXPECT_EQ(Evaluate(Allow(R"("*")", element), ann), Verdict::kNoMatch) << condition;
        EXPECT_EQ(Evaluate(Deny(R"("Principal":"*")", element), ann), Verdict::kExplicitDeny)
            << condition;
    }
    EXPECT_EQ(Evaluate(Deny(R"("Principal":5)"), ann), Verdict::kExplicitDeny);
    EXPECT_EQ(Evaluate("{", ann), Verdict::kExplicitDeny);
    EXPECT_EQ(Evaluate("[]", ann), Verdict::kExplicitDeny);
    EXPECT_EQ(Evaluate("{}", ann), Verdict::kNoMatch);
    EXPECT_EQ(Evaluate(R"({"Statement":[7,null,"x",[]]})", ann), Verdict::kNoMatch);
    // What certainly does not hold decides, whatever stands beside it.
    EXPECT_EQ(
        Evaluate(
            Deny(
                R"("Principal":"*")",
                R"(,"Condition":{"StringEquals":{"never:heard":"of","aws:PrincipalAccount":"1"}})"),
            ann),
        Verdict::kAllow);
}

TEST(Policy, TextOperators) {
    EXPECT_TRUE(Holds("StringEquals", R"("a*")", "a*"));
    EXPECT_FALSE(Holds("StringEquals", R"("a*")", "ab"));
    EXPECT_TRUE(Holds("StringEquals", R"(["x","ab"])", "ab"));
    EXPECT_FALSE(Holds("StringNotEquals", R"(["x","ab"])", "ab"));
    EXPECT_TRUE(Holds("StringNotEquals", R"(["x","y"])", "ab"));
    EXPECT_TRUE(Holds("StringEqualsIgnoreCase", R"("AB")", "ab"));
    EXPECT_FALSE(Holds("StringNotEqualsIgnoreCase", R"("AB")", "ab"));
    EXPECT_TRUE(Holds("StringLike", R"("a?c*")", "abcdef"));
    EXPECT_FALSE(Holds("StringLike", R"("a?c")", "abcdef"));
    EXPECT_TRUE(Holds("StringNotLike", R"("a?c")", "abcdef"));
    EXPECT_TRUE(Holds("Bool", "true", "true"));
    EXPECT_FALSE(Holds("Bool", R"("true")", "false"));
    EXPECT_TRUE(Holds("BinaryEquals", R"("QmlnIGtleQ==")", "QmlnIGtleQ=="));
}

TEST(Policy, ArnsAreComparedPartByPart) {
    for (const std::string_view op : {"ArnLike", "ArnEquals"}) {
        EXPECT_TRUE(Holds(op, R"("arn:aws:s3:::bucket")", "arn:aws:s3:::bucket"));
        EXPECT_TRUE(Holds(
            op,
            R"("arn:aws:sns:*:111122223333:*")",
            "arn:aws:sns:us-east-1:111122223333:topic:sub"));
        // A star does not reach over a colon of the first five.
        EXPECT_FALSE(Holds(op, R"("arn:aws:*:topic")", "arn:aws:sns:us-east-1:111122223333:topic"));
        EXPECT_FALSE(Holds(op, R"("arn:aws:s3:::bucket")", "arn:aws:s3:::bucket2"));
        EXPECT_FALSE(Holds(op, R"("*")", "not an arn"));
    }
    EXPECT_TRUE(Holds("ArnNotLike", R"("arn:aws:s3:::a*")", "arn:aws:s3:::bucket"));
    EXPECT_FALSE(Holds("ArnNotEquals", R"("arn:aws:s3:::b*")", "arn:aws:s3:::bucket"));
}

TEST(Policy, NumbersDatesAndAddresses) {
    EXPECT_TRUE(Holds("NumericEquals", "7", "7.0"));
    EXPECT_TRUE(Holds("NumericNotEquals", "7", "8"));
    EXPECT_TRUE(Holds("NumericLessThan", R"("10")", "9"));
    EXPECT_FALSE(Holds("NumericLessThan", "10", "10"));
    EXPECT_TRUE(Holds("NumericLessThanEquals", "10", "10"));
    EXPECT_TRUE(Holds("NumericGreaterThan", "-1", "0"));
    EXPECT_TRUE(Holds("NumericGreaterThanEquals", "0", "0"));
    EXPECT_FALSE(Holds("NumericEquals", "7", "seven"));
    EXPECT_FALSE(Holds("NumericNotEquals", "7", "seven"));
    EXPECT_TRUE(Holds("DateLessThan", R"("2026-01-01T00:00:00Z")", "2025-12-31T23:59:59Z"));
    EXPECT_TRUE(Holds("DateGreaterThanEquals", R"("1767225600")", "2026-01-01T00:00:00Z"));
    EXPECT_FALSE(Holds("DateEquals", R"("yesterday")", "2026-01-01T00:00:00Z"));
    EXPECT_TRUE(Holds("IpAddress", R"(["192.168.0.0/16","10.0.0.0/8"])", "10.20.30.40"));
    EXPECT_FALSE(Holds("IpAddress", R"("10.0.0.0/8")", "11.0.0.1"));
    EXPECT_TRUE(Holds("IpAddress", R"("203.0.113.7")", "203.0.113.7"));
    EXPECT_TRUE(Holds("NotIpAddress", R"("10.0.0.0/8")", "11.0.0.1"));
    EXPECT_TRUE(Holds("IpAddress", R"("2001:db8::/33")", "2001:db8:7fff::1"));
    EXPECT_FALSE(Holds("IpAddress", R"("2001:db8::/33")", "2001:db8:8000::1"));
    EXPECT_FALSE(Holds("IpAddress", R"("0.0.0.0/0")", "::1"));
    EXPECT_FALSE(Holds("IpAddress", R"("10.0.0.0/33")", "10.0.0.1"));
    EXPECT_FALSE(Holds("NotIpAddress", R"("10.0.0.0/33")", "11.0.0.1"));
}

TEST(Policy, KeysWithoutAValue) {
    EXPECT_EQ(Condition("StringEquals", R"("a")", {}), Verdict::kNoMatch);
    EXPECT_EQ(Condition("StringNotEquals", R"("a")", {}), Verdict::kAllow);
    EXPECT_EQ(Condition("StringEqualsIfExists", R"("a")", {}), Verdict::kAllow);
    EXPECT_EQ(Condition("StringEqualsIfExists", R"("a")", {"b"}), Verdict::kNoMatch);
    EXPECT_EQ(Condition("Null", R"("true")", {}), Verdict::kAllow);
    EXPECT_EQ(Condition("Null", "false", {}), Verdict::kNoMatch);
    EXPECT_EQ(Condition("Null", "false", {"x"}), Verdict::kAllow);
}

TEST(Policy, KeysWithSeveralValues) {
    EXPECT_EQ(Condition("ForAllValues:StringEquals", R"(["a","b"])", {"a", "b"}), Verdict::kAllow);
    EXPECT_EQ(
        Condition("ForAllValues:StringEquals", R"(["a","b"])", {"a", "c"}), Verdict::kNoMatch);
    EXPECT_EQ(Condition("ForAllValues:StringEquals", R"("a")", {}), Verdict::kAllow);
    EXPECT_EQ(Condition("ForAnyValue:StringLike", R"("b*")", {"a", "bc"}), Verdict::kAllow);
    EXPECT_EQ(Condition("ForAnyValue:StringLike", R"("b*")", {"a"}), Verdict::kNoMatch);
    EXPECT_EQ(Condition("ForAnyValue:StringLike", R"("b*")", {}), Verdict::kNoMatch);
    EXPECT_EQ(Condition("ForAnyValue:StringNotEquals", R"("a")", {"a", "b"}), Verdict::kAllow);
    EXPECT_EQ(Condition("ForAllValues:StringNotEquals", R"("a")", {"a", "b"}), Verdict::kNoMatch);
}

TEST(Policy, KeysIgnoreCase) {
    EXPECT_EQ(
        Evaluate(
            Allow(
                R"("*")",
                R"(,"Condition":{"StringEquals":{"AWS:principalACCOUNT":"444455556666"}})"),
            Ask(User("ann"))),
        Verdict::kAllow);
}

TEST(Policy, VariablesStandForValuesAndNotForWildcards) {
    AccessRequest request = Ask(User("ann"));
    request.Set("test:key", "*");
    const auto verdict = [&](std::string_view resource, std::string_view version = "2012-10-17") {
        return Evaluate(
            Document(
                fmt::format(
                    R"({{"Effect":"Allow","Principal":"*","Action":"*","Resource":"{}"}})",
                    resource),
                version),
            request);
    };
    request.resource = "arn:aws:s3:::b/ann/x";
    EXPECT_EQ(verdict("arn:aws:s3:::b/${aws:username}/*"), Verdict::kAllow);
    EXPECT_EQ(verdict("arn:aws:s3:::b/${AWS:UserName}/?"), Verdict::kAllow);
    EXPECT_EQ(verdict("arn:aws:s3:::b/${aws:username}/*", "2008-10-17"), Verdict::kNoMatch);
    EXPECT_EQ(verdict("arn:aws:s3:::b/${test:key}"), Verdict::kNoMatch);
    EXPECT_EQ(verdict("arn:aws:s3:::b/${aws:PrincipalServiceName, 'ann'}/*"), Verdict::kAllow);
    EXPECT_EQ(verdict("arn:aws:s3:::b/${aws:PrincipalServiceName}/*"), Verdict::kNoMatch);
    EXPECT_EQ(verdict("arn:aws:s3:::b/${aws:username"), Verdict::kNoMatch);
    request.resource = "arn:aws:s3:::b/*$?";
    EXPECT_EQ(verdict("arn:aws:s3:::b/${*}${$}${?}"), Verdict::kAllow);
    request.resource = "arn:aws:s3:::b/abc";
    EXPECT_EQ(verdict("arn:aws:s3:::b/${*}"), Verdict::kNoMatch);
}

TEST(Policy, StandardKeysTellWhoAsks) {
    const auto value = [](const AccessPrincipal& who, std::string_view key) -> std::string {
        const AccessRequest request = Ask(who);
        const auto* values = request.Find(key);
        return values == nullptr ? "unknown" : values->empty() ? "absent" : values->front();
    };
    EXPECT_EQ(
        value(Session("worker", "s"), "aws:PrincipalArn"), "arn:aws:iam::444455556666:role/worker");
    EXPECT_EQ(value(Session("worker", "s"), "aws:PrincipalType"), "AssumedRole");
    EXPECT_EQ(value(Session("worker", "s"), "aws:username"), "absent");
    EXPECT_EQ(value(User("path/ann"), "aws:username"), "ann");
    EXPECT_EQ(value(AccessPrincipal::Anonymous(), "aws:PrincipalType"), "Anonymous");
    EXPECT_EQ(value(AccessPrincipal::Anonymous(), "aws:PrincipalArn"), "absent");
    EXPECT_EQ(
        value(AccessPrincipal::Service("s3.amazonaws.com"), "aws:PrincipalIsAWSService"), "true");
    EXPECT_EQ(value(User("ann"), "aws:PrincipalOrgID"), "absent");
    EXPECT_EQ(value(User("ann"), "aws:SourceIp"), "unknown");
    EXPECT_EQ(value(User("ann"), "aws:CurrentTime"), "2026-09-21T14:13:20Z");
}

TEST(WildcardMatches, StarsAndQuestionMarks) {
    EXPECT_TRUE(WildcardMatches("*", ""));
    EXPECT_TRUE(WildcardMatches("s3:Get*", "s3:GetObject"));
    EXPECT_TRUE(WildcardMatches("a*b?c", "axxbxbyc"));
    EXPECT_FALSE(WildcardMatches("a?", "a"));
    EXPECT_FALSE(WildcardMatches("", "a"));
}

}  // namespace
}  // namespace hearth::aws
