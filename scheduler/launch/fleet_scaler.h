/// \file
/// Keeps a Deployment of workers as large as what waits needs: engine/placement decides, this asks the API server.
///
/// Every few seconds: how large is it, which pods has it, what do they carry? It grows by its `scale`. Before it
/// shrinks, those that go are marked as the cheapest to delete, and hold nothing: they have been given no work since
/// before they were looked at. Thread: one of its own.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <thread>

#include "engine/placement/fleet.h"
#include "engine/run/engine.h"
#include "scheduler/launch/kubernetes_api.h"

namespace chappe::launch {

struct FleetConfig {
  std::string deployment;
  FleetBounds bounds;
  Duration look_every = std::chrono::seconds(5);
};

class FleetScaler {
 public:
  /// How the engine sees the workers in these pods. Blocks; nullopt: not now.
  using Ask = std::function<std::optional<FleetView>(const std::set<std::string>& pods)>;
  using Report = std::function<void(FleetResting)>;

  FleetScaler(ApiConfig api, FleetConfig config, Ask ask, Report report);
  ~FleetScaler();

 private:
  struct Deployment {
    std::uint32_t size = 0;
    std::string version;
    std::string selector;
  };
  struct Members {
    std::set<std::string> pods;    ///< Pods that are there to stay.
    std::set<std::string> marked;  ///< Those of them that are marked to go first.
  };

  void run(const std::stop_token& stop);
  Result<void> look();
  Result<Deployment> read_deployment();
  Result<Members> read_members(const std::string& selector);
  Result<void> resize(const Deployment& deployment, const Members& members, const FleetOrder& order);
  Result<void> mark(const std::string& pod, bool goes);

  KubernetesApi api_;
  const FleetConfig config_;
  const std::string pods_path_;
  const std::string deployment_path_;
  Ask ask_;
  Report report_;
  Fleet fleet_;
  std::set<std::string> resting_;
  std::string complaint_;
  std::mutex mutex_;
  std::condition_variable_any stopped_;
  std::jthread thread_;  ///< Last: it uses all of the above.
};

}  // namespace chappe::launch
