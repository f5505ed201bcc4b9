#include "services/lambda/layer_policy.h"

#include "aws/front/context.h"

#include <gtest/gtest.h>

#include <string>

namespace hearth::lambda {
namespace {

constexpr const char* kArn = "arn:aws:lambda:us-east-1:123456789012:layer:l:1";

bool Allows(LayerStatement statement, const std::string& account, const std::string& caller) {
    LayerVersionRecord record;
    record.statements = {std::move(statement)};
    aws::RequestContext context;
    context.account = AccountId(account);
    context.caller.account = context.account;
    context.caller.arn = caller;
    return LayerPolicyAllows(context, record, kArn);
}

TEST(LayerPolicy, AnAccountMeansEverybodyInIt) {
    for (const char* principal : {"222233334444", "arn:aws:iam::222233334444:root"}) {
        const LayerStatement statement{"s", principal, ""};
        for (const char* caller :
             {"arn:aws:iam::222233334444:root",
              "arn:aws:iam::222233334444:user/team/u",
              "arn:aws:sts::222233334444:assumed-role/role/session"}) {
            EXPECT_TRUE(Allows(statement, "222233334444", caller)) << caller;
        }
        EXPECT_FALSE(Allows(statement, "333344445555", "arn:aws:iam::333344445555:root"));
    }
    EXPECT_TRUE(Allows({"s", "*", ""}, "333344445555", "arn:aws:iam::333344445555:user/u"));
}

TEST(LayerPolicy, NobodyIsInAnOrganization) {
    EXPECT_FALSE(
        Allows({"s", "*", "o-0123456789"}, "222233334444", "arn:aws:iam::222233334444:root"));
}

TEST(LayerPolicy, NoStatementAllowsNobody) {
    aws::RequestContext context;
    context.account = AccountId("222233334444");
    context.caller.arn = "arn:aws:iam::222233334444:root";
    EXPECT_FALSE(LayerPolicyAllows(context, LayerVersionRecord(), kArn));
}

TEST(LayerPolicy, ATextIsAsAwsWritesIt) {
    EXPECT_EQ(
        LayerStatementText({"s", "222233334444", "o-1"}, kArn),
        R"({"Sid":"s","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::222233334444:root"},)"
        R"("Action":"lambda:GetLayerVersion",)"
        R"("Resource":"arn:aws:lambda:us-east-1:123456789012:layer:l:1",)"
        R"("Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-1"}}})");
}

}  // namespace
}  // namespace hearth::lambda
