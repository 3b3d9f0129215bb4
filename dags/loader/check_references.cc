#include "dags/loader/check_references.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "dags/loader/graph.h"
#include "engine/model/waits.h"

namespace chappe {
namespace {

using yaml::Node;

std::string path_of(const Dag& dag, const std::vector<std::uint32_t>& cycle) {
  constexpr std::size_t kShownMax = 10;
  std::string out;
  for (std::size_t i = 0; i < std::min(cycle.size(), kShownMax); ++i) out += dag.tasks[cycle[i]].id + " -> ";
  if (cycle.size() > kShownMax) out += fmt::format("... {} more -> ", cycle.size() - kShownMax);
  return out + dag.tasks[cycle[0]].id;
}

/// "; did you mean 'x'?", else "; it has a, b", else "; it has none".
std::string choices(const std::string& word, const std::vector<std::string>& names) {
  if (names.empty()) return "; it has none";
  const std::string near = Reader::suggestion(word, names);
  return near.empty() ? fmt::format("; it has {}", fmt::join(names, ", ")) : near;
}

/// True where the task can end well, for those who depend on it, without having left its outputs.
bool may_end_without_outputs(const Task& task) {
  if (task.allow_failure.always || !task.allow_failure.exit_codes.empty()) return true;
  return task.foreach && task.foreach->on_empty == ForEach::OnEmpty::kSucceed && task.foreach->items.empty();
}

/// What expressions say of tasks: is there such a thing?
class MentionCheck {
 public:
  MentionCheck(Complaints& complaints, const Dag& dag) : complaints_(complaints), dag_(dag) {}

  /// The task that is named, unless there is something to complain of.
  std::optional<std::uint32_t> target_of(const TaskMention& mention) {
    const auto& path = mention.reference.path;
    if (path.size() < 2) return complain(mention, "'tasks' needs a task: tasks.ID.outputs.NAME or tasks.ID.status");
    const auto target = dag_.find(path[1]);
    if (!target) return complain(mention, fmt::format("there is no task '{}'{}", path[1], near_task(path[1])));
    const Task& task = dag_.tasks[*target];
    if (path.size() < 3 || (path[2] != "outputs" && path[2] != "status")) {
      return complain(mention,
                      fmt::format("of a task there are 'outputs' and 'status': tasks.{}.outputs.NAME", task.id));
    }
    if (path[2] == "status" && path.size() > 3) return complain(mention, "'status' is a text and has no members");
    const auto names = names_of_values(task);
    if (path[2] == "outputs" && path.size() < 4) {
      return complain(mention, fmt::format("name one of the outputs of '{}'{}", task.id, choices("", names)));
    }
    if (path[2] == "outputs" && std::find(names.begin(), names.end(), path[3]) == names.end()) {
      return complain(mention,
                      fmt::format("task '{}' has no output value '{}'{}", task.id, path[3], choices(path[3], names)));
    }
    return target;
  }

 private:
  std::nullopt_t complain(const TaskMention& mention, std::string message) {
    complaints_.error(*mention.node, mention.offset + mention.reference.offset, std::move(message));
    return std::nullopt;
  }

  std::string near_task(const std::string& id) {
    constexpr std::uint32_t kSuggestionsMax = 20;
    if (suggestions_++ >= kSuggestionsMax) return "";
    std::vector<std::string> ids;
    for (const Task& task : dag_.tasks) ids.push_back(task.id);
    return Reader::suggestion(id, ids);
  }

  Complaints& complaints_;
  const Dag& dag_;
  std::uint32_t suggestions_ = 0;
};

class ReferenceCheck {
 public:
  ReferenceCheck(Complaints& complaints, const Dag& dag, const Names& names, const TaskReader& tasks)
      : complaints_(complaints), dag_(dag), names_(names), tasks_(tasks), mentions_(complaints, dag) {}

  void run() {
    for (const SourceMention& source : tasks_.sources()) check_source(source);
    const auto cycles = find_cycles(dag_);
    for (const auto& cycle : cycles) {
      complaints_.error(*tasks_.nodes()[cycle[0]],
                        fmt::format("tasks wait for each other in a circle: {}", path_of(dag_, cycle)));
    }
    for (const TaskMention& mention : names_.mentions()) check_mention(mention);
    if (!cycles.empty()) return;  // Nothing more can be said of who stands upstream of whom.
    const auto order = topological_order(dag_);
    check_upstream(order);
    check_joins(order);
  }

 private:
  // ---- from: TASK.ARTIFACT ----

