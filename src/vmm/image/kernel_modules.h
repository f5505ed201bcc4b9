#pragma once

#include "base/result.h"

#include <string>
#include <string_view>
#include <vector>

// The modules of a kernel package that was unpacked and not installed: no depmod has run there, so
// what a module needs is read from the module.
namespace hearth::vmm {

struct KernelModule {
    std::string name;   // with underscores
    std::string bytes;  // as finit_module() takes them: not compressed
};

// The names in "depends=" of a module's .modinfo.
std::vector<std::string> ModuleNeeds(std::string_view bytes);

// The modules named and what they need, each after what it needs. A name that the kernel does not
// have is left out: it may be built in.
//   directory   ".../lib/modules/VERSION"
//   errors      Unavailable when a module is compressed in a way that nobody here can read
Result<std::vector<KernelModule>> SelectModules(
    const std::string& directory, const std::vector<std::string>& names);

}  // namespace hearth::vmm
