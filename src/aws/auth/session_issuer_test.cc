#include "aws/auth/session_issuer.h"

#include "aws/auth/access_key_id.h"
#include "testing/fake_clock.h"

#include <gtest/gtest.h>

namespace hearth::aws {
namespace {

class SessionIssuerTest : public ::testing::Test {
  protected:
    testing::FakeWallClock clock_;
    std::shared_ptr<Random> random_ = Random::Seeded(1);
    codec::MasterKey master_key_{{1, 2, 3}};
    SessionIssuer issuer_{master_key_, clock_, *random_};
    RoleSession role_{
        .account = AccountId("123456789012"),
        .role_name = "worker",
        .role_id = "AROAEXAMPLE",
        .session_name = "job-1",
        .duration = std::chrono::seconds(900)};
};

TEST_F(SessionIssuerTest, KnowsItsSessionsAgain) {
    const SessionCredentials made = issuer_.IssueForRole(role_);
    EXPECT_TRUE(made.access_key_id.starts_with("ASIA"));
    EXPECT_EQ(AccountOfAccessKeyId(made.access_key_id)->text(), "123456789012");
    EXPECT_EQ(made.expiration, clock_.Now() + std::chrono::seconds(900));
    EXPECT_TRUE(SessionIssuer::IsOurs(made.session_token));
    // Another instance with the same master key, as after a restart.
    const SessionIssuer later(codec::MasterKey({1, 2, 3}), clock_, *random_);
    const auto opened = later.Open(made.session_token);
    ASSERT_TRUE(opened.ok());
    EXPECT_EQ(opened->access_key_id, made.access_key_id);
    EXPECT_EQ(opened->secret_access_key, made.secret_access_key);
    EXPECT_EQ(opened->expiration, made.expiration);
    EXPECT_EQ(opened->caller.type, Caller::Type::kAssumedRole);
    EXPECT_EQ(opened->caller.arn, "arn:aws:sts::123456789012:assumed-role/worker/job-1");
    EXPECT_EQ(opened->caller.user_id, "AROAEXAMPLE:job-1");
    EXPECT_EQ(opened->caller.account.text(), "123456789012");
}

TEST_F(SessionIssuerTest, RefusesTokensThatAreNotItsOwn) {
    const std::string token = issuer_.IssueForRole(role_).session_token;
    const SessionIssuer other(codec::MasterKey({9}), clock_, *random_);
    EXPECT_FALSE(other.Open(token).ok());
    for (size_t i = 0; i < token.size(); ++i) {
        std::string changed = token;
        changed[i] = changed[i] == 'A' ? 'B' : 'A';
        EXPECT_FALSE(issuer_.Open(changed).ok()) << i;
        EXPECT_FALSE(issuer_.Open(token.substr(0, i)).ok()) << i;
    }
    EXPECT_FALSE(issuer_.Open(std::string(100'000, 'A')).ok());
    EXPECT_FALSE(issuer_.Open("").ok());
}

TEST_F(SessionIssuerTest, StandsForItsCaller) {
    Caller user;
    user.type = Caller::Type::kUser;
    user.account = AccountId("123456789012");
    user.arn = "arn:aws:iam::123456789012:user/team/ada";
    user.user_id = "AIDAEXAMPLE";
    user.principal_name = "ada";
    const auto opened = issuer_.Open(issuer_.IssueFor(user, std::chrono::hours(1)).session_token);
    ASSERT_TRUE(opened.ok());
    EXPECT_EQ(opened->caller.type, Caller::Type::kUser);
    EXPECT_EQ(opened->caller.arn, user.arn);
    EXPECT_EQ(opened->caller.principal_name, "ada");
    EXPECT_TRUE(opened->caller.verified);
}

TEST(AccessKeyId, NamesItsAccount) {
    const auto random = Random::Seeded(7);
    for (const char* account : {"000000000000", "000000000001", "123456789012", "999999999999"}) {
        for (int i = 0; i < 100; ++i) {
            const std::string id = MakeAccessKeyId(kLongTermKeyPrefix, AccountId(account), *random);
            ASSERT_EQ(id.size(), 20u);
            EXPECT_EQ(AccountOfAccessKeyId(id)->text(), account) << id;
        }
    }
    EXPECT_FALSE(AccountOfAccessKeyId("AKIA").has_value());
    EXPECT_FALSE(AccountOfAccessKeyId("AROAAAAAAAAAAAAAAAAA").has_value());
    EXPECT_FALSE(AccountOfAccessKeyId("AKIA0000000000000000").has_value());
    // A key of AWS's documentation, decoded as AWS documents it.
    EXPECT_EQ(AccountOfAccessKeyId("ASIAQNZGKIQY56JQ7WML")->text(), "029608264753");
    EXPECT_EQ(UniqueIdOf("AROA", "x"), UniqueIdOf("AROA", "x"));
    EXPECT_EQ(UniqueIdOf("AROA", "x").size(), 21u);
}

}  // namespace
}  // namespace hearth::aws
