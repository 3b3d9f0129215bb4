#include "cli/dag_file.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/state_dir.h"
#include "proto/json/json.h"

namespace chappe::cli {
namespace {

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

Result<DagFile> load_dag_file(const std::string& file) {
  auto text = read_file(file, kDagFileMax);
  if (!text) return fail(text.error());
  LoadedDag loaded = load_dag(*text, file);
  return DagFile{file, *std::move(text), std::move(loaded.dag), std::move(loaded.diagnostics)};
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
