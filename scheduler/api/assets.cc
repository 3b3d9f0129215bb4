#include <fmt/format.h>

#include <charconv>
#include <utility>

#include "scheduler/api/handlers.h"
#include "scheduler/api/lineage.h"
#include "scheduler/api/render.h"

namespace chappe::api {
namespace {

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value == 0) return std::nullopt;
  return value;
}

Result<AssetVersion> newest_of(MetaReader& reader, const std::string& asset) {
  auto newest = reader.assets({.uri = asset, .limit = 1});
  if (!newest) return fail(newest.error());
  if (newest->empty()) return fail(ErrorCode::kNotFound, fmt::format("there is no asset '{}'", asset));
  return std::move(newest->front());
}

Result<LineageQuery> lineage_query(const Request& request) {
  const std::string direction = request.parameter("direction").value_or("both");
  if (direction != "up" && direction != "down" && direction != "both") {
    return fail(ErrorCode::kInvalidInput, "query parameter 'direction' must be up, down or both");
  }
  const auto depth = request.number("depth", 20, 1, 100);
  if (!depth) return fail(depth.error());
  return LineageQuery{direction != "down", direction != "up", static_cast<std::uint32_t>(*depth)};
}

Result<AssetFilter> asset_filter(const Request& request) {
  AssetFilter filter{.uri = request.parameter("asset").value_or("")};
  const auto all = request.flag("all_versions");
  if (!all) return fail(all.error());
  filter.newest_only = !*all;
  const auto created = request.time_range();
  if (!created) return fail(created.error());
  filter.created = *created;
  const auto limit = request.number("limit", 100, 1, 1'000);
  if (!limit) return fail(limit.error());
  filter.limit = *limit;
  const auto before = request.number("after", 0, 1, INT64_MAX);
  if (!before) return fail(before.error());
  if (*before != 0) filter.before = AssetVersionId{*before};
  return filter;
}

void request_move(Context& context, const Request& request, std::optional<AssetVersion> version, Respond respond) {
  context.backend.request(AliasMoveRequested{.model = request.variable("model"),
                                             .alias = request.variable("alias"),
                                             .version = std::move(version),
                                             .requested_by = request.principal,
                                             .source = request.source},
                          [respond = std::move(respond)](const Result<Value>& answer) {
                            respond(answer ? json_answer(*answer) : problem(answer.error()));
                          });
}

}  // namespace

Result<AssetVersion> find_asset(Context& context, const std::string& text) {
  if (const auto id = parse_number(text)) return context.reader.asset_version(AssetVersionId{*id});
  const std::size_t at = text.rfind('@');
  if (at == std::string::npos) return newest_of(context.reader, text);
  const std::string name = text.substr(0, at);
  const std::string alias = text.substr(at + 1);
  auto named = context.reader.resolve_alias(name, alias);
  if (named || named.error().code != ErrorCode::kNotFound) return named;
  // A URI may hold an "@" of its own.
  auto newest = newest_of(context.reader, text);
  return newest ? newest : named;
}

Answer list_assets(Context& context, const Request& request) {
  const auto filter = asset_filter(request);
  if (!filter) return problem(400, filter.error().message);
  const auto versions = context.reader.assets(*filter);
  if (!versions) return problem(versions.error());
  ValueList items;
  for (const AssetVersion& version : *versions) items.push_back(asset_json(version));
  const bool more = versions->size() == filter->limit;
  return json_answer(page_json(std::move(items), more ? Value(std::to_string(versions->back().id.value)) : Value()));
}

Answer show_asset(Context& context, const Request& request) {
  const auto version = find_asset(context, request.variable("asset"));
  if (!version) return problem(version.error());
  Value shown = asset_json(*version);
  shown.as_map()->emplace_back("location", context.backend.objects().locate(version->uri));
  if (const auto run = context.reader.run_by_seq(version->producer.run)) {
    shown.as_map()->emplace_back("run", run->id.text());
  }
  return json_answer(shown);
}

Answer show_lineage(Context& context, const Request& request) {
  const auto query = lineage_query(request);
  if (!query) return problem(400, query.error().message);
  const auto version = find_asset(context, request.variable("asset"));
  if (!version && version.error().code == ErrorCode::kNotFound) {
    auto dataset = lineage_of_dataset(context, request.variable("asset"), *query);
    if (!dataset) return problem(dataset.error());
    if (*dataset) return json_answer(**dataset);
  }
  if (!version) return problem(version.error());
  auto graph = lineage_of(context, *version, *query);
  return graph ? json_answer(*graph) : problem(graph.error());
}

Answer list_aliases(Context& context, const Request& request) {
  const auto rows = context.reader.aliases(request.parameter("model").value_or(""));
  if (!rows) return problem(rows.error());
  ValueList items;
  for (const AliasRow& row : *rows) {
    if (row.version) items.push_back(alias_json(row));
  }
  return json_answer(page_json(std::move(items), Value()));
}

Answer show_alias(Context& context, const Request& request) {
  const auto rows = context.reader.alias_history(request.variable("model"), request.variable("alias"));
  if (!rows) return problem(rows.error());
  if (rows->empty()) {
    return problem(404, fmt::format("there is no alias '{}@{}'", request.variable("model"), request.variable("alias")));
  }
  ValueList history;
  for (const AliasRow& row : *rows) history.push_back(alias_json(row));
  Value shown = alias_json(rows->front());
  shown.as_map()->emplace_back("history", std::move(history));
  return json_answer(shown);
}

void move_alias(Context& context, const Request& request, Respond respond) {
  const auto body = read_body(request.body, {{"version", "any"}});
  if (!body) return respond(problem(400, body.error().message));
  const Value* wanted = body->find("version");
  if (wanted == nullptr || wanted->is_null()) {
    return respond(problem(400, "the body needs 'version': an asset version's id, or 'NAME@ALIAS'"));
  }
  auto version = find_asset(context, to_text(*wanted));
  if (!version) return respond(problem(version.error()));
  const std::string& model = request.variable("model");
  if (!version->name.empty() && version->name != model) {
    return respond(
        problem(409, fmt::format("version {} is of {}, not of {}", version->id.value, version->name, model)));
  }
  request_move(context, request, *std::move(version), std::move(respond));
}

void remove_alias(Context& context, const Request& request, Respond respond) {
  request_move(context, request, std::nullopt, std::move(respond));
}

}  // namespace chappe::api
