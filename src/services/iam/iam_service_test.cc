#include "services/iam/iam_service.h"

#include "aws/auth/policy_document.h"
#include "services/iam/aws_managed_policies.h"
#include "storage/memory/memory_kv.h"
#include "testing/fake_clock.h"
#include "testing/run_task.h"

#include <gtest/gtest.h>

#include <random>

namespace hearth::iam {
namespace {

constexpr char kTrustLambda[] =
    R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole",)"
    R"("Principal":{"Service":"lambda.amazonaws.com"}}]})";
constexpr char kReadBucket[] =
    R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject",)"
    R"("Resource":"*"}]})";

class IamServiceTest : public ::testing::Test {
  protected:
    explicit IamServiceTest(storage::MemoryKvOptions options = {})
        : kv_(storage::MakeMemoryKv(options)),
          master_key_(std::array<uint8_t, 32>{1, 2, 3}),
          random_(Random::Seeded(options.seed + 1)),
          service_(*kv_, master_key_, clock_, *random_) {}

    // Through the table, as the dispatcher does.
    template <class Op>
    Result<typename Op::Output> Call(typename Op::Input input, std::string account = kRootAccount) {
        aws::RequestContext context;
        context.account = AccountId(account);
        context.caller.account = context.account;
        const auto* entry = service_.Operations().Find(Op::Descriptor().name);
        typename Op::Output output;
        const Status status = hearth::testing::RunTask(entry->handler(context, &input, &output));
        if (!status.ok()) {
            return status.error();
        }
        return output;
    }

