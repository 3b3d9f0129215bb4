#include "scheduler/launch/pod_book.h"

#include <algorithm>
#include <utility>

#include "engine/base/mutant.h"
#include "engine/model/policies.h"
#include "scheduler/launch/json_map.h"
#include "scheduler/launch/pod.h"
#include "scheduler/launch/pod_status.h"

namespace chappe::launch {
namespace {

constexpr Backoff kRest{.initial = std::chrono::milliseconds(500), .factor = 2, .max = std::chrono::seconds(30)};

std::string name_of(const Value& pod) { return text_of(find(&pod, "metadata", "name")); }
std::string uid_of(const Value& pod) { return text_of(find(&pod, "metadata", "uid")); }

std::string label_of(const Value& pod, std::string_view label) {
  return text_of(find(&pod, "metadata", "labels", label));
}

bool is_being_deleted(const Value& pod) {
  const Value* time = find(&pod, "metadata", "deletionTimestamp");
  return time != nullptr && !time->is_null();
}

}  // namespace

// ---- What the engine wants ----

void PodBook::want(PodOrder order, std::string join_key, MonoTime now) {
  const std::string pod = order.pod;
  Entry& entry = entries_[pod];
  entry.attempt = order.what.attempt;
  entry.join_key = std::move(join_key);
  entry.in_doubt = order.joined;  // Whether it still is there.
  entry.order = std::make_shared<const PodOrder>(std::move(order));
  plan(pod, entry, now);
}

void PodBook::release(const std::string& pod, MonoTime now) {
  const auto found = entries_.find(pod);
  if (found == entries_.end()) return;
  Entry& entry = found->second;
  entry.order = nullptr;
  const bool never_made = !entry.tried && !entry.there;
  if ((never_made || entry.gone) && !entry.in_flight) return forget(found);
  entry.failures = 0;
  plan(pod, entry, now);
}

// ---- What the API server says ----

void PodBook::listed(const ValueList& pods, MonoTime began, MonoTime now) {
  std::set<std::string> names;
  for (const Value& pod : pods) {
    names.insert(name_of(pod));
    shown(pod, now);
  }
  for (auto& [pod, entry] : entries_) {
    if (!entry.there || entry.shown_at >= began || names.contains(pod)) continue;
    if (CHAPPE_MUTANT(kBelievesStaleLists)) {
      is_gone(entry, {.what = PodSeen::What::kGone, .message = "no list shows it"});
      continue;
    }
    entry.in_doubt = true;
    plan(pod, entry, now);
  }
}

bool PodBook::is_ours(const Entry& entry, const Value& pod) const {
  if (CHAPPE_MUTANT(kAdoptsPodsOfOthers)) return true;
  const bool same_attempt = label_of(pod, kAttemptLabel) == to_text(entry.attempt);
  const bool same_run = entry.order == nullptr || label_of(pod, kRunLabel) == entry.order->run->id.text();
  return label_of(pod, kInstallationLabel) == installation_ && same_attempt && same_run;
}

void PodBook::shown(const Value& pod, MonoTime now) {
  const std::string name = name_of(pod);
  if (label_of(pod, kInstallationLabel) != installation_) return;
  const auto known = entries_.find(name);
  if (known == entries_.end()) {
    if (is_being_deleted(pod) || CHAPPE_MUTANT(kOrphanedPodsStay)) return tell_image(pod);
    // Of an attempt that ended while nobody was there to remove it.
    Entry& entry = entries_[name];
    entry.uid = uid_of(pod);
    entry.there = true;
    entry.shown_at = now;
    return plan(name, entry, now);
  }
  Entry& entry = known->second;
  if (!entry.uid.empty() && entry.uid != uid_of(pod)) return;  // News of another one that had the name.
  if (entry.gone) return;                                      // Said late.
  entry.shown_at = now;
  if (entry.order != nullptr && !is_ours(entry, pod)) return;  // make() tells of it.
  entry.uid = uid_of(pod);
  entry.there = true;
  entry.in_doubt = false;
  if (entry.order != nullptr) tell(entry, read_status(pod));
  tell_image(pod);
}

void PodBook::deleted(const Value& pod, MonoTime now) {
  if (label_of(pod, kInstallationLabel) != installation_) return;
  const auto known = entries_.find(name_of(pod));
  if (known == entries_.end()) return tell_image(pod);  // Removed, and only now gone.
  Entry& entry = known->second;
  if (entry.uid != uid_of(pod)) return;
  entry.shown_at = now;
  tell_image(pod);
  PodSeen last = read_status(pod);
  if (last.what != PodSeen::What::kEnded) {
    const bool told_why = last.what == PodSeen::What::kGone;
    last = {.what = PodSeen::What::kGone, .message = told_why ? last.message : "the pod was deleted"};
  }
  is_gone(entry, std::move(last));
  if (entry.order == nullptr && !entry.in_flight) forget(known);
}

void PodBook::is_gone(Entry& entry, PodSeen seen) {
  entry.there = entry.in_doubt = false;
  entry.gone = true;
  if (entry.order != nullptr) tell(entry, std::move(seen));
}

/// Once it has ended, nothing else is news.
void PodBook::tell(Entry& entry, PodSeen seen) {
  using What = PodSeen::What;
  seen.attempt = entry.attempt;
  if (entry.told) {
    const What before = entry.told->what;
    const bool is_last = before == What::kEnded || before == What::kRefused;
    const bool is_late = before == What::kStarted && seen.what == What::kWaiting;
    if (is_last || is_late || *entry.told == seen) return;
  }
  entry.told = seen;
  news_.push_back(std::move(seen));
}

/// Nodes say it seconds after a container began: of a short task when the attempt is over, and its pod being removed.
void PodBook::tell_image(const Value& pod) {
  const auto attempt = parse_attempt_id(label_of(pod, kAttemptLabel));
  std::string image = read_image(pod);
  if (!attempt || image.empty() || !images_told_.insert(*attempt).second) return;
  if (images_told_.size() > kImagesToldMax) images_told_.erase(images_told_.begin());
  news_.push_back({.attempt = *attempt, .what = PodSeen::What::kImage, .message = std::move(image)});
}

std::vector<PodSeen> PodBook::take_news() { return std::exchange(news_, {}); }

// ---- What is to be done ----

std::optional<PodRequest::What> PodBook::need_of(const Entry& entry) {
  using What = PodRequest::What;
  if (entry.order == nullptr) return What::kRemove;
  if (entry.in_doubt) return What::kLook;
  const bool refused = entry.told && entry.told->what == PodSeen::What::kRefused;
  const bool is_missing = !entry.there && !entry.gone && !refused;
  return is_missing ? std::optional(What::kMake) : std::nullopt;
}

std::optional<PodRequest> PodBook::next(MonoTime now) {
  while (!due_.empty() && due_.begin()->first <= now) {
    const std::string pod = due_.begin()->second;
    Entry& entry = entries_.at(pod);
    unplan(pod, entry);
    const auto need = need_of(entry);
    if (!need || entry.in_flight) continue;  // The outcome of that one plans anew.
    entry.in_flight = true;
    PodRequest request{.what = *need, .pod = pod};
    if (*need == PodRequest::What::kRemove) request.uid = entry.uid;
    if (*need == PodRequest::What::kMake) {
      entry.tried = true;
      request.order = entry.order;
      request.join_key = entry.join_key;
    }
    return request;
  }
  return std::nullopt;
}

std::optional<MonoTime> PodBook::next_due() const {
  return due_.empty() ? std::nullopt : std::optional(due_.begin()->first);
}

void PodBook::take(const PodRequest& request, const PodOutcome& outcome, MonoTime now) {
  using Did = PodRequest::What;
  using Came = PodOutcome::What;
  const auto found = entries_.find(request.pod);
  if (found == entries_.end()) return;
  Entry& entry = found->second;
  entry.in_flight = false;
  if (outcome.what == Came::kLater) return try_again(request.pod, entry, outcome, now);
  entry.failures = 0;
  if (request.what == Did::kRemove) return forget(found);
  if (outcome.what == Came::kShown) {
    // Of what was just made there may be newer news already.
    const bool is_old = request.what == Did::kMake && entry.there;
    if (!is_old) shown(outcome.pod, now);
    if (entry.order != nullptr && !entry.there && !entry.gone) {
      entry.in_doubt = false;
      const PodOutcome other{.message = "another pod has the name " + request.pod};
      return try_again(request.pod, entry, other, now);
    }
  } else if (outcome.what == Came::kExists) {
    entry.in_doubt = true;
  } else if (outcome.what == Came::kRefused) {
    if (entry.order != nullptr) tell(entry, {.what = PodSeen::What::kRefused, .message = outcome.message});
  } else if (request.what == Did::kLook) {
    const bool was_there = entry.there || (entry.order != nullptr && entry.order->joined);
    entry.in_doubt = false;
    if (was_there) is_gone(entry, {.what = PodSeen::What::kGone, .message = "the pod is not there any more"});
    if (entry.order == nullptr) return forget(found);
    if (!was_there) return plan(request.pod, entry, now + kRest.initial);  // What had the name goes.
  }
  if (need_of(entry)) plan(request.pod, entry, now);
}

void PodBook::try_again(const std::string& pod, Entry& entry, const PodOutcome& outcome, MonoTime now) {
  const Duration rest = backoff_after(std::min(++entry.failures, 16U), kRest, 0.5);
  if (entry.order != nullptr) tell(entry, {.what = PodSeen::What::kWaiting, .message = outcome.message});
  plan(pod, entry, now + std::max(rest, outcome.after.value_or(Duration(0))));
}

void PodBook::plan(const std::string& pod, Entry& entry, MonoTime at) {
  unplan(pod, entry);
  entry.due = at;
  due_.emplace(at, pod);
}

void PodBook::unplan(const std::string& pod, Entry& entry) {
  if (entry.due) due_.erase({*entry.due, pod});
  entry.due.reset();
}

void PodBook::forget(Entries::iterator entry) {
  unplan(entry->first, entry->second);
  entries_.erase(entry);
}

}  // namespace chappe::launch
