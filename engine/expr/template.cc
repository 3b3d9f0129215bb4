#include <fmt/format.h>

#include "engine/base/assert.h"
#include "engine/expr/expression.h"
#include "engine/expr/functions.h"
#include "engine/expr/lexer.h"

namespace chappe::expr {
namespace {

constexpr std::string_view kOpen = "${{";
constexpr std::string_view kClose = "}}";

/// Where the expression that starts at `at` is closed, quoted texts left aside; npos where it never is.
std::size_t find_close(std::string_view text, std::size_t at) {
  while (at < text.size()) {
    if (text[at] == '\'' || text[at] == '"') {
      at = end_of_quoted(text, at);
    } else if (text.substr(at).starts_with(kClose)) {
      return at;
    } else {
      ++at;
    }
  }
  return std::string_view::npos;
}

}  // namespace

tl::expected<Template, SyntaxError> Template::parse(std::string_view text) {
  Template out;
  out.text_ = text;
  std::string before;
  std::size_t at = 0;
  for (;;) {
    const std::size_t open = text.find(kOpen, at);
    if (open == std::string_view::npos) break;
    if (open > at && text[open - 1] == '$') {
      before.append(text, at, open - 1 - at).append(kOpen);
      at = open + kOpen.size();
      continue;
    }
    before.append(text, at, open - at);
    const std::size_t start = open + kOpen.size();
    const std::size_t close = find_close(text, start);
    if (close == std::string_view::npos) return tl::unexpected(SyntaxError{open, "'${{' is never closed by '}}'"});
    auto expression = Expression::parse(text.substr(start, close - start));
    if (!expression) return tl::unexpected(SyntaxError{start + expression.error().offset, expression.error().message});
    out.parts_.push_back({std::move(before), std::move(*expression), start});
    before.clear();
    at = close + kClose.size();
  }
  out.after_ = std::move(before.append(text, at));
  return out;
}

Template Template::literal(std::string text) {
  Template out;
  for (std::size_t at = 0;;) {
    const std::size_t open = text.find(kOpen, at);
    out.text_.append(text, at, open == std::string::npos ? open : open - at);
    if (open == std::string::npos) break;
    (out.text_ += '$') += kOpen;
    at = open + kOpen.size();
  }
  out.after_ = std::move(text);
  return out;
}

Result<Value> Template::evaluate(const Scope& scope) const {
  if (parts_.size() == 1 && parts_[0].before.empty() && after_.empty()) return parts_[0].expression.evaluate(scope);
  std::string out;
  for (const Part& part : parts_) {
    auto value = part.expression.evaluate(scope);
    if (!value) return value;
    (out += part.before) += to_text(*value);
    if (out.size() > expanded_max()) return too_long();
  }
  return Value(std::move(out += after_));
}

Result<std::string> Template::expand(const Scope& scope) const {
  auto value = evaluate(scope);
  if (!value) return fail(std::move(value.error()));
  std::string text = to_text(*value);
  if (text.size() > expanded_max()) return too_long();
  return text;
}

/// Literal text may be as long as the file allows; it is what expressions add that is bounded.
std::size_t Template::expanded_max() const { return text_.size() + kTextBytesMax; }

Failure Template::too_long() const {
  return fail(ErrorCode::kInvalidInput, fmt::format("the expanded text has over {} bytes", expanded_max()));
}

const std::string& Template::literal_text() const {
  CHAPPE_ASSERT(is_literal());
  return after_;
}

std::vector<Expression> Template::expressions() const {
  std::vector<Expression> out;
  for (const Part& part : parts_) out.push_back(part.expression);
  return out;
}

std::vector<Template> Template::split() const {
  std::vector<Template> out;
  for (const Part& part : parts_) {
    if (!part.before.empty()) out.push_back(literal(part.before));
    Template whole;
    whole.text_ = fmt::format("{}{}{}", kOpen, part.expression.text(), kClose);
    whole.parts_.push_back({"", part.expression, kOpen.size()});
    out.push_back(std::move(whole));
  }
  if (!after_.empty()) out.push_back(literal(after_));
  return out;
}

std::vector<Reference> Template::references() const {
  std::vector<Reference> out;
  for (const Part& part : parts_) {
    for (Reference reference : part.expression.references()) {
      reference.offset += part.offset;
      out.push_back(std::move(reference));
    }
  }
  return out;
}

}  // namespace chappe::expr
