/// \file
/// Which names an expression may use where it stands, checked before anything runs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dags/loader/reader.h"
#include "engine/expr/expression.h"
#include "engine/expr/types.h"
#include "engine/model/dag.h"

namespace chappe {

/// A place for expressions, and the namespaces that are known there. `run` is, nearly everywhere.
struct Site {
  std::string_view where;  ///< "in 'env'"
  bool params = true;
  bool env = true;
  bool run = true;
  bool tasks = true;
  bool instance = true;    ///< The item of a mapped task and its key.
  bool position = false;   ///< The item's number, from 0; then there is no key yet.
  bool event = false;      ///< What a trigger was told of.
  bool iteration = false;  ///< What an iteration of a loop left: `outputs`, and its number.
  bool secrets = false;    ///< Secret parameters: only where nothing is recorded or shown.
  bool state = false;      ///< Values that outlive runs.
  bool handed = false;     ///< What `secrets` of the task name: known to the worker alone.
  bool response = false;   ///< What a request was answered.
};

namespace site {
inline constexpr Site kDagEnv{
    .where = "in the DAG's 'env'", .env = false, .tasks = false, .instance = false, .secrets = true};
inline constexpr Site kEnv{.where = "in 'env'", .secrets = true, .state = true};
inline constexpr Site kCommand{.where = "in 'command'", .state = true};
inline constexpr Site kSidecar{.where = "in 'sidecars'", .state = true};
inline constexpr Site kRun{.where = "in 'run'", .params = false, .env = false, .tasks = false, .instance = false};
inline constexpr Site kWhen{.where = "in 'when'", .secrets = true};
inline constexpr Site kParams{.where = "in 'params' of a DAG that is run"};
inline constexpr Site kTrigger{.where = "in 'params' of a trigger",
                               .params = false,
                               .env = false,
                               .run = false,
                               .tasks = false,
                               .instance = false,
                               .event = true};
inline constexpr Site kUntil{.where = "in 'until'", .iteration = true, .secrets = true};
inline constexpr Site kHttp{.where = "in 'http'", .secrets = true, .state = true, .handed = true};
inline constexpr Site kSuccess{.where = "in 'success'",
                               .params = false,
                               .env = false,
                               .run = false,
                               .tasks = false,
                               .instance = false,
                               .response = true};
inline constexpr Site kCheck{.where = "in 'check'", .instance = false, .secrets = true};
inline constexpr Site kObject{.where = "in 's3'"};
inline constexpr Site kAsset{.where = "in 'asset'"};
inline constexpr Site kHash{.where = "in 'sha256'"};
inline constexpr Site kLineage{.where = "in 'lineage'"};
inline constexpr Site kWait{.where = "in 'wait'"};
inline constexpr Site kHuman{.where = "in 'human'"};
inline constexpr Site kKey{.where = "in 'key'", .env = false, .run = false, .tasks = false, .position = true};
inline constexpr Site kCacheKey{.where = "in 'key' of a cache"};
inline constexpr Site kLock{.where = "in 'locks'", .env = false, .tasks = false};
inline constexpr Site kGroup{.where = "in 'group'", .env = false, .tasks = false, .instance = false};
inline constexpr Site kRunOutputs{.where = "in the DAG's 'outputs'", .instance = false};
inline constexpr Site kTest{.where = "in 'conditions' of a test", .env = false, .run = false, .instance = false};
inline constexpr Site kForEach{.where = "in 'foreach'", .instance = false};
}  // namespace site

/// An expression names another task; checked when all tasks are known.
struct TaskMention {
  std::uint32_t task = 0;  ///< Whose expression it is.
  expr::Reference reference;
  const yaml::Node* node = nullptr;
  std::size_t offset = 0;  ///< Of the expression in the text of `node`.
};

/// Parses expressions and checks the names in them.
class Names {
 public:
  Names(Reader& reader, const Dag& dag) : reader_(reader), dag_(dag) {}

  /// All expressions from here on belong to this task. `foreach`: nullptr where it is not mapped.
  void enter_task(std::uint32_t task, const ForEach* foreach) {
    task_ = task;
    foreach_ = foreach;
    states_.clear();
  }
  /// Where expressions look at dates.
  const calendar::Zone& zone() const { return *dag_.zone; }
  /// What `state` holds in this task.
  void know_states(std::vector<std::string> names) { states_ = std::move(names); }

  /// Any scalar; nothing is "". nullopt after a complaint.
  std::optional<expr::Template> parse_template(const yaml::Node& node, const Site& site, std::string_view what);
  /// A condition, bare or as one whole `${{ }}`.
  std::optional<expr::Expression> parse_expression(const yaml::Node& node, const Site& site, std::string_view what);

  /// What was said of other tasks.
  const std::vector<TaskMention>& mentions() const { return mentions_; }
  /// True where the template names the instance that it is evaluated for.
  bool names_instance(const expr::Template& text) const;

 private:
  void check(const expr::Reference& reference, const yaml::Node& node, std::size_t offset, const Site& site);
  expr::Declarations declarations() const;
  void check_types(const expr::Expression& condition, const yaml::Node& node, std::size_t offset);
  std::string problem_of(const expr::Reference& reference, const Site& site) const;
  std::string problem_of_param(const expr::Reference& reference, const Site& site) const;
  std::string problem_of_run(const expr::Reference& reference) const;
  std::string problem_of_env(const expr::Reference& reference, const Site& site) const;
  std::string problem_of_hooked(const expr::Reference& reference, const Site& site) const;
  std::string problem_of_item(const expr::Reference& reference, const Site& site) const;
  std::string problem_of_state(const expr::Reference& reference, const Site& site) const;
  std::string problem_of_response(const expr::Reference& reference, const Site& site) const;
  std::string problem_of_unknown(const expr::Reference& reference) const;
  bool is_item(const std::string& root) const;

  Reader& reader_;
  const Dag& dag_;
  std::uint32_t task_ = 0;
  const ForEach* foreach_ = nullptr;
  std::vector<std::string> states_;
  std::vector<TaskMention> mentions_;
};

/// What the `run` namespace holds.
std::vector<std::string> run_names();

}  // namespace chappe
