#include "worker/container/gpu_pool.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace chappe::container {

Result<std::vector<std::string>> GpuPool::take(AttemptId attempt, std::size_t count) {
  std::vector<std::string> found;
  for (const std::string& device : devices_) {
    if (found.size() == count) break;
    if (!taken_.contains(device)) found.push_back(device);
  }
  if (found.size() < count) {
    return fail(ErrorCode::kUnavailable, fmt::format("{} GPUs are wanted, {} of this worker's {} are free", count,
                                                     found.size(), devices_.size()));
  }
  for (const std::string& device : found) taken_.emplace(device, attempt);
  return found;
}

void GpuPool::give_back(AttemptId attempt) {
  std::erase_if(taken_, [&](const auto& each) { return each.second == attempt; });
}

std::vector<std::string> usual_gpus(std::size_t count) {
  std::vector<std::string> devices;
  for (std::size_t i = 0; i < count; ++i) devices.push_back(fmt::format("nvidia.com/gpu={}", i));
  return devices;
}

Result<void> check_gpu_name(std::string_view device) {
  const std::size_t slash = device.find('/');
  const std::size_t equals = device.find('=', slash == std::string_view::npos ? 0 : slash);
  const bool is_whole = slash != std::string_view::npos && equals != std::string_view::npos && slash > 0 &&
                        equals > slash + 1 && equals + 1 < device.size();
  if (is_whole) return {};
  return fail(ErrorCode::kInvalidInput, fmt::format("'{}' is no device: write it as nvidia.com/gpu=0", device));
}

std::string why_no_gpus(std::string_view version) {
  constexpr std::string_view kPodman = "Podman Engine ";
  constexpr int kMajorMin = 5;
  if (!version.starts_with(kPodman)) return "";
  const std::string_view number = version.substr(kPodman.size());
  int major = 0;
  (void)std::from_chars(number.data(), number.data() + number.size(), major);
  if (major >= kMajorMin) return "";
  return fmt::format("{} hands no GPUs to containers through its API: Podman {}.0 and newer do, and Docker", version,
                     kMajorMin);
}

}  // namespace chappe::container
