#pragma once

#include "aws/front/service.h"
#include "services/role_directory.h"
#include "services/service_deps.h"

#include "gen/sts/operations.gen.h"

namespace hearth::sts {

// The AWS Security Token Service. Stateless; every method may run on any loop.
class StsService final : public aws::ServiceApi {
  public:
    // `roles`: null while there is no IAM; roles are then taken as given in open mode.
    StsService(const ServiceDeps& deps, RoleDirectory* roles);

    const aws::model::Service& Model() const override;

    const aws::OperationTable& Operations() const override { return operations_; }

    Task<Status> Start() override { co_return Status(); }

    Task<void> Stop() override { co_return; }

  private:
    Task<Result<model::AssumeRole::Output>> AssumeRole(
        aws::RequestContext& context, model::AssumeRole::Input input);
    Task<Result<model::GetAccessKeyInfo::Output>> GetAccessKeyInfo(
        aws::RequestContext& context, model::GetAccessKeyInfo::Input input);
    Task<Result<model::GetCallerIdentity::Output>> GetCallerIdentity(
        aws::RequestContext& context, model::GetCallerIdentity::Input input);
    Task<Result<model::GetSessionToken::Output>> GetSessionToken(
        aws::RequestContext& context, model::GetSessionToken::Input input);

    const aws::SessionIssuer& sessions_;
    RoleDirectory* const roles_;
    const bool enforce_;
    aws::OperationTable operations_;
};

}  // namespace hearth::sts
