#include "engine/run/datasets.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/base/mutant.h"

namespace chappe {
namespace {

bool is_uri(std::string_view text) {
  const auto odd = [](char c) { return static_cast<unsigned char>(c) <= 0x20 || c == 0x7f; };
  return !text.empty() && text.size() <= kDatasetUriMax && std::none_of(text.begin(), text.end(), odd);
}

}  // namespace

Result<std::vector<DatasetRow>> datasets_of(const LiveRun& run, std::uint32_t index) {
  std::vector<DatasetRow> out;
  const auto& lineage = run.task(run.instances->task_of(index)).lineage;
  if (lineage == nullptr) return out;
  const RunScope scope(run, index);
  for (const bool written : {false, true}) {
    for (const expr::Template& text : written ? lineage->outputs : lineage->inputs) {
      auto uri = text.expand(scope);
      if (!uri) return fail(std::move(uri.error()).in("lineage"));
      if (!is_uri(*uri)) {
        return fail(ErrorCode::kInvalidInput,
                    fmt::format("lineage: '{}' is no URI: it is empty, too long or holds spaces", uri->substr(0, 100)));
      }
      DatasetRow row{{run.row.seq, index}, run.states[index].attempt, written, std::move(*uri)};
      if (std::find(out.begin(), out.end(), row) == out.end()) out.push_back(std::move(row));
    }
  }
  return out;
}

void record_datasets(const LiveRun& run, std::uint32_t index, Persist& persist) {
  if (CHAPPE_MUTANT(kForgetsDatasets)) return;
  auto rows = datasets_of(run, index);
  if (rows) persist.datasets.insert(persist.datasets.end(), rows->begin(), rows->end());
}

void record_reads(const LiveRun& run, std::uint32_t index, const AttemptOutputs& reported, Persist& persist) {
  if (reported.read.empty() || CHAPPE_MUTANT(kForgetsReads)) return;
  const Task& task = run.task(run.instances->task_of(index));
  if (task.work == nullptr) return;
  const AttemptId attempt = run.states[index].attempt;
  for (const InputArtifact& input : task.work->inputs) {
    if (input.s3.text().empty()) continue;
    const auto found = std::ranges::find(reported.read, input.name, &InputObject::name);
    if (found == reported.read.end()) continue;
    InputObject object{.name = input.name, .path = input.path};
    object.size = found->size;
    object.sha256 = found->sha256;
    object.packed = input.unpack == Unpack::kAlways;
    object.s3 = found->s3;
    object.etag = found->etag;
    object.store_version = found->store_version;
    persist.inputs.push_back({{run.row.seq, index}, attempt, std::move(object)});
  }
}

}  // namespace chappe
