// Who waits for the same gets it in turns: by DAG and its weight, however many runs and instances a DAG has.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>
#include <vector>

#include "engine/run/ready_queue.h"

namespace chappe {
namespace {

/// A DAG with runs that have more to do than anybody asks for.
struct Crowd {
  DagShare share;
  std::uint32_t runs = 1;
};

constexpr std::uint32_t kEach = 400;  ///< Instances of a run.
constexpr int kAsked = 300;           ///< Instances that are taken in all.

std::vector<Crowd> some_crowds() {
  const auto size = *rc::gen::inRange<std::uint32_t>(2, 6);
  std::vector<Crowd> crowds;
  for (std::uint32_t i = 0; i < size; ++i) {
    crowds.push_back({{i, *rc::gen::inRange<std::uint32_t>(1, 6)}, *rc::gen::inRange<std::uint32_t>(1, 101)});
  }
  return crowds;
}

/// Runs by number: DAG i has those from 1000 * (i + 1) on.
RunSeq run_of(const Crowd& crowd, std::uint32_t number) { return {1000 * (crowd.share.id + 1) + number}; }
std::uint32_t dag_of(const InstanceKey& key) { return key.run.value / 1000 - 1; }

void fill(ReadyQueue& queue, const std::vector<Crowd>& crowds) {
  for (const Crowd& crowd : crowds) {
    for (std::uint32_t run = 0; run < crowd.runs; ++run) queue.push(run_of(crowd, run), crowd.share, {0, kEach});
  }
}

RC_GTEST_PROP(ReadyQueueLaws, GivesEachDagItsShareWhateverTheNumberOfItsRuns, ()) {
  const std::vector<Crowd> crowds = some_crowds();
  ReadyQueue queue;
  fill(queue, crowds);
  std::map<std::uint32_t, double> turns;  // What a DAG got, by what it should get in one round.
  for (const Crowd& crowd : crowds) turns[crowd.share.id] = 0;
  for (int i = 0; i < kAsked; ++i) {
    const auto key = queue.pop();
    RC_ASSERT(key.has_value());
    turns[dag_of(*key)] += 1.0 / crowds[dag_of(*key)].share.weight;
    const auto [least, most] = std::minmax_element(turns.begin(), turns.end(),
                                                   [](const auto& a, const auto& b) { return a.second < b.second; });
    RC_ASSERT(most->second - least->second <= 1 + 1e-9);
  }
}

/// A class that finds no room is asked again and again: that costs nobody a turn.
RC_GTEST_PROP(ReadyQueueLaws, WhatIsPutBackChangesNothing, (std::vector<bool> returns)) {
  const std::vector<Crowd> crowds = some_crowds();
  ReadyQueue queue;
  ReadyQueue undisturbed;
  fill(queue, crowds);
  fill(undisturbed, crowds);
  for (const bool back : returns) {
    if (!back) {
      RC_ASSERT(queue.pop() == undisturbed.pop());
      continue;
    }
    const auto key = queue.pop();
    RC_ASSERT(key.has_value());
    queue.push_front(*key, crowds[dag_of(*key)].share);
    RC_ASSERT(queue.size() == undisturbed.size());
  }
}

/// Whatever comes and goes in between: nothing is lost, and nothing comes twice.
RC_GTEST_PROP(ReadyQueueLaws, HandsOutEachInstanceOnce, (std::vector<std::uint8_t> steps)) {
  ReadyQueue queue;
  std::map<std::uint32_t, std::uint32_t> pushed;
  std::map<InstanceKey, int> got;
  const auto take = [&] {
    if (const auto key = queue.pop()) ++got[*key];
  };
  for (const std::uint8_t step : steps) {
    const Crowd crowd{{.id = step % 3U, .weight = 1 + step % 2U}, 1};
    const RunSeq run = run_of(crowd, step % 5U);
    std::uint32_t& next = pushed[run.value];
    if (step >= 128) {
      take();
    } else {
      queue.push(run, crowd.share, {next, next + 1 + step % 4U});
      next += 1 + step % 4U;
    }
  }
  while (!queue.empty()) take();
  std::size_t all = 0;
  for (const auto& [run, count] : pushed) all += count;
  RC_ASSERT(got.size() == all);
  RC_ASSERT(std::all_of(got.begin(), got.end(), [](const auto& each) { return each.second == 1; }));
}

}  // namespace
}  // namespace chappe
