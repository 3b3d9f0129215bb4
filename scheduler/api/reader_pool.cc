#include "scheduler/api/reader_pool.h"

#include <utility>

#include "engine/ports/log.h"

namespace chappe::api {

ReaderPool::ReaderPool(Backend& backend, std::size_t threads, std::size_t queue_max)
    : backend_(backend), queue_max_(queue_max) {
  for (std::size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { run(); });
}

ReaderPool::~ReaderPool() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
    queue_.clear();
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

bool ReaderPool::submit(Reading reading) {
  {
    const std::scoped_lock lock(mutex_);
    if (queue_.size() >= queue_max_) return false;
    queue_.push_back(std::move(reading));
  }
  changed_.notify_one();
  return true;
}

void ReaderPool::run() {
  std::unique_ptr<MetaReader> reader;
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (stopping_) return;
    const Reading reading = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    if (reader == nullptr) {
      auto opened = backend_.open_reader();
      if (opened) {
        reader = *std::move(opened);
      } else {
        log::error("open a reader of the metadata store: {}", opened.error().message);
      }
    }
    reading(reader.get());
    lock.lock();
  }
}

}  // namespace chappe::api
