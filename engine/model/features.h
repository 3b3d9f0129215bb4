/// \file
/// What an attempt asks of a worker that the first workers did not know. A worker names what it knows when it joins, so
/// that an older one never gets what it would misread. Plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace chappe {

struct Task;  // engine/model/dag.h

enum class Feature : std::uint8_t {
  kHttp,            ///< Tasks of the kind `http`.
  kInputModes,      ///< Inputs with `mode` or `unpack`.
  kOutputChecksum,  ///< Outputs with `sha256`.
  kData,            ///< Checks of data, and outputs with `schema`.
  kInputS3,         ///< Inputs with `s3`.
  kService,         ///< Tasks with `service`.
  kSidecars,        ///< Tasks with `sidecars`.
  kCount,
};

std::string_view name_of(Feature feature);  ///< "output_checksum"; as a hello says it.
std::optional<Feature> parse_feature(std::string_view name);

/// A set of them.
class Features {
 public:
  static Features all();
  void add(Feature feature) { bits_ |= 1U << static_cast<unsigned>(feature); }
  bool has(Feature feature) const { return (bits_ & 1U << static_cast<unsigned>(feature)) != 0; }
  bool empty() const { return bits_ == 0; }
  Features without(Features others) const;
  std::vector<std::string_view> names() const;  ///< In the order of Feature.
  auto operator<=>(const Features&) const = default;

 private:
  std::uint32_t bits_ = 0;
};

/// What a worker must know to carry out an attempt of the task. Cost: O(inputs + outputs).
Features needed_by(const Task& task);

}  // namespace chappe
