/// \file
/// The API's routes, as data: what they match, what they need, who answers. Access is decided on the route that
/// matched, never on the text of a path.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <variant>

#include "scheduler/api/exchange.h"

namespace chappe::api {

/// What the one who asks must be allowed to do. In the order of the roles (token_book.h).
enum class Permission : std::uint8_t {
  kNone,        ///< Nothing: a health bit.
  kRead,        ///< See runs, logs, assets.
  kOperate,     ///< Trigger, cancel, retry.
  kAuthor,      ///< Bring in DAGs; move aliases.
  kAdminister,  ///< Make and revoke tokens; read the audit log.
};

/// Which threads a handler may keep busy: a slow object store must not stand in the way of the metadata store.
enum class Lane : std::uint8_t { kMetadata, kObjects };

/// Answers on the spot, whatever state the stores are in.
using Constant = Answer (*)();
using Immediate = Answer (*)(Context&, const Request&);
using Deferred = void (*)(Context&, const Request&, Respond);

struct Route {
  Method method;
  std::string_view pattern;
  Permission permission;
  std::size_t body_max;  ///< Bytes; 0: a body is refused.
  Lane lane;
  std::variant<Constant, Immediate, Deferred> handler;
  bool by_secret = false;       ///< Whoever has the secret of `{webhook}` of `{dag}` may, too.
  std::string_view query = {};  ///< Names of the parameters that it knows, with spaces between them.
};

std::span<const Route> routes();

/// What is wrong with the names of a request's query parameters; "": nothing. A filter that is misspelt must not be
/// answered with everything. Probes, scrapes and senders of webhooks may add what they like.
std::string query_problem(const Route& route, const TextPairs& query);

/// OpenAPI 3.1, as YAML.
std::string_view openapi_description();

}  // namespace chappe::api