  void check_source(const SourceMention& source) {
    const Task& from = dag_.tasks[source.from];
    const OutputArtifact* artifact = find_artifact(from, source.artifact);
    if (artifact == nullptr && is_value(source) && !source.data) return check_select(source, from);
    if (artifact == nullptr) {
      std::vector<std::string> names;
      if (from.work != nullptr) {
        for (const OutputArtifact& output : from.work->outputs) names.push_back(output.name);
      }
      if (!source.promote && !source.data) std::ranges::copy(names_of_values(from), std::back_inserter(names));
      complaints_.error(*source.node, fmt::format("task '{}' has no output artifact{} '{}'{}", from.id,
                                                  source.promote || source.data ? "" : " or value", source.artifact,
                                                  choices(source.artifact, names)));
      return;
    }
    check_select(source, from);
    if (source.data) check_data_source(source, from, *artifact);
    if (!source.promote && !source.optional && !artifact->required) {
      complaints_.error(*source.node, fmt::format("'{}.{}' may be missing ('required: false'); add 'optional: true'",
                                                  from.id, source.artifact));
    }
    if (source.promote && artifact->asset.text().empty()) {
      complaints_.error(*source.node, fmt::format("'{}.{}' is no asset: an alias needs an output with 'asset'", from.id,
                                                  source.artifact));
    }
    if (source.promote && !artifact->asset_name.empty() && artifact->asset_name != source.model) {
      complaints_.error(*source.node, fmt::format("'{}.{}' is a version of '{}', not of the model '{}'", from.id,
                                                  source.artifact, artifact->asset_name, source.model));
    }
  }

  void check_data_source(const SourceMention& source, const Task& from, const OutputArtifact& artifact) {
    if (from.foreach && !dag_.in_step(source.task, source.from)) {
      complaints_.error(*source.node, fmt::format("'{}' leaves a file for each item, and a check measures one: let a "
                                                  "task bring them together",
                                                  from.id));
    }
    if (!source.formatted && data_format_of(artifact.path) == DataFormat::kByName) {
      complaints_.error(*source.node, fmt::format("the name '{}' does not say what format it has: add 'format: csv', "
                                                  "csv2, tsv or json_lines",
                                                  artifact.path));
    }
  }

  /// It is read as a file of JSON.
  bool is_value(const SourceMention& source) const {
    const auto values = names_of_values(dag_.tasks[source.from]);
    return !source.promote && std::find(values.begin(), values.end(), source.artifact) != values.end();
  }

  void check_select(const SourceMention& source, const Task& from) {
    if (source.promote && from.foreach && !source.select && source.select_node == nullptr) {
      complaints_.error(*source.node, fmt::format("'{}' has an instance for each item; say which one with 'select: "
                                                  "{{max: METRIC}}'",
                                                  from.id));
    }
    if (!source.select) return;
    if (dag_.in_step(source.task, source.from)) {
      complaints_.error(*source.select_node, fmt::format("each item of '{}' reads what its own of '{}' left: there is "
                                                         "nothing to select",
                                                         dag_.tasks[source.task].id, from.id));
    }
    const auto names = names_of_values(from);
    if (std::find(names.begin(), names.end(), source.select->output) != names.end()) return;
    complaints_.error(*source.select_node, fmt::format("task '{}' has no value or metric '{}'{}", from.id,
                                                       source.select->output, choices(source.select->output, names)));
  }

  // ---- tasks.ID.outputs.NAME ----

  void complain(const TaskMention& mention, std::string message) {
    complaints_.error(*mention.node, mention.offset + mention.reference.offset, std::move(message));
  }

  void check_mention(const TaskMention& mention) {
    const auto target = mentions_.target_of(mention);
    if (!target) return;
    if (*target == mention.task) return complain(mention, "a task cannot know its own outputs and status");
    questions_.push_back({.task = mention.task, .ancestor = *target});
    asked_by_.push_back(&mention);
  }

  // ---- Upstream, and there? ----

  void check_upstream(const std::vector<std::uint32_t>& order) {
    const std::size_t mentions = questions_.size();
    for (const SourceMention& source : tasks_.sources()) {
      questions_.push_back({.task = source.task, .ancestor = source.from});
    }
    answer(dag_, order, questions_);
    for (std::size_t i = 0; i < mentions; ++i) check_there(*asked_by_[i], questions_[i]);
    for (std::size_t i = mentions; i < questions_.size(); ++i) {
      check_there(tasks_.sources()[i - mentions], questions_[i]);
    }
  }

  bool is_certain(const UpstreamQuestion& question) const {
    const auto& setups = dag_.tasks[question.task].teardown_of;
    const bool own_setup = setups.size() == 1 && setups[0] == question.ancestor;
    return (question.certain || own_setup) && !may_end_without_outputs(dag_.tasks[question.ancestor]);
  }

  bool is_consumer(const UpstreamQuestion& question) const {
    const auto& edges = dag_.tasks[question.task].depends_on;
    return std::any_of(edges.begin(), edges.end(), [&](const Dependency& edge) {
      return edge.task == question.ancestor && dag_.consumes(question.task, edge.task);
    });
  }

  void check_there(const TaskMention& mention, const UpstreamQuestion& question) {
    const std::string& ancestor = dag_.tasks[question.ancestor].id;
    const std::string& task = dag_.tasks[question.task].id;
    const bool awaited = question.upstream || (dag_.is_handler(question.task) && !dag_.is_handler(question.ancestor));
    const bool outputs = mention.reference.path[2] == "outputs";
    if (awaited && outputs && dag_.tasks[question.ancestor].is_service() && !is_consumer(question)) {
      complain(mention, fmt::format("the service '{0}' may be stopped when '{1}' runs: add '{0}' to its depends_on",
                                    ancestor, task));
    } else if (!awaited) {
      complain(mention, fmt::format("'{0}' is not upstream of '{1}': add '{0}' to its depends_on", ancestor, task));
    } else if (outputs && !mention.reference.guarded && !is_certain(question)) {
      complain(mention, fmt::format("'{1}' may start when '{0}' has left no outputs; write '{2} ?? ...' for that case",
                                    ancestor, task, fmt::join(mention.reference.path, ".")));
    }
  }

