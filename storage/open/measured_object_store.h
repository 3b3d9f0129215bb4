/// \file
/// An object store that counts what is asked of another one, how it went and how long it took.
#pragma once

#include <memory>

#include "engine/ports/object_store.h"
#include "proto/metrics/metrics.h"

namespace chappe {

/// Metrics: chappe_object_store_requests_total by operation and result ("ok", or the error's name),
/// chappe_object_store_seconds by operation. `registry` must outlive it.
std::unique_ptr<ObjectStore> measure(std::unique_ptr<ObjectStore> store, metrics::Registry& registry);

}  // namespace chappe
