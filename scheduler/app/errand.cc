#include "scheduler/app/errand.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <utility>

#include "engine/base/mutant.h"
#include "engine/model/policies.h"
#include "engine/ports/log.h"
#include "scheduler/api/value_object.h"

namespace chappe {
namespace {

constexpr Backoff kRest{.initial = std::chrono::milliseconds(200), .factor = 2, .max = std::chrono::seconds(30)};

/// Another try may end otherwise: the store is out of reach, or credentials are being renewed.
bool may_pass(ErrorCode code) { return code == ErrorCode::kUnavailable || code == ErrorCode::kPermissionDenied; }

/// Completes the object's upload. What the engine commits it never aborts: an upload that is gone was swept by the
/// bucket's rules, or a newer version took its place after it was completed. Either way it is staged again from the
/// immutable object, once.
Result<ObjectInfo> show(ObjectStore& store, OutputObject& object, AttemptId attempt, bool& restaged) {
  auto shown = store.complete(object.upload);
  if (shown || shown.error().code != ErrorCode::kNotFound || restaged || CHAPPE_MUTANT(kErrandNeverStagesAgain)) {
    return shown;
  }
  log::info("publish {}: {}; staging it again", object.asset_uri, shown.error().message);
  PutOptions options{.metadata = {{"chappe-attempt", to_text(attempt)}}, .sha256 = object.sha256};
  if (object.packed) options.content_type = "application/zstd";
  auto upload = store.restage(object.upload, object.key, options);
  if (!upload) return fail(std::move(upload.error()));
  restaged = true;
  object.upload = std::move(*upload);
  return store.complete(object.upload);
}

Duration rest_after(const std::string& what, Errand& errand) {
  const Duration rest = backoff_after(std::min(++errand.failures, 16U), kRest, 0.5);
  log::warn("{}; trying again in {}", what, to_text(rest));
  return rest;
}

void give_up(ObjectStore& store, std::span<const PublishAssets::Upload> uploads) {
  for (const PublishAssets::Upload& upload : uploads) {
    // Nobody is waiting: what stays open shows nothing, and is swept like any other orphan.
    if (auto aborted = store.abort(upload.object.upload); !aborted)
      log::debug("abort upload: {}", aborted.error().message);
  }
}

/// Nullopt: go on.
std::optional<ErrandOutcome> read_values(ObjectStore& store, const PublishAssets& work, Errand& errand) {
  while (errand.values.size() < work.values.size()) {
    const OutputObject& object = work.values[errand.values.size()];
    const std::string name = value_in_object(object.name).value_or(object.name);
    auto value = read_value_object(store, object);
    if (value) {
      errand.failures = 0;
      errand.values.push_back({.name = name, .value = std::move(*value)});
      continue;
    }
    const std::string what = fmt::format("read value '{}': {}", name, value.error().message);
    if (!may_pass(value.error().code)) {
      give_up(store, work.uploads);
      return ErrandOutcome{.report = PublishFailed{work.key, work.attempt, what}, .again_after = {}};
    }
    return ErrandOutcome{.report = {}, .again_after = rest_after(what, errand)};
  }
  return std::nullopt;
}

ErrandOutcome publish(ObjectStore& store, PublishAssets& work, Errand& errand) {
  if (auto unread = read_values(store, work, errand)) return std::move(*unread);
  for (; errand.done < work.uploads.size(); ++errand.done) {
    PublishAssets::Upload& upload = work.uploads[errand.done];
    auto shown = show(store, upload.object, work.attempt, errand.restaged);
    if (!shown && CHAPPE_MUTANT(kErrandClaimsWhatItDidNot)) {
      errand.published.push_back({.id = upload.id});
      continue;
    }
    if (shown) {
      errand.failures = 0;
      errand.restaged = false;
      errand.published.push_back({.id = upload.id, .etag = shown->etag, .store_version = shown->store_version});
      continue;
    }
    const std::string what = "publish " + upload.object.asset_uri + ": " + shown.error().message;
    if (!may_pass(shown.error().code) || CHAPPE_MUTANT(kErrandGivesUp)) {
      give_up(store, std::span(work.uploads).subspan(errand.done));
      return {.report = PublishFailed{work.key, work.attempt, what}};
    }
    return {.again_after = rest_after(what, errand)};
  }
  return {.report = AssetsPublished{work.key, work.attempt, std::move(errand.published), std::move(errand.values)}};
}

void drop(ObjectStore& store, const DropOutputs& work) {
  for (const OutputObject& object : work.objects) {
    // Nobody is waiting: what cannot be removed now is an orphan like any other.
    if (!object.upload.empty()) {
      if (auto aborted = store.abort(object.upload); !aborted) log::debug("abort upload: {}", aborted.error().message);
    }
    if (auto removed = store.remove(object.key); !removed)
      log::debug("remove {}: {}", object.key, removed.error().message);
  }
}

/// In pieces, so that whoever wants to publish waits for no long list. What the store does not let us remove is passed
/// by: the first one after a while, as credentials may be being renewed.
ErrandOutcome remove(ObjectStore& store, RemoveObjects& work, Errand& errand) {
  constexpr std::size_t kPiece = 16;
  constexpr std::uint32_t kRefusalsMax = 6;
  for (std::size_t i = 0; i < kPiece && errand.done < work.keys.size(); ++i) {
    const std::string& key = work.keys[errand.done];
    const auto removed = store.remove(key);
    const bool refuses = !removed && removed.error().code == ErrorCode::kPermissionDenied;
    if (refuses && (!errand.refused.empty() || errand.failures + 1 >= kRefusalsMax)) {
      if (errand.refused.empty()) {
        log::error("objects stay, though nobody refers to them: remove {}: {}", key, removed.error().message);
      }
      errand.refused.push_back(key);
      ++errand.done;
      continue;
    }
    if (!removed && may_pass(removed.error().code)) {
      return {.again_after = rest_after("remove " + key + ": " + removed.error().message, errand)};
    }
    // Trying for ever would keep all that come after: it is an orphan.
    if (!removed) log::error("object {} stays, though nobody refers to it: {}", key, removed.error().message);
    errand.failures = 0;
    ++errand.done;
  }
  if (errand.done < work.keys.size()) return {.again_after = Duration(0)};
  return {.report = ObjectsRemoved{std::move(work.keys), std::move(errand.refused)}};
}

/// In pieces, too. Where the store does not let us remove them, they are orphans: nobody can name them any more.
ErrandOutcome remove(ObjectStore& store, const RemoveRunObjects& work, Errand& errand) {
  constexpr std::size_t kPiece = 16;
  constexpr std::uint32_t kRefusalsMax = 6;
  std::vector<std::string> keys;
  Result<void> done = store.list(work.prefix, [&](const ObjectInfo& object) {
    keys.push_back(object.key);
    return keys.size() < kPiece;
  });
  for (std::size_t i = 0; done && i < keys.size(); ++i) done = store.remove(keys[i]);
  if (done) {
    errand.failures = 0;
    if (keys.size() == kPiece) return {.again_after = Duration(0)};
    return {.report = RunObjectsRemoved{work.run}};
  }
  const std::string what = "remove objects " + work.prefix + ": " + done.error().message;
  const bool refuses = done.error().code == ErrorCode::kPermissionDenied && errand.failures + 1 >= kRefusalsMax;
  if (may_pass(done.error().code) && !refuses) return {.again_after = rest_after(what, errand)};
  log::error("objects of a pruned run stay: {}", what);
  return {.report = RunObjectsRemoved{work.run}};
}

}  // namespace

ErrandOutcome carry_out(ObjectStore& store, Errand& errand) {
  if (auto* work = std::get_if<PublishAssets>(&errand.work)) return publish(store, *work, errand);
  if (auto* work = std::get_if<RemoveObjects>(&errand.work)) return remove(store, *work, errand);
  if (const auto* work = std::get_if<RemoveRunObjects>(&errand.work)) return remove(store, *work, errand);
  drop(store, std::get<DropOutputs>(errand.work));
  return {};
}

}  // namespace chappe
