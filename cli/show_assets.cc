#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "cli/commands.h"
#include "cli/exit_code.h"

namespace chappe::cli {
namespace {

std::string join(const ValueList& list, std::string_view between) {
  std::string out;
  for (const Value& item : list) out += (out.empty() ? "" : std::string(between)) + to_text(item);
  return printable(out);
}

/// A lineage graph as an indented tree, each node at its first place only.
class LineageTree {
 public:
  LineageTree(const Value& graph, const Output& output) : output_(output), root_(text_of(graph, "root")) {
    for (const Value& node : list_of(graph, "nodes")) {
      nodes_.emplace(text_of(node, "id"), &node);
      if (text_of(node, "kind") == "attempt") runs_.emplace(text_of(node, "run"), &node);
    }
    for (const Value& edge : list_of(graph, "edges")) {
      const std::string from = text_of(edge, "from");
      const std::string to = text_of(edge, "to");
      up_[to].push_back(from);
      down_[from].push_back(to);
    }
  }

  void print_up() { print_side("Made from", up_); }
  void print_down() { print_side("What was made with it", down_); }
  void print_root() const { print(label(root_) + "\n"); }

  /// What it takes to repeat them.
  void print_runs() const {
    print(fmt::format("\n{}\n", bold("Runs", output_.colour_out)));
    for (const auto& [run, node] : runs_) {
      print(fmt::format("  {}  {} {}  {}\n", run, printable(text_of(*node, "dag")), dag_version_of(*node),
                        faint(pairs_of(node->find("params")), output_.colour_out)));
    }
  }

 private:
  using Neighbours = std::map<std::string, std::vector<std::string>>;

  static std::string dag_version_of(const Value& attempt) {
    const std::string commit = text_of(attempt, "dag_commit").substr(0, 12);
    return text_of(attempt, "dag_version").substr(0, 12) + (commit.empty() ? "" : " (commit " + commit + ")");
  }

  void print_side(std::string_view title, const Neighbours& next) {
    print(fmt::format("\n{}\n", bold(title, output_.colour_out)));
    seen_.clear();
    if (!next.contains(root_)) return print(faint("  nothing that is known\n", output_.colour_out));
    print_below(root_, "  ", next);
  }

  void print_below(const std::string& id, const std::string& indent, const Neighbours& next) {
    const auto found = next.find(id);
    if (found == next.end()) return;
    for (std::size_t i = 0; i < found->second.size(); ++i) {
      const std::string& child = found->second[i];
      const bool last = i + 1 == found->second.size();
      const bool fresh = seen_.insert(child).second;
      print(fmt::format("{}{}{}{}\n", indent, last ? "└─ " : "├─ ", label(child),
                        fresh ? "" : faint(" (as above)", output_.colour_out)));
      if (fresh) print_below(child, indent + (last ? "   " : "│  "), next);
    }
  }

  std::string label(const std::string& id) const {
    const auto found = nodes_.find(id);
    if (found == nodes_.end()) return printable(id);
    const Value& node = *found->second;
    return text_of(node, "kind") == "attempt" ? attempt_label(node) : object_label(node);
  }

  /// The run is named only where it is another than the root's: most graphs are of one run.
  std::string attempt_label(const Value& node) const {
    std::string line = bold(printable(text_of(node, "task")), output_.colour_out);
    if (const auto attempt = number_of(node, "attempt_no"); attempt > 1) line += fmt::format(" (attempt {})", attempt);
    if (runs_.size() > 1) line += " of run " + text_of(node, "run");
    if (const std::string image = text_of(node, "image"); !image.empty()) line += "  in " + printable(image);
    const std::string values = pairs_of(node.find("values"));
    return values.empty() ? line : line + "  " + faint(values, output_.colour_out);
  }

  static std::string pairs_of(const Value* map) {
    std::string pairs;
    if (map == nullptr || map->as_map() == nullptr) return pairs;
    for (const auto& [name, value] : *map->as_map()) {
      pairs += fmt::format("{}{}={}", pairs.empty() ? "" : " ", name, to_text(value));
    }
    return printable(pairs);
  }

