#include "dags/loader/given_params.h"

#include <fmt/format.h>

namespace chappe {
namespace {

/// A value as it stands, or an expression.
std::optional<GivenParam> read_given_param(Reader& reader, Names& names, const Site& site, const std::string& name,
                                           const yaml::Node& node) {
  if (node.is_scalar() && node.text.find("${{") != std::string::npos) {
    auto text = names.parse_template(node, site, name);
    if (!text) return std::nullopt;
    return GivenParam{.value = {}, .expression = std::move(*text)};
  }
  auto value = reader.value(node);
  if (!value) return std::nullopt;
  return GivenParam{.value = std::move(*value), .expression = {}};
}

}  // namespace

GivenParams read_given_params(Reader& reader, Names& names, const Site& site, const yaml::Node& node,
                              std::string_view what) {
  GivenParams out;
  if (!node.is_map()) {
    reader.complaints().error(node, fmt::format("'{}' is a map of names and values, such as {{year: 2026}}, not {}",
                                                what, Reader::shown(node)));
    return out;
  }
  for (std::size_t i = 0; i < node.members(); ++i) {
    const auto name = reader.identifier(node.key(i), what);
    if (!name) continue;
    auto value = read_given_param(reader, names, site, *name, node.value(i));
    if (value) out.emplace_back(*name, std::move(*value));
  }
  return out;
}

}  // namespace chappe
