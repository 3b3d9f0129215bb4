/// \file
/// A few threads that may block, each with a reader of the metadata store of its own, behind a bounded queue.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "scheduler/api/backend.h"

namespace chappe::api {

class ReaderPool {
 public:
  /// Reads something and passes the outcome on; must not throw. The reader is null where the store cannot be opened.
  using Reading = std::function<void(MetaReader*)>;

  ReaderPool(Backend& backend, std::size_t threads, std::size_t queue_max);
  ~ReaderPool();  ///< Waits for the readings that have begun; forgets the others.

  /// False: the queue is full.
  bool submit(Reading reading);

 private:
  void run();

  Backend& backend_;
  const std::size_t queue_max_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Reading> queue_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace chappe::api
