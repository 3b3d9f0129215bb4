/// \file
/// Orders and pods for the tests of scheduler/launch.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "proto/json/json.h"
#include "scheduler/launch/json_map.h"
#include "scheduler/launch/pod.h"

namespace chappe::launch {

inline Value json(std::string_view text) { return parse_json(text).value(); }

inline PodSettings some_settings(Value pod_template = {}) {
  return {.namespace_name = "tasks",
          .installation = "0123456789abcdef",
          .pod_template = std::move(pod_template),
          .image = "registry/chappe:1",
          .scheduler = "tcp://chappe:7331",
          .server_key = "ab12",
          .object_store = "s3://bucket"};
}

inline Task some_task() {
  Task task;
  task.id = "train";
  task.kind = TaskKind::kRun;
  task.work = std::make_shared<const WorkSpec>();
  task.pod = std::make_shared<const PodSpec>();
  return task;
}

inline PodOrder order_of(Task task, std::uint64_t attempt = 7) {
  auto dag = std::make_shared<Dag>();
  dag->name = "nightly";
  dag->tasks.push_back(std::move(task));
  auto run = std::make_shared<RunContext>();
  run->dag = "nightly";
  PodOrder order;
  order.what = {{{1}, 0}, {attempt}};
  order.resources = dag->tasks.front().work ? dag->tasks.front().work->resources : Resources{};
  order.dag = std::move(dag);
  order.run = std::move(run);
  order.pod = "chappe-01234567-" + to_text(AttemptId{attempt});
  return order;
}

/// How the API server shows the order's pod.
inline Value shown(const PodOrder& order, const std::string& uid, std::string_view status = "{}") {
  Value pod = make_pod(some_settings(), order, "key").value();
  put(*member(*pod.as_map(), "metadata").as_map(), "uid", uid);
  put(*pod.as_map(), "status", json(status));
  return pod;
}

}  // namespace chappe::launch
