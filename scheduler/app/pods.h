/// \file
/// The pods that the engine orders: their workers' keys are let in at the port, the launcher makes and removes them.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "proto/transport/worker_port.h"
#include "scheduler/launch/fleet_scaler.h"
#include "scheduler/launch/launcher.h"

namespace chappe {

/// Where pods are made, and of what.
struct KubernetesConfig {
  std::string namespace_name;  ///< "": nowhere.
  std::string api;             ///< "https://HOST:PORT"
  std::filesystem::path token_file;
  std::string ca_file;
  std::filesystem::path pod_template;  ///< A file with a Pod; "": none.
  std::string image;                   ///< Chappe's own.
  std::string scheduler;               ///< As launch::PodSettings; "": the port's own endpoint.
  std::uint32_t pods_max = 100;
  bool by_default = false;        ///< Tasks that name no executor run in pods, too.
  launch::FleetConfig workers;    ///< Of a Deployment that is kept as large as it needs to be; its name "": of none.
  std::string workers_namespace;  ///< Where that is.
};

/// What tells this scheduler's pods from those of others: of its key, so that it stays as long as its store does.
std::string installation_of(const transport::KeyPair& keys);

class Pods {
 public:
  /// `objects`: URI of the object store. Errors: kInvalidInput: no pods can be made so.
  static Result<std::unique_ptr<Pods>> open(const KubernetesConfig& config, const transport::KeyPair& keys,
                                            transport::WorkerPort& port, const std::string& objects,
                                            launch::Launcher::Report report);

  /// On the loop's thread. The first call has all orders of the time before this start.
  void carry_out(std::vector<PodOrder> orders);

 private:
  Pods(const transport::KeyPair& keys, transport::WorkerPort& port, launch::ApiConfig api, launch::PodSettings settings,
       launch::Launcher::Report report)
      : keys_(keys), port_(port), launcher_(std::move(api), std::move(settings), std::move(report)) {}

  const transport::KeyPair keys_;
  transport::WorkerPort& port_;
  bool begun_ = false;
  launch::Launcher launcher_;
};

}  // namespace chappe
