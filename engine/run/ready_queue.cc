#include "engine/run/ready_queue.h"

#include "engine/base/assert.h"

namespace chappe {
namespace {

/// The front one's turn is over.
template <typename Turns>
void rotate(Turns& turns) {
  turns.push_back(turns.front());
  turns.pop_front();
}

}  // namespace

ReadyQueue::RunLane& ReadyQueue::lane_of(RunSeq run) {
  RunLane& lane = runs_[run];
  lane.run = run;
  return lane;
}

ReadyQueue::DagLane& ReadyQueue::lane_of(const DagShare& dag) {
  DagLane& lane = dags_[dag.id];
  lane.share = dag;  // Of several versions of a DAG the one that came last says how much.
  return lane;
}

void ReadyQueue::push(RunSeq run, const DagShare& dag, ReadyRange range, std::uint64_t ahead) {
  RunLane& lane = lane_of(run);
  if (lane.empty()) {
    DagLane& of_dag = lane_of(dag);
    if (of_dag.turns.empty()) turns_.push_back(&of_dag);
    of_dag.turns.push_back(&lane);
  }
  if (ahead > 0) {
    for (; range.next < range.end; ++range.next) {
      if (lane.ahead.insert({~ahead, range.next}).second) ++size_;
    }
    return;
  }
  size_ += range.end - range.next;
  if (!lane.ranges.empty() && lane.ranges.back().end == range.next) {
    lane.ranges.back().end = range.end;
  } else {
    lane.ranges.push_back(range);
  }
}

/// The DAG whose turn it is, with the run whose turn it is in front: who has had theirs stands behind the others.
ReadyQueue::DagLane& ReadyQueue::next() {
  if (turns_.front()->taken >= turns_.front()->share.weight) {
    turns_.front()->taken = 0;
    rotate(turns_);
  }
  DagLane& dag = *turns_.front();
  if (dag.run_taken >= kTurn) {
    dag.run_taken = 0;
    rotate(dag.turns);
  }
  return dag;
}

std::optional<InstanceKey> ReadyQueue::pop() {
  if (turns_.empty()) return std::nullopt;
  DagLane& dag = next();
  RunLane& lane = *dag.turns.front();
  InstanceKey key{lane.run, 0};
  if (last_ahead_ = lane.ahead.empty() ? 0 : ~lane.ahead.begin()->first; last_ahead_ > 0) {
    key.index = lane.ahead.begin()->second;
    lane.ahead.erase(lane.ahead.begin());
  } else {
    key.index = lane.ranges.front().next++;
    if (lane.ranges.front().next == lane.ranges.front().end) lane.ranges.pop_front();
  }
  ++dag.taken;
  ++dag.run_taken;
  --size_;
  if (!lane.empty()) return key;
  dag.turns.pop_front();
  dag.run_taken = 0;
  runs_.erase(key.run);
  if (dag.turns.empty()) {
    turns_.pop_front();
    dags_.erase(dag.share.id);
  }
  return key;
}

void ReadyQueue::push_front(InstanceKey key, const DagShare& dag) {
  ++size_;
  RunLane& lane = lane_of(key.run);
  DagLane& of_dag = lane_of(dag);
  if (lane.empty()) {
    if (of_dag.turns.empty()) turns_.push_front(&of_dag);
    of_dag.turns.push_front(&lane);
  }
  CHAPPE_ASSERT(turns_.front() == &of_dag && of_dag.turns.front() == &lane);  // It was its turn, and still is.
  if (of_dag.taken > 0) --of_dag.taken;
  if (of_dag.run_taken > 0) --of_dag.run_taken;
  if (last_ahead_ > 0) {
    lane.ahead.insert({~last_ahead_, key.index});
  } else if (!lane.ranges.empty() && lane.ranges.front().next == key.index + 1) {
    lane.ranges.front().next = key.index;
  } else {
    lane.ranges.push_front({key.index, key.index + 1});
  }
}

}  // namespace chappe
