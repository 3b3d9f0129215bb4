/// \file
/// The few calls of the Docker API that running a task takes, over a Unix socket: of Docker and of Podman alike.
///
/// Thread: any, concurrently. Errors of all calls: kUnavailable: the runtime does not answer; kNotFound; else what the
/// runtime says, as kInvalidInput.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "proto/http/client.h"

namespace chappe::container {

struct Image {
  std::string id;
  std::string digest;  ///< "NAME@sha256:..." where a registry knows it by that; else the id.
};

struct ContainerState {
  bool ended = false;
  std::int32_t exit_code = 0;  ///< Once it ended.
  bool oom_killed = false;     ///< Podman may say false all the same.
  pid_t pid = 0;               ///< Of its first process, as the runtime sees it; 0: it does not run.
  std::vector<std::string> env;
};

class ContainerApi {
 public:
  explicit ContainerApi(std::string socket);

  const std::string& socket() const { return socket_; }
  /// "Podman Engine 4.3.1".
  Result<std::string> version();
  Result<Image> find_image(const std::string& name);
  /// Fetches it from its registry. Given up once `stopped`.
  Result<void> pull(const std::string& image, const std::atomic<bool>& stopped);
  /// Returns the container's id. `body`: JSON (container_spec.h).
  Result<std::string> create(const std::string& name, const std::string& body);
  Result<void> start(const std::string& id);
  /// What it writes, as frames (log_frames.h), until it ends. `attached`: from now on nothing is missed.
  Result<void> attach(const std::string& id, const std::function<void()>& attached, const http::BodySink& sink,
                      const std::atomic<bool>& stopped);
  Result<ContainerState> inspect(const std::string& id);
  /// To its first process: "SIGTERM".
  Result<void> signal(const std::string& id, const std::string& name);
  /// Kills it where it runs, and forgets it. One that is not there: fine.
  Result<void> remove(const std::string& id);
  enum class Which { kAll, kRunning };
  /// Ids of those that have the label "NAME=VALUE".
  Result<std::vector<std::string>> labelled(const std::string& label, Which which);
  Result<bool> has_file(const std::string& id, const std::string& path);

 private:
  Result<http::Response> call(const std::string& method, const std::string& path, const std::string& body = "");

  std::string socket_;
  http::Client client_;
};

/// "docker.io/library/debian" of "docker.io/library/debian:12", or with a digest behind it.
std::string repository_of(const std::string& image);

}  // namespace chappe::container
