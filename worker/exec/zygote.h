/// \file
/// The spawner's process: forks supervisors when asked, and kills what a dead supervisor left behind.
#pragma once

#include "worker/exec/control_groups.h"
#include "worker/exec/fence.h"

namespace chappe::exec {

/// Never returns. Requires: just forked, single-threaded. Keeps `control` and `lock_fd`, closes every other descriptor.
/// Each byte that comes asks for a supervisor, whose ends are sent back. When `control` closes it waits for its
/// supervisors, who then kill what they watch, and exits 0 when nothing is left.
[[noreturn]] void run_zygote(int control, int lock_fd, const Fence& fence, const ControlGroups& groups);

}  // namespace chappe::exec
