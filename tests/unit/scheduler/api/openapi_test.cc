// The description and the route table must tell the same story: the file is read line by line, as it is kept, so that
// the test needs no YAML library.
#include <gtest/gtest.h>

#include <iterator>
#include <map>
#include <set>
#include <sstream>
#include <string>

#include "scheduler/api/routes.h"
#include "scheduler/api/token_book.h"

namespace chappe::api {
namespace {

std::string upper(std::string text) {
  for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return text;
}

struct Operation {
  bool open_to_all = false;
  bool takes_body = false;
  std::string id;
  std::string role;
  std::set<std::string> query;
};

/// "GET /path" of every operation under `paths:`. Indents: 2 a path, 4 a method, 6 its members.
std::map<std::string, Operation> described() {
  std::map<std::string, Operation> operations;
  std::istringstream lines{std::string(openapi_description())};
  std::string path;
  Operation* operation = nullptr;
  bool in_paths = false;
  for (std::string line; std::getline(lines, line);) {
    const std::size_t indent = line.find_first_not_of(' ');
    if (indent == std::string::npos) continue;
    if (indent == 0) in_paths = line == "paths:";
    if (!in_paths) continue;
    const std::string text = line.substr(indent, line.find(':') - indent);
    if (indent == 2) path = text;
    if (indent == 4 && text != "parameters") operation = &operations[upper(text) + " " + path];
    if (operation != nullptr && line.find("in: query") != std::string::npos) {
      const std::size_t name = line.find("name: ") + 6;
      operation->query.insert(line.substr(name, line.find(',', name) - name));
    }
    for (const auto& [shared, name] : {std::pair{"parameters/Limit\"", "limit"},
                                       {"parameters/After\"", "after"},
                                       {"parameters/Since\"", "since"},
                                       {"parameters/Until\"", "until"}}) {
      if (operation != nullptr && line.find(shared) != std::string::npos) operation->query.insert(name);
    }
    if (indent != 6 || operation == nullptr) continue;
    if (text == "requestBody") operation->takes_body = true;
    if (text == "security") operation->open_to_all = line.ends_with("[]");
    if (text == "operationId") operation->id = line.substr(line.find(": ") + 2);
    if (text == "x-role") operation->role = line.substr(line.find(": ") + 2);
  }
  return operations;
}

std::string key_of(const Route& route) { return std::string(name_of(route.method)) + " " + std::string(route.pattern); }

TEST(OpenApi, DescribesEveryRouteAndNothingMore) {
  std::set<std::string> table, description;
  for (const Route& route : routes()) table.insert(key_of(route));
  for (const auto& [key, operation] : described()) description.insert(key);
  EXPECT_EQ(description, table);
  EXPECT_EQ(table.size(), routes().size()) << "a route stands twice in the table";
}

TEST(OpenApi, SaysWhatNeedsNoToken) {
  const auto operations = described();
  for (const Route& route : routes()) {
    EXPECT_EQ(operations.at(key_of(route)).open_to_all, route.permission == Permission::kNone) << key_of(route);
  }
}

TEST(OpenApi, SaysWhichRoleAnOperationNeeds) {
  const auto operations = described();
  for (const Route& route : routes()) {
    const bool open = route.permission == Permission::kNone;
    EXPECT_EQ(operations.at(key_of(route)).role, open ? "" : name_of(role_for(route.permission))) << key_of(route);
  }
}

TEST(OpenApi, DescribesBodiesOnlyWhereOneIsTaken) {
  const auto operations = described();
  for (const Route& route : routes()) {
    EXPECT_TRUE(route.body_max > 0 || !operations.at(key_of(route)).takes_body) << key_of(route);
  }
}

TEST(OpenApi, DescribesTheQueryParametersThatAreTaken) {
  const auto operations = described();
  for (const Route& route : routes()) {
    std::istringstream words{std::string(route.query)};
    const std::set<std::string> taken{std::istream_iterator<std::string>(words), {}};
    EXPECT_EQ(operations.at(key_of(route)).query, taken) << key_of(route);
  }
}

TEST(OpenApi, NamesEveryOperationOnce) {
  std::set<std::string> ids;
  for (const auto& [key, operation] : described()) EXPECT_TRUE(ids.insert(operation.id).second) << key;
}

TEST(Routes, AreOpenToNobodyButForHealth) {
  for (const Route& route : routes()) {
    const bool health = route.pattern == "/healthz" || route.pattern == "/readyz";
    EXPECT_EQ(route.permission == Permission::kNone, health) << route.pattern;
  }
}

TEST(Routes, ThatChangeSomethingNeedMoreThanReading) {
  for (const Route& route : routes()) {
    const bool reads = route.method == Method::kGet || route.pattern == "/api/v1/plan";  // What it is about is a body.
    EXPECT_TRUE(reads || route.permission > Permission::kRead) << key_of(route);
  }
}

}  // namespace
}  // namespace chappe::api
