#pragma once

#include <sys/types.h>

// What the maker's child does that becomes a template (snapshot/template.h). The host talks to the
// template itself, over its control socket.
namespace hearth::sandbox {

// Plain data: it crosses a packet between two processes of one program.
struct TemplateJob {
    // hearth-init of the template's own environment, whose root has the mapped files.
    pid_t init = -1;
};

// Waits for the byte on `ready` that says that the environment's mounts are there, and becomes the
// template. When that fails it sends a TemplateFailure on `report` and ends; else `report` just
// closes.
// `memory_use`: what RunLearn has written, if that is what it is. -1: nothing.
[[noreturn]] void RunTemplate(
    const TemplateJob& job,
    int control,
    int report,
    int image,
    int filter,
    int ready,
    int memory_use);

// What the maker's child does that finds out which memory calls use (snapshot/working_set.h), of a
// clone that has answered some: writes it to `memory_use`, tells the template over a copy of the
// host's end of its control socket, and ends. `runtime` is the clone's pidfd. When anything fails,
// nothing has happened.
[[noreturn]] void RunLearn(int control, int image, int memory_use, int runtime);

// The packet: 'u' (the image does not fit this machine or its files) or 'e' (another error), then
// text.
inline constexpr char kTemplateUnusable = 'u';
inline constexpr char kTemplateError = 'e';

}  // namespace hearth::sandbox
