#include "scheduler/app/include_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <string>

#include "dags/loader/yaml_tree.h"

namespace chappe {
namespace {

namespace fs = std::filesystem;

bool is_beneath(const fs::path& path, const fs::path& folder) {
  return std::mismatch(folder.begin(), folder.end(), path.begin(), path.end()).first == folder.end();
}

Result<std::string> read_beside(const fs::path& folder, const std::string& path) {
  std::error_code failed;
  const fs::path top = fs::canonical(folder.empty() ? fs::path(".") : folder, failed);
  const fs::path file = failed ? fs::path() : fs::canonical(top / path, failed);
  if (failed) return fail(ErrorCode::kNotFound, fmt::format("cannot read '{}': {}", path, failed.message()));
  if (!is_beneath(file, top)) {
    return fail(ErrorCode::kInvalidInput, fmt::format("'{}' leads out of the folder of the DAG file", path));
  }
  if (!fs::is_regular_file(file, failed)) {
    return fail(ErrorCode::kInvalidInput, fmt::format("'{}' is no file", path));
  }
  const std::uintmax_t size = fs::file_size(file, failed);
  std::ifstream in(file, std::ios::binary);
  std::string text(std::min<std::uintmax_t>(failed ? 0 : size, yaml::kTextBytesMax) + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (in.bad() || (!in.eof() && in.fail())) {
    return fail(ErrorCode::kInvalidInput, fmt::format("'{}' cannot be read", path));
  }
  text.resize(static_cast<std::size_t>(in.gcount()));
  return text;
}

}  // namespace

ReadInclude include_beside(const fs::path& dag_file) {
  return [folder = dag_file.parent_path()](const std::string& path) { return read_beside(folder, path); };
}

bool is_dag_file(const fs::path& path) {
  const bool yaml = path.extension() == ".yaml" || path.extension() == ".yml";
  return yaml && !path.filename().native().starts_with('_');
}

}  // namespace chappe
