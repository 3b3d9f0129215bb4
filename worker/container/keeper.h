/// \file
/// A process beside the worker that ends its containers when the worker cannot: it died, it hangs, it is stopped.
///
///   worker lives, fence is ahead --fence: terminate--> SIGTERM to all --fence: kill--> SIGKILL, until none runs
///         \--worker is gone--> all are killed and removed --> leaves
///
/// It holds the lock of the work directory: nobody else works there before the last container is gone.
#pragma once

#include <memory>
#include <string>

#include "engine/base/result.h"
#include "worker/exec/fence.h"

namespace chappe::container {

class Keeper {
 public:
  /// Forks it. Before the process has any thread. `owner`: as in owner_label(). `fence`: shared memory.
  static Result<Keeper> start(const std::string& socket, const std::string& owner, int lock_fd,
                              const exec::Fence& fence);
  Keeper(Keeper&& other) noexcept;
  Keeper& operator=(Keeper&&) = delete;
  /// It sees that we are gone. Does not wait for it.
  ~Keeper();

  /// Readable (for poll or epoll) when it is gone: containers are not safe any more.
  int fd() const { return line_; }

 private:
  explicit Keeper(int line) : line_(line) {}
  int line_ = -1;  ///< Nothing is ever said on it: it breaks when one side dies.
};

}  // namespace chappe::container
