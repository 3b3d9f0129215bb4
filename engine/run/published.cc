#include "engine/run/published.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/base/mutant.h"

namespace chappe {
namespace {

constexpr std::size_t kReasonMax = 300;  ///< Bytes of why an output is absent.

Value reason(std::string text) {
  if (text.size() > kReasonMax) text = text.substr(0, kReasonMax - 3) + "...";
  return text;
}

Result<Value> evaluate(const LiveRun& run, const GivenParam& value) {
  const bool as_it_stands = value.expression.text().empty();
  return as_it_stands ? Result<Value>(value.value) : value.expression.evaluate(RunScope(run, std::nullopt));
}

Result<const ArtifactRow*> find_artifact(const LiveRun& run, const RunOutputs::Artifact& output) {
  const auto chosen = select_instances(run, output.task, output.select);
  if (!chosen) return fail(chosen.error());
  const ArtifactRow* found = chosen->empty() ? nullptr : output_artifact(run, chosen->front(), output.artifact);
  if (found != nullptr) return found;
  return fail(ErrorCode::kNotFound, fmt::format("{} left no {}", run.task(output.task).id, output.artifact));
}

Value told(const LiveRun& run, const ArtifactRow& row) {
  const OutputObject& object = row.object;
  return ValueMap{{"task", run.instances->name_of(row.key.index)},
                  {"artifact", object.name},
                  {"attempt", to_text(row.attempt)},
                  {"object", object.key},
                  {"size_bytes", static_cast<std::int64_t>(object.size)},
                  {"sha256", object.sha256},
                  {"packed", object.packed},
                  {"asset", object.asset_uri.empty() ? Value() : Value(object.asset_uri)},
                  {"asset_version", row.asset ? Value(static_cast<std::int64_t>(row.asset.value)) : Value()}};
}

std::vector<std::string> names_of(const RunOutputs& outputs) {
  std::vector<std::string> names;
  for (const auto& [name, value] : outputs.values) names.push_back(name);
  for (const RunOutputs::Artifact& artifact : outputs.artifacts) names.push_back(artifact.name);
  return names;
}

}  // namespace

Value published_by(const LiveRun& run) {
  const RunOutputs& outputs = run.dag->outputs;
  if (outputs.empty() || CHAPPE_MUTANT(kForgetsRunOutputs)) return {};
  ValueMap values;
  ValueMap artifacts;
  ValueMap absent;
  std::size_t bytes = 0;
  for (const auto& [name, output] : outputs.values) {
    auto value = evaluate(run, output);
    const std::size_t more = value ? to_json(*value).size() : 0;
    if (!value) {
      absent.emplace_back(name, reason(value.error().message));
    } else if (bytes + more > kRunOutputBytesMax) {
      absent.emplace_back(name, reason(fmt::format("it has {} bytes, and all values that a run publishes have at most "
                                                   "{} KiB together: make it an artifact",
                                                   more, kRunOutputBytesMax >> 10)));
    } else {
      bytes += more;
      values.emplace_back(name, *std::move(value));
    }
  }
  for (const RunOutputs::Artifact& output : outputs.artifacts) {
    const auto found = find_artifact(run, output);
    if (found) {
      artifacts.emplace_back(output.name, told(run, **found));
    } else {
      absent.emplace_back(output.name, reason(found.error().message));
    }
  }
  return ValueMap{{"values", std::move(values)}, {"artifacts", std::move(artifacts)}, {"absent", std::move(absent)}};
}

const Value* published_value(const RunRow& row, std::string_view name) {
  const Value* values = row.outputs.find("values");
  return values == nullptr ? nullptr : values->find(name);
}

Result<const ArtifactRow*> published_artifact(const LiveRun& run, std::string_view name) {
  for (const RunOutputs::Artifact& output : run.dag->outputs.artifacts) {
    if (output.name == name) return find_artifact(run, output);
  }
  return fail(ErrorCode::kNotFound, why_not_published(run, name));
}

std::string why_not_published(const LiveRun& run, std::string_view name) {
  const Value* absent = run.row.outputs.find("absent");
  if (const Value* why = absent == nullptr ? nullptr : absent->find(name)) {
    return fmt::format("its output '{}' is absent: {}", name, to_text(*why));
  }
  const std::vector<std::string> names = names_of(run.dag->outputs);
  if (names.empty()) return fmt::format("it publishes no '{}': its DAG has no 'outputs'", name);
  return fmt::format("it publishes no such '{}'; it has {}", name, fmt::join(names, ", "));
}

}  // namespace chappe
