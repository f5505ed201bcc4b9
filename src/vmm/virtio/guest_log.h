#pragma once

#include "base/log.h"

#include <utility>

// Lines that a guest can cause at will. A few per second are written and the rest only counted, so
// that a hostile guest cannot fill the host's disk with its misdeeds.
namespace hearth::vmm::virtio {

// Whether one more line may be written now; announces what was left out before it.
bool MayLogAboutGuest();

template <class... Args>
void WarnAboutGuest(fmt::format_string<Args...> format, Args&&... args) {
    if (MayLogAboutGuest()) {
        log::Warn(format, std::forward<Args>(args)...);
    }
}

}  // namespace hearth::vmm::virtio
