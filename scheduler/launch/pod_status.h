/// \file
/// What a pod's status means for its attempt. Pure.
#pragma once

#include "engine/base/value.h"
#include "engine/run/events.h"

namespace chappe::launch {

inline constexpr std::size_t kToldBytesMax = 500;    ///< Of a message, which others wrote.
inline constexpr std::size_t kImageBytesMax = 4096;  ///< Of the names of images, likewise.

/// `pod`: as its API server shows it. Decided by the containers' states, not by the phase alone: a sidecar that goes on
/// does not keep an attempt alive. Leaves PodSeen::attempt to the caller.
PodSeen read_status(const Value& pod);

/// What the task's container was made of, by digest where its node says so: "NAME@sha256:...", else "sha256:...", and
/// what its sidecars were (join_images()). "": the node has not said. At most kImageBytesMax.
std::string read_image(const Value& pod);

}  // namespace chappe::launch
