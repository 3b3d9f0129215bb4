#include "engine/run/ready_queue.h"

namespace chappe {

void ReadyQueue::push(RunSeq run, ReadyRange range) {
  size_ += range.end - range.next;
  auto& lane = lanes_[run];
  if (lane.empty()) turns_.push_back(run);
  if (!lane.empty() && lane.back().end == range.next) {
    lane.back().end = range.end;
  } else {
    lane.push_back(range);
  }
}

std::optional<InstanceKey> ReadyQueue::pop() {
  if (turns_.empty()) return std::nullopt;
  if (taken_ >= kTurn) {
    turns_.push_back(turns_.front());
    turns_.pop_front();
    taken_ = 0;
  }
  const RunSeq run = turns_.front();
  const auto lane = lanes_.find(run);
  ReadyRange& range = lane->second.front();
  const InstanceKey key{run, range.next++};
  ++taken_;
  --size_;
  if (range.next == range.end) lane->second.pop_front();
  if (lane->second.empty()) {
    lanes_.erase(lane);
    turns_.pop_front();
    taken_ = 0;
  }
  return key;
}

void ReadyQueue::push_front(InstanceKey key) {
  ++size_;
  auto& lane = lanes_[key.run];
  if (lane.empty()) turns_.push_front(key.run);
  if (!lane.empty() && lane.front().next == key.index + 1) {
    lane.front().next = key.index;
  } else {
    lane.push_front({key.index, key.index + 1});
  }
}

}  // namespace chappe
