/// \file
/// News of containers on their way from their threads to the worker's loop.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "worker/container/containers.h"

namespace chappe::container {

struct News {
  enum class Kind : std::uint8_t { kStarted, kOutput, kEnded } kind = Kind::kStarted;
  AttemptId attempt;
  std::string output;
  ContainerEnd end;
};

/// Thread: any.
class Outbox {
 public:
  Outbox();
  ~Outbox();
  Outbox(const Outbox&) = delete;
  Outbox& operator=(const Outbox&) = delete;

  void put(News news);
  /// Waits while the container has kOutputBytesMax here. False: the loop takes nothing any more.
  bool put_output(AttemptId attempt, std::span<const std::byte> bytes);
  std::vector<News> take();
  /// Waits at most so long for something to take.
  void wait(Duration most);
  /// Nothing waits in here from now on.
  void close();
  int fd() const { return event_; }

 private:
  void ring() const;

  const int event_;
  std::mutex mutex_;
  std::condition_variable taken_;
  std::vector<News> news_;
  std::map<AttemptId, std::size_t> bytes_;
  bool closed_ = false;
};

}  // namespace chappe::container
