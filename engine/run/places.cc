#include "engine/run/places.h"

#include <fmt/format.h>

#include "engine/base/mutant.h"

namespace chappe {
namespace {

const std::set<RunSeq> kNobody;

}  // namespace

std::string Places::group_of(const RunRow& row, const Dag& dag) {
  return row.group.empty() || CHAPPE_MUTANT(kForgetsGroups) ? row.dag : dag.namespace_name + " " + row.group;
}

const std::set<RunSeq>& Places::taken(const std::string& group) const {
  const auto found = groups_.find(group);
  return found == groups_.end() ? kNobody : found->second.taken;
}

const std::set<RunSeq>& Places::line(const std::string& group) const {
  const auto found = groups_.find(group);
  return found == groups_.end() ? kNobody : found->second.line;
}

bool Places::is_free(const std::string& group, RunSeq run, std::uint32_t max_runs) const {
  const std::set<RunSeq>& before = line(group);
  const bool is_next = before.empty() || run < *before.begin() || CHAPPE_MUTANT(kRunsOvertake);
  return is_next && taken(group).size() < max_runs;
}

void Places::give_back(const std::string& group, RunSeq run) {
  const auto found = groups_.find(group);
  if (found == groups_.end()) return;
  found->second.taken.erase(run);
  forget_if_empty(group);
}

void Places::join_line(const std::string& group, const RunRow& row) {
  if (!groups_[group].line.insert(row.seq).second) return;
  ++waiting_;
  ++waiting_of_[row.dag];
}

void Places::leave_line(const std::string& group, const RunRow& row) {
  const auto found = groups_.find(group);
  if (found == groups_.end() || found->second.line.erase(row.seq) == 0) return;
  --waiting_;
  if (--waiting_of_[row.dag] == 0) waiting_of_.erase(row.dag);
  forget_if_empty(group);
}

std::size_t Places::waiting_of(const std::string& dag) const {
  const auto found = waiting_of_.find(dag);
  return found == waiting_of_.end() ? 0 : found->second;
}

void Places::forget_if_empty(const std::string& group) {
  const auto found = groups_.find(group);
  if (found->second.taken.empty() && found->second.line.empty()) groups_.erase(found);
}

std::string told_full(const Dag& dag, const RunRow& row) {
  if (!row.group.empty()) {
    return fmt::format("group '{}' has no place for it, and on_limit of DAG {} is skip", row.group, dag.name);
  }
  return fmt::format("{} runs of DAG {} are running, and its on_limit is skip", dag.max_runs, dag.name);
}

}  // namespace chappe
