#include "engine/model/features.h"

#include <array>

#include "engine/model/dag.h"

namespace chappe {
namespace {

constexpr std::size_t kFeatures = static_cast<std::size_t>(Feature::kCount);
constexpr std::array<std::string_view, kFeatures> kNames = {"http",     "input_modes", "output_checksum", "data",
                                                            "input_s3", "service",     "sidecars"};
static_assert(kFeatures <= 32);

}  // namespace

std::string_view name_of(Feature feature) { return kNames.at(static_cast<std::size_t>(feature)); }

std::optional<Feature> parse_feature(std::string_view name) {
  for (std::size_t i = 0; i < kFeatures; ++i) {
    if (kNames[i] == name) return static_cast<Feature>(i);
  }
  return std::nullopt;
}

Features Features::all() {
  Features out;
  for (std::size_t i = 0; i < kFeatures; ++i) out.add(static_cast<Feature>(i));
  return out;
}

Features Features::without(Features others) const {
  Features out;
  out.bits_ = bits_ & ~others.bits_;
  return out;
}

std::vector<std::string_view> Features::names() const {
  std::vector<std::string_view> out;
  for (std::size_t i = 0; i < kFeatures; ++i) {
    if (has(static_cast<Feature>(i))) out.push_back(kNames[i]);
  }
  return out;
}

Features needed_by(const Task& task) {
  Features out;
  if (task.kind == TaskKind::kHttp) out.add(Feature::kHttp);
  if (task.kind == TaskKind::kData) out.add(Feature::kData);
  if (task.work == nullptr) return out;
  for (const InputArtifact& input : task.work->inputs) {
    if (input.mode || input.unpack != Unpack::kAuto) out.add(Feature::kInputModes);
    if (!input.s3.text().empty()) out.add(Feature::kInputS3);
  }
  if (task.is_service()) out.add(Feature::kService);
  if (!task.work->sidecars.empty()) out.add(Feature::kSidecars);
  for (const OutputArtifact& output : task.work->outputs) {
    if (!output.sha256.text().empty()) out.add(Feature::kOutputChecksum);
    if (output.schema != nullptr) out.add(Feature::kData);
  }
  return out;
}

}  // namespace chappe
