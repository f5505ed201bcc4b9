#pragma once

#include "rt/loops.h"

namespace hearth::testing {

// Drives a task to its end on a loop of its own and returns what it returns. An exception comes
// out.
//   const Result<Name> name = RunTask(store.Find("x"));
using rt::RunTask;

}  // namespace hearth::testing
