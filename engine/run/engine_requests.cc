// What people ask of runs and aliases: cancel, move.
#include <fmt/format.h>

#include "engine/base/mutant.h"
#include "engine/run/engine_state.h"

namespace chappe {

void EngineState::on(const CancelRequested& event) {
  LiveRun* run = find_run(event.run);
  if (run == nullptr) {
    return reply(event.ticket, fail(ErrorCode::kConflict, fmt::format("run {} is not running", event.run.text())));
  }
  audit({event.requested_by, event.source}, "run.cancel", "run " + run->row.id.text(),
        to_json(ValueMap{{"before", name_of(run->row.state)}, {"after", name_of(RunState::kCancelled)}}));
  cancel_run(*run, fmt::format("cancelled by {}", event.requested_by));
  reply(event.ticket, Value(ValueMap{{"run", event.run.text()}, {"state", "cancelled"}}));
}

/// A queued run waits for its turn. A restart finds the same order: that of the runs' numbers.
void EngineState::queue_up(const LiveRun& run) { run_places.join_line(Places::group_of(run.row, *run.dag), run.row); }

void EngineState::on(const AliasMoveRequested& event) {
  const std::string name = fmt::format("{}@{}", event.model, event.alias);
  AliasRow row{.model = event.model, .alias = event.alias};
  if (const auto before = aliases.find(name); before != aliases.end()) row.previous = before->second.id;
  row.by = event.requested_by;
  row.at = now.wall;
  if (event.version) {
    row.version = event.version->id;
    if (!CHAPPE_MUTANT(kAliasesStayInMemory)) aliases[name] = *event.version;
  } else {
    aliases.erase(name);
  }
  audit({event.requested_by, event.source}, "alias.move", "alias " + name,
        to_json(ValueMap{{"before", static_cast<std::int64_t>(row.previous.value)},
                         {"after", static_cast<std::int64_t>(row.version.value)}}));
  reply(event.ticket, Value(ValueMap{{"alias", name},
                                     {"version", static_cast<std::int64_t>(row.version.value)},
                                     {"previous", static_cast<std::int64_t>(row.previous.value)}}));
  out.persist.aliases.push_back(std::move(row));
}

void EngineState::on(const TokenRequested& event) {
  TokenRow row = event.token;
  row.created_at = now.wall;
  const auto before = tokens.find(row.name);
  const bool known = before != tokens.end();
  if (known && (!before->second.expires_at.is_set() || before->second.expires_at > now.wall)) {
    return reply(event.ticket,
                 fail(ErrorCode::kConflict, fmt::format("there is a token '{}' already; revoke it first", row.name)));
  }
  if (!known && tokens.size() >= config.tokens_max) {
    return reply(event.ticket, fail(ErrorCode::kConflict,
                                    fmt::format("there are {} tokens already; revoke some first", tokens.size())));
  }
  if (known) out.persist.tokens.push_back({before->second, true});
  out.persist.tokens.push_back({row});
  const Value after = ValueMap{{"role", name_of(row.role)}, {"expires_at", to_iso8601(row.expires_at)}};
  audit({row.created_by, event.source}, "token.create", "token " + row.name,
        to_json(ValueMap{{"before", Value()}, {"after", after}}));
  reply(event.ticket, Value(ValueMap{{"token", row.name}, {"created_at", to_iso8601(row.created_at)}}));
  tokens[row.name] = std::move(row);
}

void EngineState::on(const TokenRevokeRequested& event) {
  const auto found = tokens.find(event.name);
  if (found == tokens.end()) {
    return reply(event.ticket, fail(ErrorCode::kNotFound, fmt::format("there is no token '{}'", event.name)));
  }
  const Value before =
      ValueMap{{"role", name_of(found->second.role)}, {"expires_at", to_iso8601(found->second.expires_at)}};
  audit({event.requested_by, event.source}, "token.revoke", "token " + event.name,
        to_json(ValueMap{{"before", before}, {"after", Value()}}));
  reply(event.ticket, Value(ValueMap{{"token", event.name}, {"state", "revoked"}}));
  out.persist.tokens.push_back({std::move(found->second), true});
  tokens.erase(found);
}

void EngineState::on(const AccessDenied& event) {
  audit({event.principal, event.source}, "access", event.object, event.detail);
  out.persist.audit.back().result = "denied";
  reply(event.ticket, Value());
}

}  // namespace chappe
