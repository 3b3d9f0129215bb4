/// \file
/// Effects as lines that a person reads: what is saved, what is sent, what is done, in that order.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tests/support/engine_world.h"

namespace chappe::support {

/// Names things as a story does: runs by what it called them, attempts by task instance and number.
class EffectsText {
 public:
  explicit EffectsText(const EngineWorld& world) : world_(world) {}
  void call(const RunId& run, const std::string& name) { runs_[run] = name; }

  std::vector<std::string> lines(const Effects& effects) const;
  std::string run(RunSeq seq) const;
  std::string instance(InstanceKey key) const;                    ///< "r1/train[a]"
  std::string attempt(InstanceKey key, AttemptId attempt) const;  ///< "r1/train[a] #2"
  std::string worker(WorkerSeq seq) const;

 private:
  std::string readable(std::string text) const;
  void add_persist(const Persist& persist, std::vector<std::string>& out) const;
  std::string line(const RunRow& row, const char* verb) const;
  std::string line(const TaskRow& row) const;
  std::string line(const DeploymentRow& row) const;
  std::string line(const AttemptEnd& end) const;
  std::string line(const AliasRow& row) const;
  void add_send(const WorkerSend& send, std::vector<std::string>& out) const;

  const EngineWorld& world_;
  std::map<RunId, std::string> runs_;
};

}  // namespace chappe::support
