/// \file
/// The process that watches one program at a time, from launch to "nothing of it is left".
///
///   idle --Launch--> running --program ended, others left--> terminating --grace passed--> killing --> (ended)
///                       |  \--Stop, fence------------------------^
///                       \--no child left--> (ended): idle, or the program that waited behind it runs
///
/// More programs may wait behind the one that runs; they start without a word to the worker in between, and while there
/// are enough of them the ends of short ones are told together: waking the worker costs more than such a program. If
/// the socket closes, the worker is dead: kill everything, then leave.
#pragma once

#include <array>

#include "worker/exec/control_groups.h"
#include "worker/exec/fence.h"
#include "worker/exec/messages.h"

namespace chappe::exec {

/// Runs until the socket closes. `ends`: the worker's counterparts. `read_ends`: of the pipes, to look whether there is
/// something in them. Requires: single-threaded, a subreaper, all signals blocked, stdin as tasks shall have it, and no
/// other descriptor without close-on-exec.
void run_supervisor(const SupervisorEnds& ends, const std::array<int, kPipes>& read_ends, const Fence& fence,
                    SupervisorGroups groups);

}  // namespace chappe::exec
