#include "dags/argo/import.h"

#include <fmt/format.h>

#include <fstream>

#include "cli/commands.h"
#include "cli/dag_file.h"
#include "cli/exit_code.h"
#include "cli/state_dir.h"

namespace chappe::cli {
namespace {

/// False after a complaint.
bool write_file(const std::string& path, const std::string& text) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out << text;
  out.close();
  return static_cast<bool>(out);
}

}  // namespace

int import_argo_file(const std::string& file, const std::string& output, bool processes) {
  const auto text = read_file(file, kDagFileMax);
  if (!text) return complain(text.error().message, kUsage);
  const auto imported = import_argo(*text, file, {.images = !processes});
  if (!imported) {
    fmt::print(stderr, "{}\n", printable(imported.error().message));
    return kUsage;
  }
  for (const ImportNote& note : imported->notes) fmt::print(stderr, "{}\n", printable(note.text()));
  if (output.empty()) {
    print(imported->dag_file);
  } else if (!write_file(output, imported->dag_file)) {
    return complain(fmt::format("{}: it cannot be written", output), kFailure);
  }
  return kOk;
}

}  // namespace chappe::cli
