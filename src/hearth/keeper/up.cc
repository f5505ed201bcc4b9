#include "hearth/keeper/up.h"

#include "base/log.h"
#include "hearth/keeper/keeper.h"

#include <cstdio>

namespace hearth::keeper {

int Up(UpOptions options) {
    log::Init("keeper", options.log_level);
    Keeper keeper(std::move(options));
    if (auto prepared = keeper.Prepare(); !prepared.ok()) {
        fmt::print(stderr, "hearth: {}\n", prepared.error().message());
        return 1;
    }
    return keeper.Run();
}

}  // namespace hearth::keeper