    std::unique_ptr<storage::Kv> kv_;
    codec::MasterKey master_key_;
    hearth::testing::FakeWallClock clock_;
    std::shared_ptr<Random> random_;
    IamService service_;
};

TEST(AwsManagedPolicies, AreWhatIamWouldTake) {
    for (const AwsManagedPolicy& policy : AwsManagedPolicies()) {
        const Status status =
            aws::CheckPolicyDocument(policy.Document(), aws::PolicyKind::kIdentity);
        EXPECT_TRUE(status.ok()) << policy.name << ": " << status.error().message();
        EXPECT_EQ(FindAwsManagedPolicy(policy.Arn()), &policy);
    }
}

TEST_F(IamServiceTest, RolesAreFoundByTheirWholeArn) {
    ASSERT_TRUE(Call<model::CreateRole>(
                    {.path = "/a/", .role_name = "r", .assume_role_policy_document = kTrustLambda})
                    .ok());
    const auto find = [&](std::string_view account, std::string_view arn, std::string_view who) {
        return *hearth::testing::RunTask(
            service_.FindRole(AccountId(std::string(account)), arn, who));
    };
    const auto found =
        find(kRootAccount, "arn:aws:iam::000000000000:role/a/r", "lambda.amazonaws.com");
    EXPECT_TRUE(found.exists && found.trusts && found.account_has_roles);
    EXPECT_EQ(found.role_name, "r");
    EXPECT_TRUE(found.role_id.starts_with("AROA"));
    EXPECT_FALSE(
        find(kRootAccount, "arn:aws:iam::000000000000:role/a/r", "states.amazonaws.com").trusts);
    // Without its path, of another account, or no role at all.
    for (const std::string_view arn :
         {"arn:aws:iam::000000000000:role/r", "arn:aws:iam::111111111111:role/a/r", "r", ""}) {
        const auto other = find(kRootAccount, arn, "lambda.amazonaws.com");
        EXPECT_FALSE(other.exists || other.trusts) << arn;
        EXPECT_TRUE(other.account_has_roles) << arn;
    }
    EXPECT_FALSE(find("111111111111", "arn:aws:iam::111111111111:role/a/r", "lambda.amazonaws.com")
                     .account_has_roles);
    const std::string endless = "arn:aws:iam::000000000000:role/" + std::string(5'000, 'x');
    EXPECT_FALSE(find(kRootAccount, endless, "lambda.amazonaws.com").exists);
}

TEST_F(IamServiceTest, KeysOpenForTheSignatureCheckAlone) {
    ASSERT_TRUE(Call<model::CreateUser>({.user_name = "u"}).ok());
    const auto made = Call<model::CreateAccessKey>({.user_name = "u"});
    ASSERT_TRUE(made.ok());
    const std::string id = *made->access_key->access_key_id;
    auto key = *hearth::testing::RunTask(service_.Find(id));
    ASSERT_TRUE(key.has_value());
    EXPECT_EQ(key->secret, *made->access_key->secret_access_key);
    EXPECT_EQ(key->caller.arn, "arn:aws:iam::000000000000:user/u");
    EXPECT_EQ(key->caller.principal_name, "u");
    EXPECT_TRUE(key->active);
    ASSERT_TRUE(
        Call<model::UpdateAccessKey>({.user_name = "u", .access_key_id = id, .status = "Inactive"})
            .ok());
    EXPECT_FALSE((*hearth::testing::RunTask(service_.Find(id)))->active);
    EXPECT_FALSE(hearth::testing::RunTask(service_.Find("AKIANOBODY"))->has_value());
}

TEST_F(IamServiceTest, LastUseIsKeptByAStop) {
    ASSERT_TRUE(Call<model::CreateUser>({.user_name = "u"}).ok());
    const auto made = Call<model::CreateAccessKey>({.user_name = "u"});
    const std::string id = *made->access_key->access_key_id;
    service_.NoteUse(id, "lambda", "eu-west-1", clock_.Now());
    hearth::testing::RunTask(service_.Stop());
    IamService next(*kv_, master_key_, clock_, *random_);
    aws::RequestContext context;
    model::GetAccessKeyLastUsed::Input input{.access_key_id = id};
    model::GetAccessKeyLastUsed::Output output;
    const auto* entry = next.Operations().Find("GetAccessKeyLastUsed");
    ASSERT_TRUE(hearth::testing::RunTask(entry->handler(context, &input, &output)).ok());
    EXPECT_EQ(output.access_key_last_used->service_name, "lambda");
    EXPECT_EQ(output.access_key_last_used->region, "eu-west-1");
}

// With commits that conflict and answers that are lost, what belongs together stays together: the
// index of attachments and the principals' own lists, and users and their keys.
class IamServiceFaultTest : public IamServiceTest {
  protected:
    static constexpr uint64_t kSeed = 20261121;

    IamServiceFaultTest()
        : IamServiceTest({.seed = kSeed, .conflict_per_mille = 200, .unknown_per_mille = 100}) {}
};

TEST_F(IamServiceFaultTest, RecordsStayConsistent) {
    SCOPED_TRACE(fmt::format("seed {}", kSeed));
    std::mt19937_64 dice(kSeed);
    const auto user = [&] { return fmt::format("u{}", dice() % 4); };
    const auto role = [&] { return fmt::format("r{}", dice() % 4); };
    const auto policy = [&] { return fmt::format("p{}", dice() % 4); };
    const auto arn = [](const std::string& name) {
        return "arn:aws:iam::000000000000:policy/" + name;
    };
    size_t lost = 0;
    const auto note = [&](const auto& result) {
        if (!result.ok() && result.error().kind() == Error::Kind::kUnavailable) {
            ++lost;
        }
    };
    for (int i = 0; i < 1'500; ++i) {
        switch (dice() % 10) {
            case 0:
                note(Call<model::CreateUser>({.user_name = user()}));
                break;
            case 1:
                note(Call<model::DeleteUser>({.user_name = user()}));
                break;
            case 2:
                note(Call<model::CreateAccessKey>({.user_name = user()}));
                break;
            case 3: {
                const std::string name = user();
                const auto keys = Call<model::ListAccessKeys>({.user_name = name});
                if (keys.ok() && !keys->access_key_metadata->empty()) {
                    note(Call<model::DeleteAccessKey>(
                        {.user_name = name,
                         .access_key_id = *keys->access_key_metadata->front().access_key_id}));
                }
                break;
            }
            case 4:
                note(Call<model::CreateRole>(
                    {.role_name = role(), .assume_role_policy_document = kTrustLambda}));
                break;
            case 5:
                note(Call<model::DeleteRole>({.role_name = role()}));
                break;
            case 6:
                note(Call<model::CreatePolicy>(
                    {.policy_name = policy(), .policy_document = kReadBucket}));
                break;
            case 7:
                note(Call<model::DeletePolicy>({.policy_arn = arn(policy())}));
                break;
            case 8:
                note(Call<model::AttachRolePolicy>(
                    {.role_name = role(), .policy_arn = arn(policy())}));
                break;
            default:
                note(Call<model::DetachRolePolicy>(
                    {.role_name = role(), .policy_arn = arn(policy())}));
                break;
        }
    }
    EXPECT_GT(lost, 0U);

    std::set<std::pair<std::string, std::string>> of_roles;
    const auto roles = Call<model::ListRoles>({});
    for (const model::Role& one : *roles->roles) {
        const auto attached = Call<model::ListAttachedRolePolicies>({.role_name = one.role_name});
        for (const model::AttachedPolicy& link : *attached->attached_policies) {
            of_roles.emplace(*one.role_name, *link.policy_arn);
        }
    }
    std::set<std::pair<std::string, std::string>> of_policies;
    const auto policies = Call<model::ListPolicies>({.scope = "Local"});
    for (const model::Policy& one : *policies->policies) {
        const auto entities = Call<model::ListEntitiesForPolicy>({.policy_arn = one.arn});
        EXPECT_EQ(static_cast<size_t>(*one.attachment_count), entities->policy_roles->size());
        for (const model::PolicyRole& link : *entities->policy_roles) {
            of_policies.emplace(*link.role_name, *one.arn);
        }
    }
    EXPECT_EQ(of_roles, of_policies);

    const auto users = Call<model::ListUsers>({});
    for (const model::User& one : *users->users) {
        const auto keys = Call<model::ListAccessKeys>({.user_name = one.user_name});
        EXPECT_LE(keys->access_key_metadata->size(), 2U);
        for (const model::AccessKeyMetadata& key : *keys->access_key_metadata) {
            const auto found = hearth::testing::RunTask(service_.Find(*key.access_key_id));
            ASSERT_TRUE(found.ok() && found->has_value());
            EXPECT_EQ((*found)->caller.user_id, *one.user_id);
        }
    }
}

}  // namespace
}  // namespace hearth::iam
