// Dates in expressions against Python's, whose zones are another reading of the same files.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <memory>
#include <random>
#include <string>

#include "engine/expr/expression.h"

namespace chappe::expr {
namespace {

class NoNames : public Scope {
 public:
  std::optional<Value> resolve(std::span<const std::string>) const override { return std::nullopt; }
};

std::string output_of(const std::string& command) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> pipe(::popen(command.c_str(), "r"), ::pclose);
  std::string out;
  std::array<char, 65'536> buffer{};
  while (const std::size_t size = std::fread(buffer.data(), 1, buffer.size(), pipe.get()))
    out.append(buffer.data(), size);
  return out;
}

/// Lines of EXPRESSION, a tab and its value.
TEST(Zones, AreReadAndReckonedWithAsPythonDoes) {
  constexpr int kCases = 5'000;
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  const std::string told =
      output_of(fmt::format("python3 '{}/tests/integration/calendar/zones.py' {} {}", CHAPPE_SOURCE_DIR, seed, kCases));
  int cases = 0;
  for (std::size_t at = 0; at < told.size();) {
    const std::size_t tab = told.find('\t', at), end = told.find('\n', tab);
    ASSERT_NE(end, std::string::npos);
    const std::string text = told.substr(at, tab - at);
    const auto parsed = Expression::parse(text);
    ASSERT_TRUE(parsed) << text << ": " << parsed.error().message;
    const auto value = parsed->evaluate(NoNames());
    ASSERT_TRUE(value) << text << ": " << value.error().message;
    EXPECT_EQ(to_text(*value), told.substr(tab + 1, end - tab - 1)) << text;
    at = end + 1;
    ++cases;
  }
  EXPECT_GT(cases, kCases / 2);
}

}  // namespace
}  // namespace chappe::expr
