#include "engine/lineage/objects.h"

#include <fmt/format.h>

namespace chappe {
std::string path_segment(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
                       c == '=' || c == '-' || (c == '.' && text != "." && text != "..");
    if (plain) {
      out += c;
    } else {
      fmt::format_to(std::back_inserter(out), "%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

std::string run_prefix(std::string_view dag, const RunId& run) {
  return fmt::format("runs/{}/{}/", path_segment(dag), run.text());
}

std::string attempt_prefix(std::string_view dag, const RunId& run, std::string_view task, std::string_view map_key,
                           AttemptId attempt) {
  std::string out = run_prefix(dag, run) + path_segment(task) + '/';
  if (!map_key.empty()) out += path_segment(map_key) + '/';
  return out + to_text(attempt) + '/';
}

namespace {
constexpr std::string_view kValues = "values.";
}  // namespace

std::string value_object_name(std::string_view value) { return std::string(kValues) + std::string(value); }

std::optional<std::string> value_in_object(std::string_view object_name) {
  if (!object_name.starts_with(kValues)) return std::nullopt;
  return std::string(object_name.substr(kValues.size()));
}

}  // namespace chappe
