// What all runs of a DAG have in common with others, and leave to them: their group, and their outputs.
#include <fmt/format.h>

#include <algorithm>

#include "dags/loader/check_references.h"
#include "dags/loader/given_params.h"
#include "dags/loader/keys.h"
#include "dags/loader/read_dag.h"
#include "engine/base/text.h"

namespace chappe {
namespace {

using yaml::Node;

/// Reads what a run publishes.
class RunOutputsReader {
 public:
  RunOutputsReader(Reader& reader, Dag& dag) : reader_(reader), dag_(dag), names_(reader, dag) {
    names_.enter_task(static_cast<std::uint32_t>(dag.tasks.size()), nullptr);  // None of them says it.
  }

  void read(const Node& node) {
    if (!reader_.check_keys(node, keys::kRunOutputs)) return;
    if (const Node* values = node.find("values")) {
      dag_.outputs.values = read_given_params(reader_, names_, site::kRunOutputs, *values, "values");
    }
    if (const Node* artifacts = node.find("artifacts")) read_artifacts(*artifacts);
    const RunOutputs& outputs = dag_.outputs;
    if (outputs.values.size() + outputs.artifacts.size() > kRunOutputsMax) {
      complain(node, fmt::format("a run publishes at most {} values and artifacts", kRunOutputsMax));
    }
    check_mentions(reader_.complaints(), dag_, names_);
  }

 private:
  void complain(const Node& node, std::string message) { reader_.complaints().error(node, std::move(message)); }

  void read_artifacts(const Node& node) {
    if (!node.is_map()) {
      return complain(node,
                      fmt::format("'artifacts' is a map such as {{model: train.model}}, not {}", Reader::shown(node)));
    }
    for (std::size_t i = 0; i < node.members(); ++i) {
      const auto name = reader_.identifier(node.key(i), "artifacts");
      if (!name) continue;
      const auto& values = dag_.outputs.values;
      if (std::any_of(values.begin(), values.end(), [&](const auto& value) { return value.first == *name; })) {
        complain(node.key(i), fmt::format("there is a value '{}' already", *name));
      }
      read_artifact(*name, node.value(i));
    }
  }

  /// TASK.ARTIFACT, or {from: TASK.ARTIFACT, select: {max: METRIC}}.
  void read_artifact(const std::string& name, const Node& node) {
    RunOutputs::Artifact out{.name = name};
    const Node* from = &node;
    const Node* select = nullptr;
    if (!node.is_scalar()) {
      if (!reader_.check_keys(node, keys::kRunArtifact)) return;
      from = node.find("from");
      if (from == nullptr) return complain(node, "an artifact needs 'from: TASK.ARTIFACT'");
      select = node.find("select");
      if (select != nullptr) out.select = read_select(reader_, *select);
    }
    if (!read_source(*from, out)) return;
    check_select(*from, select, out);
    dag_.outputs.artifacts.push_back(std::move(out));
  }

  bool read_source(const Node& node, RunOutputs::Artifact& out) {
    const std::string text = node.is_scalar() ? node.text : "";
    const std::size_t dot = std::min(text.find('.'), text.size());
    const std::string id = text.substr(0, dot);
    if (!is_identifier(id) || dot == text.size() || !is_identifier(text.substr(dot + 1))) {
      complain(node, fmt::format("an artifact is TASK.ARTIFACT, such as train.model, not {}", Reader::shown(node)));
      return false;
    }
    out.artifact = text.substr(dot + 1);
    const auto task = dag_.find(id);
    if (!task) {
      std::vector<std::string> ids;
      for (const Task& each : dag_.tasks) ids.push_back(each.id);
      complain(node, fmt::format("there is no task '{}'{}", id, Reader::suggestion(id, ids)));
      return false;
    }
    out.task = *task;
    if (chappe::find_artifact(dag_.tasks[*task], out.artifact) != nullptr) return true;
    std::vector<std::string> names;
    if (dag_.tasks[*task].work != nullptr) {
      for (const OutputArtifact& artifact : dag_.tasks[*task].work->outputs) names.push_back(artifact.name);
    }
    const std::string has = names.empty() ? "; it has none" : fmt::format("; it has {}", fmt::join(names, ", "));
    complain(node, fmt::format("task '{}' has no output artifact '{}'{}", id, out.artifact, has));
    return false;
  }

  void check_select(const Node& from, const Node* select, const RunOutputs::Artifact& out) {
    const Task& task = dag_.tasks[out.task];
    if (task.foreach && select == nullptr) {
      return complain(from, fmt::format("'{0}' has an instance for each item; say which one: {{from: {0}.{1}, select: "
                                        "{{max: METRIC}}}}",
                                        task.id, out.artifact));
    }
    if (!out.select) return;
    const auto names = names_of_values(task);
    if (std::find(names.begin(), names.end(), out.select->output) != names.end()) return;
    complain(*select, fmt::format("task '{}' has no value or metric '{}'{}", task.id, out.select->output,
                                  Reader::suggestion(out.select->output, names)));
  }

  Reader& reader_;
  Dag& dag_;
  Names names_;
};

}  // namespace

void read_group(Reader& reader, Names& names, const Node& root, Dag& dag) {
  const Node* concurrency = root.find("concurrency");
  const Node* group = concurrency != nullptr && concurrency->is_map() ? concurrency->find("group") : nullptr;
  if (group == nullptr) return;
  auto text = names.parse_template(*group, site::kGroup, "group");
  if (!text) return;
  dag.group = std::move(*text);
  Complaints& complaints = reader.complaints();
  if (dag.group.text().empty()) {
    complaints.error(*group, "'group' needs a name, such as deploy_${{ params.target }}");
  } else if (dag.group.is_literal() && dag.group.literal_text().size() > kGroupMax) {
    complaints.error(*group, fmt::format("the name of a group has at most {} bytes", kGroupMax));
  }
}

std::optional<Select> read_select(Reader& reader, const Node& node) {
  if (!reader.check_keys(node, keys::kSelect)) return std::nullopt;
  if (node.members() != 1) {
    reader.complaints().error(node, "'select' is either {max: METRIC} or {min: METRIC}");
    return std::nullopt;
  }
  Select out;
  out.by = node.key(0).text == "min" ? Select::By::kMin : Select::By::kMax;
  auto output = reader.identifier(node.value(0), node.key(0).text);
  if (!output) return std::nullopt;
  out.output = std::move(*output);
  return out;
}

void read_run_outputs(Reader& reader, const Node& node, Dag& dag) { RunOutputsReader(reader, dag).read(node); }

}  // namespace chappe
