/// \file
/// The process that watches one program at a time, from launch to "nothing of it is left".
///
///   idle --Launch--> running --program ended, others left--> terminating --grace passed--> killing --> (ended)
///                       |  \--Stop, fence------------------------^
///                       \--no child left--> (ended): idle, or the program that waited behind it runs
///
/// One more program may wait behind the one that runs; it starts without a word to the worker in between. If the socket
/// closes, the worker is dead: kill everything, then leave.
#pragma once

#include "worker/exec/fence.h"
#include "worker/exec/messages.h"

namespace chappe::exec {

/// Runs until the socket closes. `ends`: the worker's counterparts. Requires: single-threaded, a subreaper, all signals
/// blocked, stdin as tasks shall have it, and no other descriptor without close-on-exec.
void run_supervisor(const SupervisorEnds& ends, const Fence& fence);

}  // namespace chappe::exec
