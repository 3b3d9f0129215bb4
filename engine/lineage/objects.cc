#include "engine/lineage/objects.h"

#include <fmt/format.h>

namespace chappe {
namespace {

void append_segment(std::string& out, std::string_view text) {
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
                       c == '=' || c == '-' || (c == '.' && text != "." && text != "..");
    if (plain) {
      out += c;
    } else {
      fmt::format_to(std::back_inserter(out), "%{:02X}", static_cast<unsigned char>(c));
    }
  }
}

}  // namespace

std::string attempt_prefix(std::string_view dag, const RunId& run, std::string_view task, std::string_view map_key,
                           AttemptId attempt) {
  std::string out = "runs/";
  append_segment(out, dag);
  fmt::format_to(std::back_inserter(out), "/{}/", run.text());
  append_segment(out, task);
  out += '/';
  if (!map_key.empty()) {
    append_segment(out, map_key);
    out += '/';
  }
  return out + to_text(attempt) + '/';
}

}  // namespace chappe
