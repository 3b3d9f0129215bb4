/// \file
/// Which pods there should be, which there are, and what must be done about the difference. Pure: time is an argument.
///
/// All news of a pod is a hint: it may be late, repeated or out of order, and a list may be stale. So whatever is seen
/// of a pod is compared with its uid, and a pod that a list does not show is asked for by its name before it is held to
/// be gone. Making and removing are idempotent by name, and repeated until they have an answer.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/base/value.h"
#include "engine/run/events.h"

namespace chappe::launch {

/// A request that the API server is to be sent.
struct PodRequest {
  enum class What : std::uint8_t { kMake, kLook, kRemove } what = What::kLook;
  std::string pod;
  std::string uid;                        ///< Of kRemove: only that one; "": whatever has the name.
  std::shared_ptr<const PodOrder> order;  ///< Of kMake.
  std::string join_key;                   ///< Of kMake.
};

/// What came of it.
struct PodOutcome {
  enum class What : std::uint8_t {
    kShown,    ///< Made, or found: `pod` is how it is.
    kExists,   ///< Not made: something has the name.
    kAbsent,   ///< Nothing has the name; of kRemove: it goes.
    kRefused,  ///< It cannot be made, whatever is done.
    kLater,    ///< It could not be done now.
  } what = What::kLater;
  Value pod;
  std::string message;
  std::optional<Duration> after;  ///< Of kLater: not sooner.
};

/// Attempts whose images are remembered as told; an earlier one would be told again.
inline constexpr std::size_t kImagesToldMax = 10'000;

class PodBook {
 public:
  explicit PodBook(std::string installation) : installation_(std::move(installation)) {}

  // ---- What the engine wants ----
  void want(PodOrder order, std::string join_key, MonoTime now);
  void release(const std::string& pod, MonoTime now);

  // ---- What the API server says ----
  /// A list that began at `began` has these, and no more.
  void listed(const ValueList& pods, MonoTime began, MonoTime now);
  void shown(const Value& pod, MonoTime now);
  void deleted(const Value& pod, MonoTime now);

  // ---- What is to be done ----
  /// The next request that is due. Its outcome must come, before another one of the same pod does.
  std::optional<PodRequest> next(MonoTime now);
  std::optional<MonoTime> next_due() const;
  void take(const PodRequest& request, const PodOutcome& outcome, MonoTime now);
  /// For the engine, in order.
  std::vector<PodSeen> take_news();

  std::size_t size() const { return entries_.size(); }  ///< Pods that are wanted, or must go.

 private:
  struct Entry {
    AttemptId attempt;
    std::shared_ptr<const PodOrder> order;  ///< Null: nobody wants it.
    std::string join_key;
    std::string uid;         ///< "": not known.
    bool there = false;      ///< It was shown, and nobody said since that it is gone.
    bool tried = false;      ///< To make it: something may have the name.
    bool in_doubt = false;   ///< It must be looked at.
    bool gone = false;       ///< It was there: it is not made again.
    bool in_flight = false;  ///< A request of it is under way.
    std::uint32_t failures = 0;
    std::optional<MonoTime> due;
    MonoTime shown_at;
    std::optional<PodSeen> told;
  };
  using Entries = std::map<std::string, Entry>;

  void plan(const std::string& pod, Entry& entry, MonoTime at);
  void unplan(const std::string& pod, Entry& entry);
  void forget(Entries::iterator entry);
  void tell(Entry& entry, PodSeen seen);
  void tell_image(const Value& pod);
  void is_gone(Entry& entry, PodSeen seen);
  void try_again(const std::string& pod, Entry& entry, const PodOutcome& outcome, MonoTime now);
  bool is_ours(const Entry& entry, const Value& pod) const;
  static std::optional<PodRequest::What> need_of(const Entry& entry);

  const std::string installation_;
  Entries entries_;
  std::set<std::pair<MonoTime, std::string>> due_;
  std::vector<PodSeen> news_;
  std::set<AttemptId> images_told_;  ///< Newest ones; ids only grow.
};

}  // namespace chappe::launch
