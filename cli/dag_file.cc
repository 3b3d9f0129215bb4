#include "cli/dag_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "cli/state_dir.h"
#include "proto/json/json.h"
#include "scheduler/app/include_file.h"

namespace chappe::cli {
namespace {

constexpr std::size_t kFilesMax = 100'000;

ParamType type_in(const Dag* dag, const std::string& name) {
  if (dag == nullptr) return ParamType::kString;
  const auto spec = std::ranges::find(dag->params, name, &ParamSpec::name);
  return spec == dag->params.end() ? ParamType::kString : spec->type;
}

/// A JSON text of the wanted kind; anything else stays text, and the DAG's rules say what is wrong with it.
Value typed(ParamType type, const std::string& text) {
  if (type == ParamType::kString) return text;
  auto parsed = parse_json(text);
  return parsed ? *std::move(parsed) : Value(text);
}

void set(ValueMap& params, std::string name, Value value) {
  const auto known = std::ranges::find(params, name, &ValueMap::value_type::first);
  if (known != params.end()) {
    known->second = std::move(value);
  } else {
    params.emplace_back(std::move(name), std::move(value));
  }
}

Result<ValueMap> read_params_file(const std::string& file) {
  if (file.empty()) return ValueMap{};
  const auto text = read_file(file, kDagFileMax);
  if (!text) return fail(text.error());
  auto parsed = parse_json(*text);
  if (!parsed) return fail(std::move(parsed.error()).in(file));
  if (parsed->as_map() == nullptr) {
    return fail(ErrorCode::kInvalidInput, fmt::format("{}: a JSON object with the parameters is needed", file));
  }
  return *parsed->as_map();
}

}  // namespace

Result<std::vector<std::string>> find_dag_files(const std::vector<std::string>& paths) {
  std::vector<std::string> out;
  for (const std::string& path : paths) {
    std::error_code failed;
    if (!std::filesystem::is_directory(path, failed)) {
      out.push_back(path);
      continue;
    }
    const auto first = static_cast<std::ptrdiff_t>(out.size());
    for (auto entry = std::filesystem::recursive_directory_iterator(path, failed);
         !failed && entry != std::filesystem::recursive_directory_iterator(); entry.increment(failed)) {
      if (is_dag_file(entry->path()) && entry->is_regular_file(failed)) out.push_back(entry->path());
      if (out.size() > kFilesMax) return fail(ErrorCode::kInvalidInput, path + " holds more than 100,000 DAG files");
    }
    if (failed) return fail(ErrorCode::kInvalidInput, fmt::format("cannot list {}: {}", path, failed.message()));
    std::sort(out.begin() + first, out.end());
    if (out.size() == static_cast<std::size_t>(first)) {
      return fail(ErrorCode::kInvalidInput, fmt::format("no *.yaml or *.yml file is in {}", path));
    }
  }
  return out;
}

Result<DagFile> load_dag_file(const std::string& file) {
  auto text = read_file(file, kDagFileMax);
  if (!text) return fail(text.error());
  LoadedDag loaded = load_dag(*text, file, include_beside(file));
  if (loaded.dag != nullptr) text = loaded.dag->source;
  return DagFile{file, *std::move(text), std::move(loaded.dag), std::move(loaded.diagnostics), std::move(loaded.tests)};
}

void show_diagnostics(const std::vector<Diagnostic>& diagnostics, const Output& output) {
  for (const Diagnostic& one : diagnostics) {
    const std::string text = printable(one.text());
    const std::string_view word = one.warning ? "warning:" : "error:";
    const std::size_t at = text.find(word);
    if (!output.colour_err || at == std::string::npos) {
      fmt::print(stderr, "{}\n", text);
    } else {
      fmt::print(stderr, "{}{}{}\x1b[0m{}\n", bold(text.substr(0, at), true), one.warning ? "\x1b[35m" : "\x1b[1;31m",
                 word, text.substr(at + word.size()));
    }
  }
}

std::string difference(const std::string& before, const std::string& after) {
  std::map<std::string, std::string> old;
  for (DagPart& part : dag_parts(before)) old[std::move(part.name)] = std::move(part.canonical);
  std::vector<std::string> told;
  for (const DagPart& part : dag_parts(after)) {
    const auto found = old.find(part.name);
    if (found == old.end()) {
      told.push_back(part.name + " is new");
    } else {
      if (found->second != part.canonical) told.push_back(part.name + " differs");
      old.erase(found);
    }
  }
  for (const auto& [name, canonical] : old) told.push_back(name + " is gone");
  constexpr std::size_t kToldMax = 20;
  const std::size_t more = told.size() - std::min(told.size(), kToldMax);
  told.resize(told.size() - more);
  if (more > 0) told.push_back(fmt::format("and {} more", more));
  return fmt::format("{}", fmt::join(told, ", "));
}

Result<ValueMap> read_params(const Dag* dag, const std::string& params_file, const std::vector<std::string>& given,
                             bool all) {
  auto params = read_params_file(params_file);
  if (!params) return params;
  for (const std::string& one : given) {
    const std::size_t equals = one.find('=');
    if (equals == std::string::npos || equals == 0) {
      return fail(ErrorCode::kInvalidInput, fmt::format("--param {}: write it as NAME=VALUE", one));
    }
    std::string name = one.substr(0, equals);
    Value value = typed(type_in(dag, name), one.substr(equals + 1));
    set(*params, std::move(name), std::move(value));
  }
  if (dag == nullptr || !all) return params;
  // Only what was given goes to the server: it fills in the defaults of the version that it runs.
  if (auto checked = resolve_params(dag->params, *params); !checked) return fail(checked.error());
  return params;
}

}  // namespace chappe::cli
