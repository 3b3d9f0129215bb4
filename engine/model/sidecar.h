/// \file
/// Containers: how one differs from the closed one that a task gets, and those that run beside a task's own for as long
/// as its attempt does. Plain values.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/time.h"
#include "engine/expr/expression.h"
#include "engine/model/policies.h"

namespace chappe {

/// How a task's container differs from the closed one that it gets by itself.
struct ContainerOptions {
  enum class Network : std::uint8_t { kNone, kBridge, kHost };
  enum class Pull : std::uint8_t { kMissing, kAlways, kNever };
  std::string user;                  ///< "UID", "UID:GID" or a name that the image knows; "": the image's.
  Network network = Network::kNone;  ///< What goes in and out is staged: most tasks need none.
  Pull pull = Pull::kMissing;        ///< When the image is fetched from its registry.
  bool read_only = true;             ///< Only the work directory and temporary files can be written.
  bool operator==(const ContainerOptions&) const = default;
};
std::string_view name_of(ContainerOptions::Network network);  ///< "none"

inline constexpr std::size_t kSidecarsMax = 8;      ///< Of one task.
inline constexpr std::size_t kSidecarNameMax = 40;  ///< Bytes: it is part of names that others bound.

/// A container that shares the network of its task's own: it is ready before that one starts, and removed after it.
/// `Text`: a template before an attempt is assigned, what it came to afterwards.
template <typename Text>
struct SidecarOf {
  std::string name;  ///< Lower-case letters, digits and '-'; unique in its task.
  Text image;
  std::vector<Text> command;  ///< In place of the image's entry point; empty: that.
  std::vector<Text> args;     ///< In place of the image's command.
  std::vector<std::pair<std::string, Text>> env;
  Resources resources{.cpu_milli = 0};  ///< No GPUs. 0: not asked for, not limited.
  ContainerOptions container;           ///< Its `network` counts for nothing: it is the task's.
  std::uint16_t port = 0;               ///< Something takes connections there once it is ready; 0: it is when it runs.
  std::string ready_path;               ///< Not empty: GET of it at `port` answers with a status from 200 to 299.
  Duration ready_timeout = std::chrono::minutes(5);  ///< From its start until it must be ready.
  bool operator==(const SidecarOf&) const = default;
};
using SidecarSpec = SidecarOf<expr::Template>;
using Sidecar = SidecarOf<std::string>;

/// What an attempt takes beside `own`. Pure.
template <typename Text>
Resources with_sidecars(Resources own, const std::vector<SidecarOf<Text>>& sidecars) {
  for (const SidecarOf<Text>& sidecar : sidecars) own += sidecar.resources;
  return own;
}

/// How the images of an attempt are kept in one text: the task's own, and a line "NAME=IMAGE" for each sidecar.
std::string join_images(const std::string& own, const std::vector<std::pair<std::string, std::string>>& sidecars);
struct ImagesOfAttempt {
  std::string own;
  std::vector<std::pair<std::string, std::string>> sidecars;  ///< Name and image.
};
ImagesOfAttempt split_images(std::string_view text);

}  // namespace chappe
