/// \file
/// All descendants of the calling process, and signals to them. For a subreaper: nobody escapes by setsid or by a
/// parent that ends.
#pragma once

#include <sys/types.h>

#include <set>
#include <vector>

namespace chappe::exec {

/// The children of the process's main thread, and of its other threads. Those that cannot be read count as none.
std::vector<pid_t> children_of(pid_t pid);

/// Sends `signal` to every descendant but those in `spared` and theirs. A process id that was reused meanwhile is left
/// alone (checked through a pidfd). Returns how many were signalled. Not atomic: who kills repeats it until no child is
/// left.
std::size_t signal_descendants(int signal, const std::set<pid_t>& spared = {});

}  // namespace chappe::exec
