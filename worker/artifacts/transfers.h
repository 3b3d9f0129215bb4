/// \file
/// A few threads for what blocks: transfers to and from the object store. Results come back to the loop by a
/// descriptor.
#pragma once

#include <functional>
#include <memory>

namespace chappe::artifacts {

inline constexpr std::size_t kTransfersMax = 4096;  ///< Submitted and not handed back.

class Transfers {
 public:
  /// Runs in the loop's thread, from hand_back().
  using Completion = std::function<void()>;
  /// Runs in one of the threads; must not throw.
  using Transfer = std::function<Completion()>;

  /// Each of the threads begins when it is first needed.
  explicit Transfers(std::size_t threads);
  /// Waits for the transfers that run; those that wait are dropped.
  ~Transfers();
  Transfers(const Transfers&) = delete;
  Transfers& operator=(const Transfers&) = delete;

  /// False: kTransfersMax are under way already, or the machine has no thread for it.
  bool submit(Transfer transfer);
  /// Readable when hand_back() has something to do.
  int fd() const;
  void hand_back();
  std::size_t pending() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace chappe::artifacts
