/// \file
/// Which of a worker's GPUs are free: each is in one container at a time. Pure; one owner for all calls.
///
/// A device is called as its Container Device Interface does, "VENDOR/CLASS=NAME": that is how runtimes know it, too.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/result.h"

namespace chappe::container {

class GpuPool {
 public:
  explicit GpuPool(std::vector<std::string> devices) : devices_(std::move(devices)) {}

  /// The first `count` free ones, in the order in which the operator named them, for an attempt that has none.
  /// Errors: kUnavailable: fewer are free.
  Result<std::vector<std::string>> take(AttemptId attempt, std::size_t count);
  /// All that it has.
  void give_back(AttemptId attempt);

 private:
  std::vector<std::string> devices_;
  std::map<std::string, AttemptId> taken_;
};

/// "nvidia.com/gpu=0" to "nvidia.com/gpu=N-1": what NVIDIA's toolkit calls them.
std::vector<std::string> usual_gpus(std::size_t count);

/// Errors: kInvalidInput: it is no name of a device.
Result<void> check_gpu_name(std::string_view device);

/// "" where a runtime of this version takes devices by name, else what is wrong with it. `version`: "Podman
/// Engine 4.3.1". Docker refuses by itself what it does not know; Podman before 5.0 starts the container without its
/// devices.
std::string why_no_gpus(std::string_view version);

}  // namespace chappe::container
