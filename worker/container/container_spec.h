/// \file
/// What one container is to be: everything it gets is here, and it gets nothing else.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/ids.h"
#include "engine/model/dag.h"

namespace chappe::container {

/// Where a container finds what the worker hands it.
inline constexpr char kWorkInside[] = "/chappe/work";
inline constexpr char kTmpInside[] = "/chappe/tmp";
inline constexpr char kScriptInside[] = "/chappe/script";
inline constexpr char kParamsInside[] = "/chappe/params.json";
inline constexpr char kSecretsInside[] = "/chappe/secrets";
inline constexpr char kCaInside[] = "/chappe/ca.pem";
inline constexpr char kHolderInside[] = "/chappe/hold";  ///< worker/container/hold.c

/// Of all containers that belong to one work directory on one machine.
inline constexpr char kOwnerLabel[] = "chappe.owner";

struct Mount {
  std::string host;    ///< Path on the machine.
  std::string inside;  ///< Path in the container.
  bool read_only = true;
};

struct ContainerSpec {
  AttemptId attempt;
  std::string name;
  std::vector<std::pair<std::string, std::string>> labels;
  std::string image;
  std::vector<std::string> argv;  ///< In place of the image's entry point and command; empty: the image's.
  std::vector<std::string> args;  ///< Behind `argv`, or in place of the image's command.
  std::vector<std::string> env;   ///< "NAME=VALUE", over the image's.
  std::string directory;          ///< The working directory, inside; "": the image's.
  std::vector<Mount> mounts;
  ContainerOptions options;
  Resources resources;
  std::vector<std::string> gpus;  ///< Which ones (worker/container/gpu_pool.h), as many as `resources` says.
  std::uint64_t pids_max = 0;     ///< Processes and threads.
  std::uint64_t files_max = 0;    ///< Open files of each process.
};

/// A container beside a task's own.
struct SidecarContainer {
  std::string name;  ///< In the DAG.
  ContainerSpec container;
  std::uint16_t port = 0;  ///< As Sidecar::port.
  std::string ready_path;
  Duration ready_timeout{};
};

/// All that run beside it.
struct Company {
  std::vector<SidecarContainer> sidecars;
  std::string holder;  ///< Path on the machine of the program that holds their network (worker/container/hold.c).
  Duration grace{};    ///< SIGTERM to SIGKILL, when the task's own container has ended.
};

/// The body of the API's "create". `image_id`: what `image` was found to be; a name could come to mean another one.
/// `network`: "none", "container:ID".
std::string create_body(const ContainerSpec& spec, const std::string& image_id, std::string_view network);

}  // namespace chappe::container
