#include "dags/loader/loader.h"

#include <memory>
#include <vector>

#include "dags/loader/canonical.h"
#include "dags/loader/check_references.h"
#include "dags/loader/complaints.h"
#include "dags/loader/includes.h"
#include "dags/loader/keys.h"
#include "dags/loader/names.h"
#include "dags/loader/read_dag.h"
#include "dags/loader/read_tests.h"
#include "dags/loader/reader.h"
#include "dags/loader/services.h"
#include "dags/loader/task_reader.h"
#include "dags/loader/yaml_tree.h"
#include "storage/digest/digest.h"

extern "C" const char dag_schema[];
extern "C" const char dag_schema_end[];

namespace chappe {
namespace {

using yaml::Node;

const Node* read_defaults(Reader& reader, const Node& root) {
  const Node* defaults = root.find("defaults");
  return defaults != nullptr && reader.check_keys(*defaults, keys::kDefaults) ? defaults : nullptr;
}

/// In an order in which each part knows what it may name: parameters, environment, tasks, what tasks say of others.
void read(Complaints& complaints, DagSources& sources, Dag& dag, std::vector<DagTest>& tests) {
  const Node& root = *sources.root;
  yaml::Tree& tree = sources.trees.front();
  Reader reader(complaints);
  if (const Node* version = root.find("apiVersion"); version != nullptr && version->text.starts_with("argoproj.io/")) {
    complaints.error(root, "this is a file of Argo's; 'chappe import argo FILE' makes a DAG file of a Workflow");
    return;
  }
  if (!reader.check_keys(root, keys::kDag)) return;
  read_general(reader, root, dag);
  if (const Node* params = root.find("params")) dag.params = read_params(reader, *params);
  read_schedule(reader, root, dag);
  const TaskList list = read_task_ids(reader, root, dag);
  Names names(reader, dag);
  read_triggers(reader, names, root, dag);
  read_group(reader, names, root, dag);
  if (const Node* env = root.find("env")) read_env_into(reader, names, site::kDagEnv, *env, dag.env);
  TaskReader tasks(reader, names, tree, dag, read_defaults(reader, root));
  if (const Node* templates = root.find("templates")) tasks.know_templates(*templates);
  std::vector<const Node*> nodes;
  for (const Node* node : list.nodes) nodes.push_back(&tasks.with_template(*node));
  tasks.know_groups(nodes);
  if (const Node* image = root.find("image")) tasks.know_image(*image);
  if (const Node* secrets = root.find("secrets")) tasks.know_secrets(*secrets);
  for (std::uint32_t i = 0; i < nodes.size(); ++i) {
    list.lists[i] ? tasks.place_listing(i, *nodes[i]) : tasks.read(i, *nodes[i], i < list.inits);
  }
  tasks.finish_teardowns();
  tasks.finish_fan_outs();
  dag.index_tasks();
  move_service_edges(dag);
  join_handlers(list, dag);
  check_limit(reader, root, dag);
  check_services(complaints, dag, tasks.nodes(), root);
  check_references(complaints, dag, names, tasks);
  // What is said of tasks that did not load would mislead.
  if (const Node* outputs = root.find("outputs"); outputs != nullptr && !complaints.failed()) {
    read_run_outputs(reader, *outputs, dag);
  }
  if (const Node* written = root.find("tests"); written != nullptr && !complaints.failed()) {
    tests = read_tests(reader, dag, *written);
  }
}

void check_size(Complaints& complaints, const Dag& dag) {
  std::size_t edges = 0;
  for (const Task& task : dag.tasks) edges += task.depends_on.size();
  if (edges > kDependenciesMax) {
    complaints.error(yaml::Place{}, "more dependencies than a DAG may have (2,000,000)");
  }
}

}  // namespace

LoadedDag load_dag(std::string_view text, std::string_view file, const ReadInclude& read_include) {
  Complaints complaints(text, file);
  DagSources sources = read_sources(complaints, text, file, read_include);
  auto dag = std::make_shared<Dag>();
  std::vector<DagTest> tests;
  if (sources.root == nullptr || sources.root->is_null()) {
    if (!complaints.failed()) complaints.error(yaml::Place{}, "the file is empty; a DAG needs 'name' and 'tasks'");
  } else {
    read(complaints, sources, *dag, tests);
    check_size(complaints, *dag);
  }
  if (complaints.failed()) return {nullptr, complaints.take(), {}, std::move(sources.included)};
  dag->version = to_hex(sha256(canonical_json(*sources.root)));
  dag->source = sources.bundle();
  return {std::move(dag), complaints.take(), std::move(tests), std::move(sources.included)};
}

std::vector<DagPart> dag_parts(std::string_view text) {
  std::vector<DagPart> out;
  Complaints ignored(text, "");
  const DagSources sources = read_sources(ignored, text, "", {});
  const Node* root = sources.root;
  if (root == nullptr || !root->is_map()) return out;
  for (std::size_t i = 0; i < root->members(); ++i) {
    const Node& value = root->value(i);
    if (root->key(i).text != "tasks") {
      out.push_back({root->key(i).text, canonical_json(value)});
    } else if (value.is_map()) {
      for (std::size_t k = 0; k < value.members(); ++k) {
        out.push_back({"task " + value.key(k).text, canonical_json(value.value(k))});
      }
    } else {
      for (const Node* task : value.children) {
        const Node* id = task->find("id");
        if (id != nullptr) out.push_back({"task " + id->text, canonical_json(*task)});
      }
    }
  }
  return out;
}

std::string_view dag_schema() { return {::dag_schema, static_cast<std::size_t>(dag_schema_end - ::dag_schema)}; }

}  // namespace chappe
