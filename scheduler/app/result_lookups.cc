#include "scheduler/app/result_lookups.h"

#include <utility>

#include "engine/ports/result_lookup.h"
#include "scheduler/api/value_object.h"

namespace chappe {

ResultLookups::ResultLookups(ObjectStore& objects, OpenReader open_reader, Report report)
    : objects_(objects), open_reader_(std::move(open_reader)), report_(std::move(report)) {}

ResultLookups::~ResultLookups() {
  for (std::jthread& thread : threads_) thread.request_stop();
  threads_.clear();
}

void ResultLookups::look_up(std::vector<CacheLookup> lookups) {
  if (!lookups.empty()) add(std::move(lookups));
}

std::vector<Event> ResultLookups::look_up_soon(std::vector<CacheLookup> lookups, std::chrono::microseconds patience) {
  std::vector<Event> answers;
  {
    const std::lock_guard lock(mutex_);
    soon_ = &answers;
  }
  add(std::move(lookups));
  std::unique_lock lock(mutex_);
  found_.wait_for(lock, patience, [&] { return unanswered_ == 0; });
  soon_ = nullptr;
  return answers;
}

void ResultLookups::add(std::vector<CacheLookup> lookups) {
  const bool one = lookups.size() == 1;  // In a chain each is: the other threads may sleep.
  {
    const std::lock_guard lock(mutex_);
    unanswered_ += lookups.size();
    for (CacheLookup& lookup : lookups) waiting_.push_back(std::move(lookup));
    while (threads_.size() < kThreads) threads_.emplace_back([this](const std::stop_token& stop) { serve(stop); });
  }
  one ? changed_.notify_one() : changed_.notify_all();
}

void ResultLookups::serve(const std::stop_token& stop) {
  std::unique_ptr<MetaReader> reader;  // Opened when there is something to read: most stores have no results.
  const auto head = [this](const std::string& key) { return objects_.head(key); };
  const auto read = [this](const OutputObject& object) { return read_value_object(objects_, object); };
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    if (waiting_.empty()) {
      changed_.wait(lock, stop, [&] { return !waiting_.empty(); });
      continue;
    }
    const CacheLookup lookup = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    Result<KnownResult> known = fail(ErrorCode::kUnavailable, "");
    if (reader == nullptr) {
      auto opened = open_reader_();
      if (opened) reader = std::move(*opened);
      if (!opened) known = fail(std::move(opened.error()));
    }
    if (reader != nullptr) known = read_result(*reader, lookup);
    Event found = check_result(head, read, lookup, std::move(known));
    lock.lock();
    if (--unanswered_ == 0) found_.notify_one();
    if (soon_ != nullptr) {
      soon_->push_back(std::move(found));
      continue;
    }
    lock.unlock();
    report_(std::move(found));
    lock.lock();
  }
}

}  // namespace chappe
