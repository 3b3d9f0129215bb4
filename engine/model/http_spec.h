/// \file
/// A request that a task makes: `http`. A worker sends it, once in an attempt.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/time.h"
#include "engine/expr/expression.h"

namespace chappe {

inline constexpr std::size_t kHttpHeadersMax = 64;                         ///< Of one request.
inline constexpr std::size_t kHttpUrlMax = std::size_t{8} << 10;           ///< Bytes, evaluated.
inline constexpr std::size_t kHttpHeaderMax = std::size_t{16} << 10;       ///< The same of a header's value.
inline constexpr std::size_t kHttpBodyMax = std::size_t{1} << 20;          ///< The same of the body.
inline constexpr std::size_t kHttpAnswerMax = std::size_t{1} << 20;        ///< Bytes of a body that comes back.
inline constexpr std::uint8_t kHttpRedirectsMax = 5;                       ///< That a request follows.
inline constexpr Duration kHttpTimeoutDefault = std::chrono::seconds(60);  ///< Of an attempt, unless its task says.
inline constexpr std::string_view kHttpValues[] = {"status", "body", "headers"};  ///< That each request leaves.
/// What an attempt finds in its work directory when it was answered: all of it as an object, and the body as it is.
inline constexpr std::string_view kHttpAnswerFile = "response.json";
inline constexpr std::string_view kHttpBodyFile = "body";

/// A piece of a text: a template, or a secret, whose value only the worker knows.
struct HttpPiece {
  enum class Form : std::uint8_t {
    kPlain,   ///< As it is.
    kInJson,  ///< Within a JSON string: escaped.
    kJson,    ///< A JSON value of the expression's type.
  };
  expr::Template text;
  std::string secret;  ///< Its name among WorkSpec::secrets; "": there is `text`.
  Form form = Form::kPlain;
  bool operator==(const HttpPiece&) const = default;
};
using HttpText = std::vector<HttpPiece>;

struct HttpSpec {
  std::string method = "GET";
  HttpText url;
  std::vector<std::pair<std::string, HttpText>> headers;  ///< Names unique, whatever their case.
  HttpText body;
  expr::Expression success;  ///< Over `response`; empty: any status from 200 to 299.
  std::uint8_t redirects_max = kHttpRedirectsMax;
};

/// A piece that is evaluated as far as the scheduler can.
struct ResolvedHttpPiece {
  std::string text;
  std::string secret;    ///< Its name; "": there is `text`.
  bool in_json = false;  ///< The secret stands in a JSON string: escaped.
  bool operator==(const ResolvedHttpPiece&) const = default;
};
using ResolvedHttpText = std::vector<ResolvedHttpPiece>;

struct ResolvedHttp {
  std::string method;
  ResolvedHttpText url;
  std::vector<std::pair<std::string, ResolvedHttpText>> headers;
  ResolvedHttpText body;
  std::string success;  ///< An expression over `response`; "": any status from 200 to 299.
  std::uint8_t redirects_max = 0;
  bool operator==(const ResolvedHttp&) const = default;
};

}  // namespace chappe
