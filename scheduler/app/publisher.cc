#include "scheduler/app/publisher.h"

#include <algorithm>

#include "engine/model/policies.h"
#include "engine/ports/log.h"

namespace chappe {
namespace {

constexpr Backoff kRest{.initial = std::chrono::milliseconds(200), .factor = 2, .max = std::chrono::seconds(30)};

/// Another try may end otherwise: the store is out of reach, or credentials are being renewed.
bool may_pass(ErrorCode code) { return code == ErrorCode::kUnavailable || code == ErrorCode::kPermissionDenied; }

}  // namespace

Publisher::Publisher(ObjectStore& store, Report report, std::size_t threads)
    : store_(store), report_(std::move(report)) {
  for (std::size_t i = 0; i < threads; ++i) {
    threads_.emplace_back([this](const std::stop_token& stop) { serve(stop); });
  }
}

Publisher::~Publisher() {
  for (std::jthread& thread : threads_) thread.request_stop();
  threads_.clear();
}

void Publisher::publish(PublishAssets work) { add({.work = std::move(work)}, {}); }

void Publisher::drop(DropOutputs work) { add({.work = std::move(work)}, {}); }

void Publisher::add(Errand errand, Clock::duration after) {
  {
    const std::lock_guard lock(mutex_);
    due_.emplace(Clock::now() + after, std::move(errand));
  }
  changed_.notify_one();
}

void Publisher::serve(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    if (due_.empty()) {
      changed_.wait(lock, stop, [&] { return !due_.empty(); });
      continue;
    }
    const auto first = due_.begin()->first;
    if (first > Clock::now()) {
      changed_.wait_until(lock, stop, first, [&] { return !due_.empty() && due_.begin()->first < first; });
      continue;
    }
    Errand errand = std::move(due_.extract(due_.begin()).mapped());
    lock.unlock();
    carry_out(std::move(errand));
    lock.lock();
  }
}

void Publisher::carry_out(Errand errand) {
  if (const auto* drop = std::get_if<DropOutputs>(&errand.work)) return carry_out_drop(*drop);
  carry_out_publish(std::move(errand));
}

void Publisher::carry_out_publish(Errand errand) {
  auto& work = std::get<PublishAssets>(errand.work);
  for (; errand.done < work.uploads.size(); ++errand.done) {
    PublishAssets::Upload& upload = work.uploads[errand.done];
    auto shown = show(upload.object, work.attempt, errand.restaged);
    if (shown) {
      errand.failures = 0;
      errand.restaged = false;
      errand.published.push_back({.id = upload.id, .etag = shown->etag, .store_version = shown->store_version});
      continue;
    }
    const std::string what = "publish " + upload.object.asset_uri + ": " + shown.error().message;
    if (!may_pass(shown.error().code)) {
      give_up(std::span(work.uploads).subspan(errand.done));
      return report_(PublishFailed{work.key, work.attempt, what});
    }
    const Duration rest = backoff_after(std::min(++errand.failures, 16U), kRest, 0.5);
    log::warn("{}; trying again in {}", what, to_text(rest));
    return add(std::move(errand), rest);
  }
  report_(AssetsPublished{work.key, work.attempt, std::move(errand.published)});
}

Result<ObjectInfo> Publisher::show(OutputObject& object, AttemptId attempt, bool& restaged) {
  auto shown = store_.complete(object.upload);
  if (shown || shown.error().code != ErrorCode::kNotFound || restaged) return shown;
  log::info("publish {}: {}; staging it again", object.asset_uri, shown.error().message);
  PutOptions options{.metadata = {{"chappe-attempt", to_text(attempt)}}, .sha256 = object.sha256};
  if (object.packed) options.content_type = "application/zstd";
  auto upload = store_.restage(object.upload, object.key, options);
  if (!upload) return fail(std::move(upload.error()));
  restaged = true;
  object.upload = std::move(*upload);
  return store_.complete(object.upload);
}

void Publisher::give_up(std::span<const PublishAssets::Upload> uploads) {
  for (const PublishAssets::Upload& upload : uploads) {
    // Nobody is waiting: what stays open shows nothing, and is swept like any other orphan.
    if (auto aborted = store_.abort(upload.object.upload); !aborted)
      log::debug("abort upload: {}", aborted.error().message);
  }
}

void Publisher::carry_out_drop(const DropOutputs& work) {
  for (const OutputObject& object : work.objects) {
    // Nobody is waiting: what cannot be removed now is an orphan like any other.
    if (!object.upload.empty()) {
      if (auto aborted = store_.abort(object.upload); !aborted) log::debug("abort upload: {}", aborted.error().message);
    }
    if (auto removed = store_.remove(object.key); !removed)
      log::debug("remove {}: {}", object.key, removed.error().message);
  }
}

}  // namespace chappe
