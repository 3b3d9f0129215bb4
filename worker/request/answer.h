/// \file
/// What a request was answered, as expressions and tasks downstream see it, and whether that is a success. Pure.
#pragma once

#include <optional>
#include <string>

#include "engine/base/value.h"
#include "proto/http/client.h"

namespace chappe::request {

/// {"status": 200, "headers": {...}, "body": ...}: names of headers in lower case, those that came several times joined
/// by ", "; the body as a value where it is JSON and says so, else as a text.
Value answer_value(const http::Response& response);

/// Why it is no success by the condition, an expression over `response`; "": any status from 200 to 299 is one.
/// nullopt: it is.
std::optional<std::string> refusal_of(const std::string& condition, const Value& answer);

/// The first line of a body for people: at most 200 bytes, without what a terminal would obey.
std::string first_line(std::string_view body);

}  // namespace chappe::request
