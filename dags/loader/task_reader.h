/// \file
/// Reads the tasks of a DAG one by one. What one task says of another is checked later, in check_references.h.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "dags/loader/names.h"
#include "dags/loader/reader.h"
#include "engine/model/dag.h"
#include "engine/model/waits.h"

namespace chappe {

/// Equal specs become one object. Cost: O(spec) each, by hash.
class WorkSpecs {
 public:
  std::shared_ptr<const WorkSpec> share(WorkSpec spec);

 private:
  std::unordered_multimap<std::size_t, std::shared_ptr<const WorkSpec>> by_hash_;
};

/// "from: TASK.ARTIFACT" of an input or of a promotion.
struct SourceMention {
  std::uint32_t task = 0;  ///< Who says it.
  std::uint32_t from = 0;
  std::string artifact;
  std::optional<Select> select;
  bool optional = false;
  bool promote = false;
  bool data = false;       ///< It is measured: a file of data, and no value.
  bool formatted = false;  ///< What format that has is said.
  std::string model;       ///< That is promoted.
  const yaml::Node* node = nullptr;
  const yaml::Node* select_node = nullptr;
};

class TaskReader {
 public:
  /// `dag`: its params and env are read, its tasks have their ids and are indexed. `defaults`: nullptr or a map.
  TaskReader(Reader& reader, Names& names, yaml::Tree& tree, Dag& dag, const yaml::Node* defaults);

  /// What `uses` may name. Before all else.
  void know_templates(const yaml::Node& templates);
  /// The task with the keys of the template that it uses.
  const yaml::Node& with_template(const yaml::Node& node);
  /// What `depends_on` may name besides tasks. Before read().
  void know_groups(const std::vector<const yaml::Node*>& tasks);
  /// What tasks run in that say nothing else. Before read().
  void know_image(const yaml::Node& image);
  /// What all scripts and commands are handed. Before read().
  void know_secrets(const yaml::Node& secrets) { dag_secrets_ = &secrets; }
  /// After all tasks were read.
  void finish_teardowns();
  /// After finish_teardowns().
  void finish_fan_outs();

  /// Fills dag.tasks[index] from `node`. `init`: it stands in `handlers`, as do those that have a Task::handler.
  void read(std::uint32_t index, const yaml::Node& node, bool init);

  /// dag.tasks[index] lists what the next one fans out over, which fills it when it is read.
  void place_listing(std::uint32_t index, const yaml::Node& node);

  const std::vector<SourceMention>& sources() const { return sources_; }
  /// By task: the place to complain of it.
  const std::vector<const yaml::Node*>& nodes() const { return nodes_; }
  /// By task: `trigger_rule` was written down.
  const std::vector<bool>& rule_written() const { return rule_written_; }

 private:
  enum Kind : unsigned {
    kScript = 1,
    kCommand = 2,
    kNoop = 4,
    kCheck = 8,
    kPromote = 16,
    kWait = 32,
    kHuman = 64,
    kDagRun = 128,
    kHttp = 256,
    kDataCheck = 512  ///< A check that a worker measures.
  };
  struct KeyUse;
  static const KeyUse kKeyUses[];
  static bool applies(std::string_view key, Kind kind);

  // What a task is, and where its settings come from.
  /// `spelled`: all keys are known, so that a missing one is no slip of the finger that was complained of.
  std::optional<Kind> kind_of(const yaml::Node& node, bool spelled);
  const yaml::Node& with_retry_limit(const yaml::Node& node);
  const yaml::Node& with_defaults(const yaml::Node& node, Kind kind);
  const yaml::Node& merged(const yaml::Node& over, const yaml::Node& base);

  // Groups of keys.
  void check_handler(const yaml::Node& node, std::string_view what);
  void check_hook(const yaml::Node& node);
  void attach_hook(Task& task, bool written);
  void fan_out_hook(Task& task);
  void attach_listing(Task& task, const yaml::Node& listed);
  void read_general(Task& task, const yaml::Node& node);
  void read_policies(Task& task, const yaml::Node& node);
  void read_gates(Task& task, const yaml::Node& node);
  void read_lock(Task& task, const yaml::Node& node);
  WorkSpec read_work(Task& task, const yaml::Node& node, Kind kind);

  // Dependencies.
  void read_depends_on(Task& task, const yaml::Node& node);
  void read_dependency(Task& task, const yaml::Node& node);
  bool depend_on_group(Task& task, const yaml::Node& node, const Dependency& like);
  void read_teardown(Task& task, const yaml::Node& node);
  void find_leader(std::uint32_t at);
  void depend_on(Task& task, Dependency dependency, const yaml::Node* written);
  std::optional<std::uint32_t> find_task(const yaml::Node& node, std::size_t offset, const std::string& id);

