#include "engine/model/circles.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <map>
#include <utility>

namespace chappe {
namespace {

/// How one came to a DAG.
struct Link {
  std::string from;
  EventSource by;
};

std::string told_link(const std::string& dag, const EventSource& by) {
  return by.kind == EventSource::Kind::kDag ? dag : fmt::format("{} on {}", dag, to_text(by));
}

}  // namespace

std::vector<EventSource> sources_of(const Dag& dag) {
  std::vector<EventSource> sources;
  for (const TriggerSpec& trigger : dag.triggers) trigger.when.collect(sources);
  return sources;
}

std::vector<EventSource> news_of(const Dag& dag) {
  std::vector<EventSource> out{{EventSource::Kind::kDag, dag.name}};
  for (const Task& task : dag.tasks) {
    for (std::size_t i = 0; task.work != nullptr && i < task.work->outputs.size(); ++i) {
      const OutputArtifact& output = task.work->outputs[i];
      if (output.asset.text().empty()) continue;
      if (output.asset.is_literal()) out.push_back({EventSource::Kind::kAsset, output.asset.literal_text()});
      if (!output.asset_name.empty()) out.push_back({EventSource::Kind::kAsset, output.asset_name});
    }
  }
  return out;
}

DagCircle circle_through(const Dag& dag, const ListenersOf& listeners) {
  if (dag.triggers.empty()) return {};
  const std::vector<EventSource> awaited = sources_of(dag);
  std::map<std::string, Link> came;
  std::deque<DagPtr> to_visit{DagPtr(DagPtr(), &dag)};
  while (!to_visit.empty() && came.size() < kCircleLooked) {
    const DagPtr at = std::move(to_visit.front());
    to_visit.pop_front();
    for (const EventSource& source : news_of(*at)) {
      if (std::find(awaited.begin(), awaited.end(), source) != awaited.end()) {
        DagCircle circle;
        std::string told = told_link(dag.name, source);
        for (std::string name = at->name; name != dag.name; name = came.at(name).from) {
          told = fmt::format("{}, {}", told_link(name, came.at(name).by), told);
          circle.dags.insert(circle.dags.begin(), name);
        }
        circle.dags.insert(circle.dags.begin(), dag.name);
        circle.warning = fmt::format("DAGs start each other in a circle ({}, {}): after {} runs it ends", dag.name,
                                     told, kTriggerChainMax);
        return circle;
      }
      for (DagPtr& next : listeners(source)) {
        if (next->name == dag.name || !came.try_emplace(next->name, Link{at->name, source}).second) continue;
        to_visit.push_back(std::move(next));
      }
    }
  }
  return {};
}

}  // namespace chappe
