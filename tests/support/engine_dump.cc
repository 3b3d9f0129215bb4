#include "tests/support/engine_dump.h"

namespace chappe::support {

std::string dump_of_runs(const Engine& engine) {
  std::string text = engine.dump_json();
  text.erase(0, text.find("\"runs\""));
  text.erase(text.rfind("\"workers\""));
  for (const std::string rests : {"\"up_for_retry\"", "\"waiting\""}) {
    for (std::size_t at = text.find(rests); at != std::string::npos; at = text.find(rests)) {
      text.replace(at, rests.size(), "\"scheduled\"");
    }
  }
  for (std::size_t at = text.find("{\"task"); at != std::string::npos; at = text.find("{\"task", at + 2)) {
    text.insert(at, "\n");
  }
  return text;
}

}  // namespace chappe::support