  std::string object_label(const Value& node) const {
    if (text_of(node, "kind") == "dataset") {
      return printable(text_of(node, "uri")) + "  " + faint("declared", output_.colour_out);
    }
    const bool asset = text_of(node, "kind") == "asset";
    const bool read = text_of(node, "kind") == "read";
    const std::string aliases = join(list_of(node, "aliases"), ", ");
    std::string line =
        asset  ? fmt::format("{} version {}", printable(text_of(node, "uri")), text_of(node, "asset_version"))
        : read ? printable(text_of(node, "uri"))
               : "artifact " + printable(text_of(node, "name"));
    if (const std::string version = text_of(node, "store_version"); !version.empty()) {
      line += " version " + printable(version);
    } else if (const std::string etag = text_of(node, "etag"); !etag.empty()) {
      line += " etag " + printable(etag);
    }
    if (!aliases.empty()) line += " [" + aliases + "]";
    if (!text_of(node, "collected_at").empty()) line += " collected " + local_time(node.find("collected_at"));
    return line + "  " +
           faint(fmt::format("{} sha256:{}", short_size(number_of(node, "size_bytes")),
                             text_of(node, "sha256").substr(0, 12)),
                 output_.colour_out);
  }

  Output output_;
  std::string root_;
  std::map<std::string, const Value*> nodes_;
  std::map<std::string, const Value*> runs_;  ///< An attempt of each.
  Neighbours up_;
  Neighbours down_;
  std::set<std::string> seen_;
};

int print_asset_table(const ValueList& items) {
  std::vector<std::vector<std::string>> rows;
  for (const Value& item : items) {
    rows.push_back({text_of(item, "id"), printable(text_of(item, "name")), printable(text_of(item, "uri")),
                    short_size(number_of(item, "size_bytes")), text_of(item, "sha256").substr(0, 12),
                    local_time(item.find("published_at"))});
  }
  if (rows.empty()) return complain("there is no asset to show", kOk);
  print(table({"VERSION", "NAME", "URI", "SIZE", "SHA-256", "PUBLISHED"}, rows));
  return kOk;
}

int show_one_asset(ApiClient& client, const std::string& asset, const Output& output) {
  const auto shown = client.get("/assets/" + segment(asset));
  if (!shown) return complain(shown.error());
  if (output.json) {
    print_json(*shown);
    return kOk;
  }
  for (const char* name : {"id", "name", "uri", "location", "sha256", "run", "artifact", "published_at"}) {
    print(fmt::format("{:<13} {}\n", name, printable(text_of(*shown, name))));
  }
  print(fmt::format("{:<13} {}\n", "size", short_size(number_of(*shown, "size_bytes"))));
  return kOk;
}

std::pair<std::string, std::string> split_alias(const std::string& text) {
  const std::size_t at = text.rfind('@');
  if (at == std::string::npos) return {text, ""};
  return {text.substr(0, at), text.substr(at + 1)};
}

std::string alias_path(const std::string& model, const std::string& alias) {
  return "/aliases/" + segment(model) + "/" + segment(alias);
}

int change_alias(const Session& session, const AliasOptions& options) {
  const auto [model, alias] = split_alias(options.alias);
  if (alias.empty()) return complain("name the alias as MODEL@ALIAS", kUsage);
  return with_server(session, Need::kOwn, [&, path = alias_path(model, alias)](ApiClient& client) {
    const auto answer = options.remove ? client.send("DELETE", path, Value())
                                       : client.send("PUT", path, ValueMap{{"version", options.move_to}});
    if (!answer) return complain(answer.error());
    if (session.output.json) {
      print_json(*answer);
    } else {
      print(options.remove ? fmt::format("{} is removed\n", options.alias)
                           : fmt::format("{} is version {} now\n", options.alias, text_of(*answer, "version")));
    }
    return int{kOk};
  });
}

std::vector<std::string> alias_row(const Value& alias) {
  return {printable(text_of(alias, "model") + "@" + text_of(alias, "alias")),
          text_of(alias, "version").empty() ? "removed" : text_of(alias, "version"), text_of(alias, "previous"),
          printable(text_of(alias, "by")), local_time(alias.find("at"))};
}

/// How full pools are. One without a bound is told while it is used: its name may be misspelt.
void print_pools(const ValueList& pools) {
  std::vector<std::vector<std::string>> rows;
  for (const Value& pool : pools) {
    const std::int64_t slots = number_of(pool, "slots");
    const bool used = number_of(pool, "taken") + number_of(pool, "ready") > 0;
    if (slots == 0 && (!used || text_of(pool, "pool") == "default")) continue;
    rows.push_back({printable(text_of(pool, "pool")), slots == 0 ? "no bound" : std::to_string(slots),
                    text_of(pool, "taken"), text_of(pool, "ready")});
  }
  if (!rows.empty()) print("\n" + table({"POOL", "SLOTS", "TAKEN", "WAITING"}, rows));
}

std::string state_of_worker(const Value& worker) {
  if (worker.find("connected") == nullptr || *worker.find("connected") != Value(true)) return "silent";
  return worker.find("draining") != nullptr && *worker.find("draining") == Value(true) ? "draining" : "connected";
}

}  // namespace

int list_assets(const Session& session, const std::string& asset, bool all_versions, const PageOptions& options) {
  const auto part = page_query(options, wall_now());
  if (!part) return complain(part.error().message, kUsage);
  const bool bounded = !options.since.empty() || !options.until.empty() || !options.after.empty();
  return with_server(session, Need::kReading, [&](ApiClient& client) {
    const bool one = !asset.empty() && !all_versions;
    if (one && asset.find('@') != std::string::npos) return show_one_asset(client, asset, session.output);
    std::string path = "/assets?" + *part;
    if (!asset.empty()) path += "&all_versions=1&asset=" + segment(asset);
    if (asset.empty() && all_versions) path += "&all_versions=1";
    const auto page = client.get(path);
    if (!page) return complain(page.error());
    const ValueList& items = list_of(*page, "items");
    if (!asset.empty() && items.empty() && !bounded) return show_one_asset(client, asset, session.output);
    if (!session.output.json) return print_asset_table(items);
    print_json(*page);
    return int{kOk};
  });
}

int show_lineage(const Session& session, const std::string& asset, const std::string& direction, std::uint32_t depth) {
  return with_server(session, Need::kReading, [&](ApiClient& client) {
    const auto graph =
        client.get(fmt::format("/assets/{}/lineage?direction={}&depth={}", segment(asset), direction, depth));
    if (!graph) return complain(graph.error());
    if (session.output.json) {
      print_json(*graph);
      return int{kOk};
    }
    LineageTree tree(*graph, session.output);
    tree.print_root();
    if (direction != "down") tree.print_up();
    if (direction != "up") tree.print_down();
    tree.print_runs();
    const Value* truncated = graph->find("truncated");
    if (truncated != nullptr && *truncated == Value(true))
      print("\nThe graph is too large to be shown whole; use --depth.\n");
    return int{kOk};
  });
}

int show_aliases(const Session& session, const AliasOptions& options) {
  if (options.remove || !options.move_to.empty()) return change_alias(session, options);
  return with_server(session, Need::kReading, [&](ApiClient& client) {
    const auto [model, alias] = split_alias(options.alias);
    const bool history = !alias.empty();
    const auto answer = history ? client.get(alias_path(model, alias))
                                : client.get("/aliases" + (model.empty() ? "" : "?model=" + segment(model)));
    if (!answer) return complain(answer.error());
    if (session.output.json) {
      print_json(*answer);
      return int{kOk};
    }
    std::vector<std::vector<std::string>> rows;
    for (const Value& one : list_of(*answer, history ? "history" : "items")) rows.push_back(alias_row(one));
    if (rows.empty()) return complain("there is no alias yet", kOk);
    print(table({"ALIAS", "VERSION", "BEFORE", "BY", "AT"}, rows));
    return int{kOk};
  });
}

int list_workers(const Session& session) {
  return with_server(session, Need::kScheduler, [&](ApiClient& client) {
    const auto told = client.get("/workers");
    if (!told) return complain(told.error());
    if (session.output.json) {
      print_json(*told);
      return int{kOk};
    }
    std::vector<std::vector<std::string>> rows;
    for (const Value& worker : list_of(*told, "items")) {
      rows.push_back({printable(text_of(worker, "name")), printable(text_of(worker, "host")), state_of_worker(worker),
                      text_of(worker, "cpus"), short_size(number_of(worker, "memory_bytes")),
                      text_of(worker, "attempts")});
    }
    if (rows.empty()) (void)complain("no worker is connected: start one with 'chappe worker'", kOk);
    if (!rows.empty()) print(table({"WORKER", "HOST", "STATE", "CPUS", "MEMORY", "ATTEMPTS"}, rows));
    print_pools(list_of(*told, "pools"));
    return int{kOk};
  });
}

}  // namespace chappe::cli
