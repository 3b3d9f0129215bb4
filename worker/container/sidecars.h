/// \file
/// The containers beside a task's own: started before it, each when the one before is ready, removed after it.
///
/// All are in the network of one more container, the holder, whose program (hold.c) tells who answers there: so the
/// network stays though one of them ends, and nobody needs privileges to look into it. What they write goes into the
/// attempt's log, line by line, behind their name. Thread: the one that leads the task's container.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "worker/container/container_api.h"
#include "worker/container/container_spec.h"
#include "worker/container/outbox.h"
#include "worker/container/stop_orders.h"

namespace chappe::container {

inline constexpr std::size_t kSidecarLogMax = std::size_t{4} << 20;   ///< Of each; the rest is left out.
inline constexpr std::size_t kSidecarLineMax = std::size_t{8} << 10;  ///< A longer line is cut in two.
inline constexpr std::size_t kSidecarToldMax = 1000;                  ///< Of its last words, where it was not ready.

/// What a sidecar writes, as it stands in the log of its attempt: whole lines behind its name. Pure.
class SidecarLines {
 public:
  explicit SidecarLines(std::string name) : name_(std::move(name)) {}
  /// The lines that are whole now.
  std::string take(std::string_view text);
  /// What is left of one that never ended.
  std::string rest();
  /// The end of what it wrote, on one line; at most kSidecarToldMax bytes.
  std::string last_words() const;

 private:
  void end_line(std::string& out);

  std::string name_;
  std::string line_;
  std::string last_;
  std::size_t written_ = 0;
  bool cut_ = false;
};

class Sidecars {
 public:
  /// All outlive this. `company.sidecars` may be empty: then nothing here does anything.
  Sidecars(ContainerApi& api, const ContainerSpec& task, const Company& company, const StopOrders& orders,
           Outbox& outbox);
  /// Nothing of them is left, unless the runtime does not remove it.
  ~Sidecars();
  Sidecars(const Sidecars&) = delete;
  Sidecars& operator=(const Sidecars&) = delete;

  /// `image`: of the task, which the container that does nothing is made of, too. Errors: kConflict: stopped; else
  /// which of them was not ready, and why.
  Result<void> start(const Image& image);
  /// What the task's own container has as its network.
  const std::string& network() const { return network_; }
  /// Name and digest of those that were started, or found.
  const std::vector<std::pair<std::string, std::string>>& images() const { return images_; }
  /// SIGTERM to all, after their grace or at the time at which the attempt must be dead SIGKILL; then they are removed.
  void end();

 private:
  struct One;

  Result<void> hold_network(const Image& image);
  Result<void> start(const SidecarContainer& sidecar);
  Result<void> wait_until_ready(const SidecarContainer& sidecar, One& one);
  Result<void> run(One& one);
  void follow(One& one);
  void take_word(std::string_view text);
  Failure not_ready(One& one, const std::string& why);
  void finish(One& one);
  bool all_ended() const;
  void tell_early_end(const One& one);

  ContainerApi& api_;
  const ContainerSpec& task_;
  const Company& company_;
  const StopOrders& orders_;
  Outbox& outbox_;
  std::string network_;
  std::unique_ptr<One> holder_;
  std::atomic<std::uint32_t> ready_ = 0;  ///< Bits, by position in `company_.sidecars`: the holder's word.
  std::vector<std::unique_ptr<One>> started_;
  std::vector<std::pair<std::string, std::string>> images_;
};

}  // namespace chappe::container
