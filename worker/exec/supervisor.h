/// \file
/// The process that watches one program at a time, from launch to "nothing of it is left".
///
///   idle --Launch--> running --program ended, others left--> ending --no child left--> idle
///                       |  \--no child left--------------------------------------------^
///                       +--Stop, fence--> terminating --grace passed--> killing --no child left--> idle
///
/// If its socket closes, the worker is dead: kill everything, then leave.
#pragma once

#include "worker/exec/fence.h"

namespace chappe::exec {

/// Runs until the socket closes. Requires: single-threaded, a subreaper, all signals blocked, stdin, stdout and stderr
/// as tasks shall have them, and no other descriptor without close-on-exec.
void run_supervisor(int socket, const Fence& fence);

}  // namespace chappe::exec
