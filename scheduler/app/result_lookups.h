/// \file
/// Looks up results on behalf of the engine, some at a time, on threads of its own: neither the store's readers nor the
/// object store hold up the loop.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <thread>
#include <vector>

#include "engine/ports/meta_reader.h"
#include "engine/ports/object_store.h"
#include "engine/run/events.h"

namespace chappe {

class ResultLookups {
 public:
  using OpenReader = std::function<Result<std::unique_ptr<MetaReader>>()>;
  using Report = std::function<void(Event)>;  ///< Called on a thread of this.

  static constexpr std::size_t kThreads = 8;  ///< Lookups at a time.

  /// `objects` must outlive this.
  ResultLookups(ObjectStore& objects, OpenReader open_reader, Report report);
  ~ResultLookups();  ///< Waits for lookups under way.

  /// Each is reported once. The engine bounds how many there are at a time.
  void look_up(std::vector<CacheLookup> lookups);
  /// As look_up(), but those that are found within `patience` (these, and earlier ones) are returned, not reported.
  std::vector<Event> look_up_soon(std::vector<CacheLookup> lookups, std::chrono::microseconds patience);

 private:
  void add(std::vector<CacheLookup> lookups);
  void serve(const std::stop_token& stop);

  ObjectStore& objects_;
  OpenReader open_reader_;
  Report report_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::condition_variable found_;
  std::deque<CacheLookup> waiting_;
  std::size_t unanswered_ = 0;          ///< Waiting or under way.
  std::vector<Event>* soon_ = nullptr;  ///< Where answers go meanwhile; nullptr: they are reported.
  std::vector<std::jthread> threads_;   ///< From the first lookup on: a start does not wait for them.
};

}  // namespace chappe
