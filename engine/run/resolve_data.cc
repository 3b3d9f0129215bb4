#include "engine/run/resolve_data.h"

#include <fmt/format.h>

#include <algorithm>

namespace chappe {
namespace {

/// The name that tells the format: of the file that the task wrote, or of the asset without its alias.
Result<std::string> name_of_source(const LiveRun& run, const expr::Scope& scope, const InputArtifact& input) {
  if (!input.from_task) {
    auto asset = input.asset.expand(scope);
    if (asset) asset->resize(std::min(asset->find('@'), asset->size()));
    return asset;
  }
  const Task& from = run.task(*input.from_task);
  if (from.work == nullptr) return "";
  for (const OutputArtifact& output : from.work->outputs) {
    if (output.name == input.from_artifact) return output.path;
  }
  return "";
}

}  // namespace

Result<DataCheck> resolve_data(const LiveRun& run, const expr::Scope& scope, const WorkSpec& spec) {
  DataCheck out = *spec.check;
  const auto tell = [&](std::uint32_t input, DataFormat& format) -> Result<void> {
    if (format != DataFormat::kByName) return {};
    const auto name = name_of_source(run, scope, spec.inputs[input]);
    if (!name) return fail(name.error());
    format = data_format_of(*name);
    if (format != DataFormat::kByName) return {};
    return fail(
        ErrorCode::kInvalidInput,
        fmt::format("the name of {} does not say what format it has; write 'format: csv', csv2, tsv or json_lines",
                    out.sources[input]));
  };
  for (DataCheck::Data& one : out.data) {
    if (auto told = tell(one.input, one.expected.format); !told) return fail(std::move(told.error()));
  }
  for (DataCheck::Drift& one : out.drift) {
    if (auto told = tell(one.current, one.expected.current_format); !told) return fail(std::move(told.error()));
    if (auto told = tell(one.baseline, one.expected.baseline_format); !told) return fail(std::move(told.error()));
  }
  return out;
}

}  // namespace chappe
