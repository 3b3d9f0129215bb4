#include "dags/argo/condition.h"

#include <fmt/format.h>

#include <cctype>
#include <utility>

namespace chappe::argo {
namespace {

/// Of terms over one task, one is left.
void add_part(std::vector<Condition>& parts, Condition part, Condition::Kind kind) {
  for (Condition& other : parts) {
    const bool same = part.kind == Condition::Kind::kTerm && other.kind == part.kind && other.task == part.task &&
                      !other.any && !part.any;
    if (!same) continue;
    other.ends = kind == Condition::Kind::kAnd ? other.ends & part.ends : other.ends | part.ends;
    other.bare = other.bare && part.bare;
    return;
  }
  parts.push_back(std::move(part));
}

Condition joined(Condition::Kind kind, std::vector<Condition> parts) {
  Condition out;
  out.kind = kind;
  for (Condition& part : parts) {
    if (part.kind == kind) {
      for (Condition& inner : part.parts) add_part(out.parts, std::move(inner), kind);
    } else {
      add_part(out.parts, std::move(part), kind);
    }
  }
  if (out.parts.empty()) return {};
  if (out.parts.size() == 1) {
    Condition only = std::move(out.parts[0]);
    return only;
  }
  return out;
}

class DependsParser {
 public:
  DependsParser(std::string_view text, const std::function<std::optional<std::size_t>(std::string_view)>& find,
                std::string& problem)
      : text_(text), find_(find), problem_(problem) {}

  std::optional<Condition> parse() {
    Condition out = either(false, 0);
    skip_space();
    if (problem_.empty() && at_ < text_.size()) problem_ = fmt::format("'{}' is too much", text_.substr(at_, 20));
    if (!problem_.empty()) return std::nullopt;
    return out;
  }

 private:
  void skip_space() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_])) != 0) ++at_;
  }

  bool take(std::string_view word) {
    skip_space();
    if (!text_.substr(at_).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }

  /// De Morgan: beneath a negation `||` is `&&`.
  Condition either(bool negated, std::size_t depth) {
    std::vector<Condition> parts;
    do {
      parts.push_back(both(negated, depth));
    } while (problem_.empty() && take("||"));
    return negated ? Condition::all(std::move(parts)) : Condition::either(std::move(parts));
  }

  Condition both(bool negated, std::size_t depth) {
    std::vector<Condition> parts;
    do {
      parts.push_back(single(negated, depth));
    } while (problem_.empty() && take("&&"));
    return negated ? Condition::either(std::move(parts)) : Condition::all(std::move(parts));
  }

  Condition single(bool negated, std::size_t depth) {
    if (depth > kConditionDepthMax) {
      problem_ = "it is nested too deep";
      return {};
    }
    if (take("!")) return single(!negated, depth + 1);
    if (take("(")) {
      Condition out = either(negated, depth + 1);
      if (problem_.empty() && !take(")")) problem_ = "a ')' is missing";
      return out;
    }
    return term(negated);
  }

  Condition term(bool negated) {
    skip_space();
    const std::size_t start = at_;
    while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) != 0 || text_[at_] == '_' ||
                                  text_[at_] == '-' || text_[at_] == '.')) {
      ++at_;
    }
    std::string_view name = text_.substr(start, at_ - start);
    const std::size_t dot = name.rfind('.');
    const std::string_view result = dot == std::string_view::npos ? std::string_view() : name.substr(dot + 1);
    name = name.substr(0, dot);
    const auto found = find_(name);
    if (!found) {
      problem_ = name.empty() ? "a task is missing" : fmt::format("there is no task '{}'", name);
      return {};
    }
    return ends_of(*found, result, dot == std::string_view::npos, negated);
  }

  Condition ends_of(std::size_t task, std::string_view result, bool bare, bool negated) {
    Condition out = Condition::term(task, 0);
    if (++terms_ > kConditionTermsMax) problem_ = "it is too long";
    out.bare = bare && !negated;
    if (bare) out.ends = kBare;
    if (result == "Succeeded" || result == "AnySucceeded") out.ends = kSucceeded;
    if (result == "Failed" || result == "AllFailed") out.ends = kFailed;
    if (result == "Errored") out.ends = kErrored;
    if (result == "Skipped") out.ends = kSkipped;
    if (result == "Omitted") out.ends = kOmitted;
    if (result == "Daemoned") out.ends = kDaemoned;
    out.any = result == "AnySucceeded";
    if (out.ends == 0) problem_ = fmt::format("'{}' is no result of a task", result);
    if (negated) out.ends = kAllEnds & ~out.ends;
    if (negated && (result == "AnySucceeded" || result == "AllFailed")) problem_ = fmt::format("'!' before {}", result);
    return out;
  }

  std::string_view text_;
  const std::function<std::optional<std::size_t>(std::string_view)>& find_;
  std::string& problem_;
  std::size_t at_ = 0;
  std::size_t terms_ = 0;
};

}  // namespace

Condition Condition::term(std::size_t task, unsigned ends) {
  Condition out;
  out.kind = Kind::kTerm;
  out.task = task;
  out.ends = ends;
  return out;
}

Condition Condition::all(std::vector<Condition> parts) {
  std::erase_if(parts, [](const Condition& part) { return part.kind == Kind::kTrue; });
  return joined(Kind::kAnd, std::move(parts));
}

Condition Condition::either(std::vector<Condition> parts) {
  for (const Condition& part : parts) {
    if (part.kind == Kind::kTrue) return {};
  }
  return joined(Kind::kOr, std::move(parts));
}

std::size_t Condition::terms() const {
  std::size_t out = kind == Kind::kTerm ? 1 : 0;
  for (const Condition& part : parts) out += part.terms();
  return out;
}

std::optional<Condition> parse_depends(std::string_view text,
                                       const std::function<std::optional<std::size_t>(std::string_view)>& find,
                                       std::string& problem) {
  problem.clear();
  return DependsParser(text, find, problem).parse();
}

}  // namespace chappe::argo
