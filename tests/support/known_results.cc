#include "tests/support/known_results.h"

namespace chappe::support {

KnownResult find_result(const StoredTables& tables, const CacheLookup& lookup) {
  KnownResult known;
  const auto entry = tables.cache_entries.find({lookup.cache.scope, lookup.cache.sha256});
  if (entry == tables.cache_entries.end()) {
    for (const auto& [name, other] : tables.cache_entries) {
      if (other.cache.scope == lookup.cache.scope && other.task == lookup.task) known.others.push_back(other);
    }
    return known;
  }
  known.entry = entry->second;
  for (const ArtifactRow& row : tables.artifacts) {
    if (row.attempt == known.entry->attempt) known.artifacts.push_back(row);
  }
  for (const ValueRow& row : tables.values) {
    if (row.attempt == known.entry->attempt) known.values.push_back(row.value);
  }
  const RunRow& run = tables.runs.at(known.entry->producer.run);
  if (run.pruned_at.is_set()) known.pruned = told_pruned(run);
  return known;
}

}  // namespace chappe::support
