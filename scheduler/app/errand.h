/// \file
/// One errand at the object store on behalf of the engine: make an attempt's assets visible, clean up after one that
/// did not win, or remove what nobody refers to any more. The steps and what their failures mean; threads and rests are
/// the publisher's.
#pragma once

#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "engine/ports/object_store.h"
#include "engine/run/events.h"

namespace chappe {

struct Errand {
  std::variant<PublishAssets, DropOutputs, RemoveObjects, RemoveRunObjects> work;
  std::vector<NamedValue> values;         ///< That were read.
  std::size_t done = 0;                   ///< Uploads completed, or objects removed or refused.
  std::vector<std::string> refused;       ///< Objects that the store does not let us remove.
  bool restaged = false;                  ///< The one after those was gone, and is staged again.
  std::vector<AssetPublished> published;  ///< What the completed ones are.
  std::uint32_t failures = 0;             ///< In a row.
};

/// What one try came to. Neither: the errand is over, and nobody waits for it.
struct ErrandOutcome {
  std::optional<Event> report;  ///< AssetsPublished, PublishFailed, ObjectsRemoved, RunObjectsRemoved: it is over.
  std::optional<Duration> again_after;  ///< Go on after a rest: the store is out of reach, or others have a turn.
};

/// Goes on with the errand as far as the store lets it. Idempotent: whatever was done before is done once.
ErrandOutcome carry_out(ObjectStore& store, Errand& errand);

}  // namespace chappe
