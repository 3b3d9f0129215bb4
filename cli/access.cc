#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/exit_code.h"
#include "proto/transport/keys.h"

namespace chappe::cli {
namespace {

std::vector<std::string> token_row(const Value& token) {
  const Value* expired = token.find("expired");
  const std::string expires_at = local_time(token.find("expires_at"));
  return {printable(text_of(token, "name")), text_of(token, "role"), printable(text_of(token, "created_by")),
          local_time(token.find("created_at")),
          expired != nullptr && *expired == Value(true) ? "expired"
          : expires_at.empty()                          ? "never"
                                                        : expires_at};
}

std::vector<std::string> audit_row(const Value& row) {
  return {text_of(row, "number"),
          local_time(row.find("at")),
          printable(text_of(row, "principal")),
          printable(text_of(row, "source")),
          text_of(row, "result"),
          printable(text_of(row, "verb")),
          printable(text_of(row, "object")),
          printable(text_of(row, "detail"))};
}

/// All of the log, a page at a time: {"rows", "head", "broken", "why"}.
Result<Value> verdict_of(ApiClient& client) {
  std::int64_t rows = 0;
  for (std::string after = "0";;) {
    auto page = client.get("/audit/verification?after=" + segment(after));
    if (!page) return page;
    rows += number_of(*page, "rows");
    after = text_of(*page, "next");
    if (!after.empty()) continue;
    return Value(ValueMap{{"rows", rows},
                          {"head", text_of(*page, "head")},
                          {"broken", *page->find("broken")},
                          {"why", text_of(*page, "why")}});
  }
}

}  // namespace

int create_token(const Session& session, const TokenOptions& options) {
  return with_server(session, Need::kScheduler, [&](ApiClient& client) {
    const auto made = client.send(
        "POST", "/tokens", ValueMap{{"name", options.name}, {"role", options.role}, {"expires_in", options.expires}});
    if (!made) return complain(made.error());
    if (session.output.json) {
      print_json(*made);
      return int{kOk};
    }
    // The token alone on stdout, so that it can go straight into a file.
    print(text_of(*made, "token") + "\n");
    const std::string expires_at = text_of(*made, "expires_at");
    return complain(fmt::format("keep it now: it is not shown again; role {}, {}", options.role,
                                expires_at.empty() ? "for ever" : "until " + local_time(made->find("expires_at"))),
                    kOk);
  });
}

int list_tokens(const Session& session) {
  return with_server(session, Need::kScheduler, [&](ApiClient& client) {
    const auto page = client.get("/tokens");
    if (!page) return complain(page.error());
    if (session.output.json) {
      print_json(*page);
      return int{kOk};
    }
    std::vector<std::vector<std::string>> rows;
    for (const Value& token : list_of(*page, "items")) rows.push_back(token_row(token));
    if (rows.empty()) return complain("there is no token but the admin's in the state directory", kOk);
    print(table({"TOKEN", "ROLE", "MADE BY", "MADE AT", "EXPIRES"}, rows));
    return int{kOk};
  });
}

int revoke_token(const Session& session, const std::string& name) {
  return with_server(session, Need::kScheduler, [&](ApiClient& client) {
    const auto answer = client.send("DELETE", "/tokens/" + segment(name), Value());
    if (!answer) return complain(answer.error());
    if (session.output.json) {
      print_json(*answer);
    } else {
      print(fmt::format("{} lets nobody in any more\n", printable(name)));
    }
    return int{kOk};
  });
}

int make_worker_key(const std::string& name, const std::string& directory) {
  const bool plain = !name.empty() && name.find_first_of("/ \t\r\n") == std::string::npos && name.front() != '.';
  if (!plain) return complain("a key's name is one word without '/'", kUsage);
  const auto keys = transport::load_or_make_keys(directory, name);
  if (!keys) return complain(keys.error());
  print(fmt::format("{} {}\n", keys->public_key, name));
  return complain(fmt::format("{}/{}.key is for that worker alone; put the line above into the scheduler's "
                              "authorized_workers and send it a SIGHUP",
                              directory, name),
                  kOk);
}

int show_audit(const Session& session, const PageOptions& options) {
  const auto part = page_query(options, wall_now());
  if (!part) return complain(part.error().message, kUsage);
  return with_server(session, Need::kReading, [&](ApiClient& client) {
    const auto page = client.get("/audit?" + *part);
    if (!page) return complain(page.error());
    if (session.output.json) {
      print_json(*page);
      return int{kOk};
    }
    std::vector<std::vector<std::string>> rows;
    for (const Value& row : list_of(*page, "items")) rows.push_back(audit_row(row));
    if (rows.empty()) return complain("there is no such row", kOk);
    print(table({"ROW", "AT", "WHO", "FROM", "RESULT", "WHAT", "OF", "DETAIL"}, rows));
    return int{kOk};
  });
}

int verify_audit(const Session& session) {
  return with_server(session, Need::kReading, [&](ApiClient& client) {
    const auto verdict = verdict_of(client);
    if (!verdict) return complain(verdict.error());
    const bool broken = !verdict->find("broken")->is_null();
    if (session.output.json) {
      print_json(*verdict);
    } else if (!broken) {
      print(fmt::format("{} rows are as they were written\nhead {}\n", number_of(*verdict, "rows"),
                        text_of(*verdict, "head")));
    }
    if (!broken) return int{kOk};
    return complain("the audit log was tampered with: " + text_of(*verdict, "why"), kFailure);
  });
}

}  // namespace chappe::cli