  // Work.
  void read_env(WorkSpec& work, const yaml::Node& node);
  void read_lineage(Task& task, const yaml::Node& node);
  void read_service(const Task& task, WorkSpec& work, const yaml::Node& all, const yaml::Node& node);
  void read_readiness(ServiceSpec& service, const yaml::Node& node);
  void read_http(WorkSpec& work, const yaml::Node& node);
  void read_http_headers(const WorkSpec& work, HttpSpec& http, const yaml::Node& node);
  void read_http_body(const WorkSpec& work, HttpSpec& http, const yaml::Node& node);
  void leave_answer(WorkSpec& work, const yaml::Node& node);
  void read_command(WorkSpec& work, const yaml::Node& command, const yaml::Node* args);
  void read_container(Task& task, WorkSpec& work, const yaml::Node& node);
  void read_sidecars(const Task& task, WorkSpec& work, const yaml::Node& node);
  void read_sidecar(const Task& task, WorkSpec& work, const yaml::Node& node);
  void read_sidecar_texts(SidecarSpec& sidecar, const yaml::Node& node);
  void read_sidecar_readiness(SidecarSpec& sidecar, const yaml::Node& node);
  expr::Template read_image(const yaml::Node& node);
  void read_secrets(WorkSpec& work);
  void read_secrets_into(std::vector<SecretRef>& secrets, const yaml::Node& node);
  void read_inputs(Task& task, WorkSpec& work, const yaml::Node& node);
  void read_input(Task& task, WorkSpec& work, const yaml::Node& node);
  void read_outputs(Task& task, WorkSpec& work, const yaml::Node& node);
  void read_object(InputArtifact& input, const yaml::Node& node);
  void read_form(InputArtifact& input, const yaml::Node& node);
  void read_output(Task& task, WorkSpec& work, const yaml::Node& node);
  void read_hash(OutputArtifact& output, const yaml::Node& node);
  void read_schema(OutputArtifact& output, const yaml::Node& node);
  void check_asset_source(const expr::Template& asset, const yaml::Node& node);
  void read_asset(const Task& task, OutputArtifact& output, const yaml::Node& node);
  void read_asset_uri(const Task& task, OutputArtifact& output, const yaml::Node& node);
  void read_states(WorkSpec& work, const yaml::Node& node);
  void read_state(StateUse& use, const yaml::Node& node);
  void check_states(const Task& task, const WorkSpec& work, const yaml::Node& node);
  void read_values(WorkSpec& work, const yaml::Node& node, bool metrics);
  void read_value(WorkSpec& work, const std::string& name, const yaml::Node& node, bool metric);
  void check_unique(const WorkSpec& work, const yaml::Node& node);
  /// Reads "TASK.ARTIFACT", notes it, and makes the task depend on TASK.
  std::optional<SourceMention> read_source(Task& task, const yaml::Node& node);

  // Waits.
  void read_wait(Task& task, const yaml::Node& node);
  void read_wait_target(WaitSpec& spec, const yaml::Node& node, std::string_view key);
  void read_http_target(WaitSpec& spec, const yaml::Node& node);
  void read_human(Task& task, const yaml::Node& node);
  void read_patience(Patience& patience, const yaml::Node& node, bool has_last);

  // Decisions.
  void read_check(Task& task, const yaml::Node& node);
  static bool is_about_data(const yaml::Node& check);
  struct DataUse {
    bool formatted = false;  ///< What format it has is said.
    bool optional = false;
  };
  void read_data_check(Task& task, WorkSpec& work, const yaml::Node& node);
  void read_data(Task& task, WorkSpec& work, DataCheck& check, const yaml::Node& node);
  void read_drift(Task& task, WorkSpec& work, DataCheck& check, const yaml::Node& node);
  std::optional<std::uint32_t> data_source(Task& task, WorkSpec& work, DataCheck& check, const yaml::Node& node,
                                           DataUse use);
  void read_condition(Task& task, const yaml::Node& node);
  void read_loop(Task& task, const WorkSpec& work, const yaml::Node& node);
  void check_loop_bounds(const Task& task, const yaml::Node& node);
  void read_cache(Task& task, const WorkSpec& work, const yaml::Node& node, bool written, bool handles);
  void read_promote(Task& task, const yaml::Node& node);

  // Runs of other DAGs.
  WorkSpec read_subdag(Task& task, const yaml::Node& node);
  void read_subdag_outputs(SubDagSpec& out, WorkSpec& work, const yaml::Node& node);
  void read_subdag_artifacts(SubDagSpec& out, WorkSpec& work, const yaml::Node& node);

  Reader& reader_;
  Complaints& complaints_;
  Names& names_;
  yaml::Tree& tree_;
  Dag& dag_;
  const yaml::Node* defaults_;
  const yaml::Node* dag_image_ = nullptr;
  const yaml::Node* dag_secrets_ = nullptr;
  std::uint32_t index_ = 0;                    ///< Of the task that is being read.
  std::vector<std::uint32_t> depended_on_by_;  ///< By task: 1 + the last task that was seen to depend on it.
  std::vector<const yaml::Node*> nodes_;
  std::vector<bool> rule_written_;
  std::map<std::string, const yaml::Node*, std::less<>> templates_;
  std::map<std::string, std::vector<std::uint32_t>, std::less<>> groups_;  ///< Tasks by group.
  std::deque<bool> is_setup_;                                              ///< By task: `setup: true`.
  std::vector<std::uint32_t> waits_for_all_;                               ///< Teardowns without `depends_on`.
  std::vector<SourceMention> sources_;
  std::vector<std::string> task_ids_;  ///< For suggestions; made when it is first needed.
  std::uint32_t suggestions_ = 0;
  WorkSpecs work_specs_;
};

/// Reads the `env` of a DAG or a task into `out`; what is there already is replaced.
void read_env_into(Reader& reader, Names& names, const Site& site, const yaml::Node& node,
                   std::vector<std::pair<std::string, expr::Template>>& out);
/// `known`: those of its keys that are said there.
ContainerOptions read_container_options(Reader& reader, const yaml::Node& node, const KeySet& known);

}  // namespace chappe
