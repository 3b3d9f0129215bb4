#include "engine/ports/result_lookup.h"

#include <fmt/format.h>

#include <utility>

#include "engine/run/cache.h"

namespace chappe {
namespace {

constexpr std::size_t kOthersMax = 20;  ///< Results that one that was not found is compared with.

/// "": it is there, as the manifest names it.
std::string what_is_wrong(const HeadObject& head, const OutputObject& object, bool& lost) {
  const auto info = head(object.key);
  if (info && info->size == object.size) return "";
  lost = info.has_value() || info.error().code == ErrorCode::kNotFound;
  if (info) return fmt::format("object '{}' of the result has another size now", object.key);
  if (lost) return fmt::format("object '{}' of the result is gone", object.key);
  return fmt::format("whether the result is still there cannot be said: {}", info.error().message);
}

}  // namespace

Result<KnownResult> read_result(MetaReader& reader, const CacheLookup& lookup) {
  KnownResult known;
  auto entry = reader.cache_entry(lookup.cache);
  if (!entry) return fail(std::move(entry.error()));
  if (!*entry) {
    auto others = reader.cache_entries(lookup.cache.scope, lookup.task, lookup.map_key, kOthersMax);
    if (!others) return fail(std::move(others.error()));
    known.others = std::move(*others);
    return known;
  }
  known.entry = std::move(*entry);
  const InstanceKey producer = known.entry->producer;
  auto artifacts = reader.artifacts(producer.run, producer.index);
  if (!artifacts) return fail(std::move(artifacts.error()));
  auto values = reader.values(producer.run, producer.index);
  if (!values) return fail(std::move(values.error()));
  for (ArtifactRow& row : *artifacts) {
    if (row.attempt == known.entry->attempt) known.artifacts.push_back(std::move(row));
  }
  for (ValueRow& row : *values) {
    if (row.attempt == known.entry->attempt) known.values.push_back(std::move(row.value));
  }
  // Last: a run that is whole now was so when its rows were read.
  auto run = reader.run_by_seq(producer.run);
  if (!run) return fail(std::move(run.error()));
  if (run->pruned_at.is_set()) known.pruned = told_pruned(*run);
  return known;
}

CacheLooked check_result(const HeadObject& head, const ReadValueObject& read, const CacheLookup& lookup,
                         Result<KnownResult> known) {
  CacheLooked out{.key = lookup.key, .serial = lookup.serial};
  if (!known) {
    out.told = known.error().message;
    return out;
  }
  if (!known->entry) {
    out.told = told_miss(lookup.cache.parts, known->others);
    return out;
  }
  if (!known->pruned.empty()) {
    out.lost = known->entry;
    out.told = known->pruned;
    return out;
  }
  for (const ArtifactRow& artifact : known->artifacts) {
    if (artifact.collected_at.is_set()) {
      out.lost = known->entry;
      out.told = fmt::format("artifact '{}' of attempt {} of run {} was collected at {}, when its retention had passed",
                             artifact.object.name, to_text(known->entry->attempt), known->entry->run.text(),
                             to_iso8601(artifact.collected_at));
      return out;
    }
    bool lost = false;
    out.told = what_is_wrong(head, artifact.object, lost);
    if (lost) out.lost = known->entry;
    if (!out.told.empty()) return out;
  }
  std::vector<NamedValue> read_values;
  for (const ArtifactRow& artifact : known->artifacts) {
    auto name = value_in_object(artifact.object.name);
    if (!name) continue;
    auto value = read(artifact.object);
    if (!value) {
      out.told = fmt::format("value '{}' of the result cannot be read: {}", *name, value.error().message);
      if (value.error().code == ErrorCode::kCorrupt) out.lost = known->entry;
      return out;
    }
    read_values.push_back({.name = std::move(*name), .value = std::move(*value)});
  }
  out.hit =
      CacheHit{std::move(*known->entry), std::move(known->artifacts), std::move(known->values), std::move(read_values)};
  return out;
}

}  // namespace chappe
