/// \file
/// What containers of all kinds have alike: an image before they are made, and their removal.
#pragma once

#include <atomic>
#include <string>

#include "worker/container/container_api.h"
#include "worker/container/container_spec.h"

namespace chappe::container {

/// The image that `spec` names, fetched as its options say. Given up once `stopped`. Errors: also kNotFound: it is not
/// here, and is never fetched.
Result<Image> provide_image(ContainerApi& api, const ContainerSpec& spec, const std::atomic<bool>& stopped);

/// Tries a few times; then it is left to the keeper, or to the next start.
void remove_container(ContainerApi& api, const std::string& id, const std::string& name);

}  // namespace chappe::container
