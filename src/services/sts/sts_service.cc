#include "services/sts/sts_service.h"

namespace hearth::sts {

StsService::StsService(const ServiceDeps& deps, RoleDirectory* roles)
    : sessions_(deps.sessions), roles_(roles), enforce_(deps.options.enforce) {
    operations_.Add<model::AssumeRole>(this, &StsService::AssumeRole);
    operations_.Add<model::GetAccessKeyInfo>(this, &StsService::GetAccessKeyInfo);
    operations_.Add<model::GetCallerIdentity>(this, &StsService::GetCallerIdentity);
    operations_.Add<model::GetSessionToken>(this, &StsService::GetSessionToken);
}

const aws::model::Service& StsService::Model() const {
    return model::Service();
}

}  // namespace hearth::sts
