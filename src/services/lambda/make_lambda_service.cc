#include "services/lambda/data_plane.h"
#include "services/lambda/lambda_service.h"

namespace hearth::lambda {

std::unique_ptr<LambdaService> MakeLambdaService(
    const ServiceDeps& deps,
    RoleDirectory* roles,
    LogSink* log_sink,
    ObjectReader* objects,
    EventTarget* event_targets) {
    // Without a logs service the lines go nowhere; LogType=Tail still works.
    static NullLogSink nowhere;
    auto service = std::make_unique<LambdaService>(deps, roles);
    service->UseObjects(objects);
    service->UseEventTargets(event_targets);
    service->UseInvoker(std::make_unique<DataPlane>(
        deps,
        service->code(),
        service->concurrency(),
        log_sink != nullptr ? *log_sink : nowhere,
        roles));
    return service;
}

}  // namespace hearth::lambda
