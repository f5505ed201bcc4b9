#pragma once

#include <string_view>

namespace hearth::keeper {

// Tells the service manager, if there is one, "READY=1" or "STOPPING=1" (sd_notify(3)).
void NotifyServiceManager(std::string_view state);

}  // namespace hearth::keeper