  void check_there(const SourceMention& source, const UpstreamQuestion& question) {
    const bool known = find_artifact(dag_.tasks[source.from], source.artifact) != nullptr || is_value(source);
    if (source.optional || is_certain(question) || !known) return;
    complaints_.error(*source.node,
                      fmt::format("'{1}' may start when '{0}' has left no outputs; {2}", dag_.tasks[source.from].id,
                                  dag_.tasks[source.task].id,
                                  source.promote ? "it needs 'trigger_rule: all_success'" : "add 'optional: true'"));
  }

  // ---- Joins ----

  /// The tasks with a `when` that a skip of the dependencies of `at` comes from; a few, in topological order.
  std::vector<std::uint32_t> branches_above(std::uint32_t at, const std::vector<std::uint32_t>& branch,
                                            const std::vector<std::uint32_t>& rank) const {
    constexpr std::size_t kBranchesMax = 8;
    std::vector<std::uint32_t> out;
    for (const Dependency& dependency : dag_.tasks[at].depends_on) {
      const std::uint32_t from = branch[dependency.task];
      if (from == kNoBranch || std::find(out.begin(), out.end(), from) != out.end()) continue;
      out.push_back(from);
      if (out.size() == kBranchesMax) break;
    }
    std::sort(out.begin(), out.end(), [&](auto a, auto b) { return rank[a] < rank[b]; });
    return out;
  }

  /// With the default rule a task below two branches is skipped as soon as one of them is. Branches that stand one
  /// below the other are a chain of gates, and no surprise.
  void check_joins(const std::vector<std::uint32_t>& order) {
    std::vector<std::uint32_t> rank(dag_.tasks.size()), branch(dag_.tasks.size(), kNoBranch);
    std::vector<std::pair<std::uint32_t, UpstreamQuestion>> suspects;
    for (std::uint32_t i = 0; i < order.size(); ++i) rank[order[i]] = i;
    for (const std::uint32_t at : order) {
      const Task& task = dag_.tasks[at];
      const bool cascades = task.trigger_rule == TriggerRule::kAllSuccess;
      const auto above = cascades ? branches_above(at, branch, rank) : std::vector<std::uint32_t>();
      branch[at] = !task.when.empty() ? at : above.empty() ? kNoBranch : above.back();
      for (std::size_t i = 0; i + 1 < above.size() && !tasks_.rule_written()[at]; ++i) {
        suspects.emplace_back(at, UpstreamQuestion{.task = above[i + 1], .ancestor = above[i]});
      }
    }
    std::vector<UpstreamQuestion> questions;
    for (const auto& [join, question] : suspects) questions.push_back(question);
    answer(dag_, order, questions);
    for (std::size_t i = 0; i < questions.size(); ++i) {
      if (!questions[i].upstream) warn_of_join(suspects[i].first, questions[i].ancestor, questions[i].task);
    }
  }

  void warn_of_join(std::uint32_t join, std::uint32_t a, std::uint32_t b) {
    complaints_.warn(*tasks_.nodes()[join],
                     fmt::format("'{}' is skipped as soon as '{}' or '{}' is; if one of them is enough, write "
                                 "'trigger_rule: none_failed_min_one_success', else 'trigger_rule: all_success'",
                                 dag_.tasks[join].id, dag_.tasks[a].id, dag_.tasks[b].id));
  }

  static constexpr std::uint32_t kNoBranch = UINT32_MAX;
  Complaints& complaints_;
  const Dag& dag_;
  const Names& names_;
  const TaskReader& tasks_;
  std::vector<UpstreamQuestion> questions_;
  std::vector<const TaskMention*> asked_by_;
  MentionCheck mentions_;
};

}  // namespace

std::vector<std::string> names_of_values(const Task& task) {
  std::vector<std::string> out;
  if (task.wait != nullptr) return output_names(*task.wait);
  if (task.human != nullptr) return output_names(*task.human);
  if (task.work == nullptr) return out;
  for (const OutputValue& value : task.work->values) out.push_back(value.name);
  return out;
}

const OutputArtifact* find_artifact(const Task& task, const std::string& name) {
  if (task.work == nullptr) return nullptr;
  for (const OutputArtifact& output : task.work->outputs) {
    if (output.name == name) return &output;
  }
  return nullptr;
}

void check_mentions(Complaints& complaints, const Dag& dag, const Names& names) {
  MentionCheck check(complaints, dag);
  for (const TaskMention& mention : names.mentions()) (void)check.target_of(mention);
}

void check_references(Complaints& complaints, const Dag& dag, const Names& names, const TaskReader& tasks) {
  ReferenceCheck(complaints, dag, names, tasks).run();
}

}  // namespace chappe
