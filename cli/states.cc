#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/exit_code.h"
#include "proto/json/json.h"

namespace chappe::cli {
namespace {

std::string scope_of(const StateOptions& options) {
  return options.namespace_name.empty() ? "dag:" + options.dag : "namespace:" + options.namespace_name;
}

/// "": well.
std::string complaint(const StateOptions& options) {
  const bool one = options.dag.empty() != options.namespace_name.empty();
  return one ? "" : "say whose state it is: --dag NAME, or --namespace NAME";
}

std::string path_of(const StateOptions& options) {
  return "/state/" + segment(scope_of(options)) + "/" + segment(options.name);
}

/// JSON, or a text as it stands.
Value value_of(const std::string& text) {
  auto json = parse_json(text);
  return json ? *std::move(json) : Value(text);
}

std::string json_of(const Value& state) {
  return to_json(state.find("value") == nullptr ? Value() : *state.find("value"));
}

}  // namespace

int list_states(const Session& session, const StateOptions& options) {
  return with_server(session, Need::kReading, [&](ApiClient& client) {
    const auto page = client.get("/state?limit=1000");
    if (!page) return complain(page.error());
    ValueList items;
    const bool all = options.dag.empty() && options.namespace_name.empty();
    for (const Value& one : list_of(*page, "items")) {
      if (all || text_of(one, "scope") == scope_of(options)) items.push_back(one);
    }
    if (session.output.json) {
      print_json(Value(ValueMap{{"items", std::move(items)}, {"next", *page->find("next")}}));
      return int{kOk};
    }
    std::vector<std::vector<std::string>> rows;
    for (const Value& one : items) {
      constexpr std::size_t kShown = 60;
      std::string value = printable(json_of(one));
      if (value.size() > kShown) value = printable(value.substr(0, kShown)) + " ...";
      rows.push_back({text_of(one, "scope"), text_of(one, "name"), text_of(one, "version"), std::move(value),
                      local_time(one.find("changed_at")), printable(text_of(one, "changed_by"))});
    }
    if (rows.empty()) return complain("there is no state", kOk);
    print(table({"SCOPE", "NAME", "VERSION", "VALUE", "CHANGED", "BY"}, rows));
    return int{kOk};
  });
}

int show_state(const Session& session, const StateOptions& options) {
  if (const std::string wrong = complaint(options); !wrong.empty()) return complain(wrong, kUsage);
  return with_server(session, Need::kReading, [&](ApiClient& client) {
    const auto state = client.get(path_of(options));
    if (!state) return complain(state.error());
    if (session.output.json) {
      print_json(*state);
    } else {
      print(printable(json_of(*state)) + "\n");
    }
    return int{kOk};
  });
}

int set_state(const Session& session, const StateOptions& options) {
  if (const std::string wrong = complaint(options); !wrong.empty()) return complain(wrong, kUsage);
  ValueMap body{{"value", value_of(options.value)}};
  if (options.expect_version >= 0) body.emplace_back("expected_version", options.expect_version);
  return with_server(session, Need::kScheduler, [&](ApiClient& client) {
    const auto state = client.send("PUT", path_of(options), Value(std::move(body)));
    if (!state) return complain(state.error());
    if (session.output.json) {
      print_json(*state);
    } else {
      print(fmt::format("{} {}: {}, version {}\n", text_of(*state, "scope"), text_of(*state, "name"),
                        printable(json_of(*state)), text_of(*state, "version")));
    }
    return int{kOk};
  });
}

}  // namespace chappe::cli
