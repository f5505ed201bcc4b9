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
[[noreturn]] void RunTemplate(
    const TemplateJob& job, int control, int report, int image, int filter, int ready);

// The packet: 'u' (the image does not fit this machine or its files) or 'e' (another error), then
// text.
inline constexpr char kTemplateUnusable = 'u';
inline constexpr char kTemplateError = 'e';

}  // namespace hearth::sandbox
