#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/exit_code.h"
#include "engine/model/dag.h"
#include "proto/json/json.h"

namespace chappe::cli {
namespace {

/// "decision (yes, no), factor = 1.5, note?"
std::string form_text(const Value& question) {
  std::string text;
  const Value* form = question.find("form");
  if (form == nullptr || form->as_map() == nullptr) return text;
  for (const auto& [name, field] : *form->as_map()) {
    const Value* otherwise = field.find("default");
    const Value* required = field.find("required");
    std::string choices;
    for (const Value& choice : list_of(field, "enum")) choices += (choices.empty() ? "" : ", ") + to_text(choice);
    if (choices.empty()) choices = text_of(field, "type");
    const bool optional = otherwise == nullptr && required != nullptr && *required == Value(false);
    text += fmt::format("{}{}{} ({}){}", text.empty() ? "" : ", ", name, optional ? "?" : "", choices,
                        otherwise == nullptr ? "" : " = " + to_text(*otherwise));
  }
  return text;
}

/// FIELD=VALUE as the form's type says; what no type is known of is taken as text, and the scheduler complains.
Result<Value> read_answers(const Value& task, const std::vector<std::string>& given) {
  ValueMap answers;
  const Value* question = task.find("question");
  const Value* form = question == nullptr ? nullptr : question->find("form");
  for (const std::string& one : given) {
    const std::size_t equals = one.find('=');
    if (equals == std::string::npos || equals == 0) {
      return fail(ErrorCode::kInvalidInput, fmt::format("--set {}: write it as FIELD=VALUE", one));
    }
    const std::string name = one.substr(0, equals);
    const std::string text = one.substr(equals + 1);
    const Value* field = form == nullptr ? nullptr : form->find(name);
    const bool is_text = field == nullptr || text_of(*field, "type") == name_of(ParamType::kString);
    auto parsed = is_text ? Result<Value>(Value(text)) : parse_json(text);
    answers.emplace_back(name, parsed ? *std::move(parsed) : Value(text));
  }
  return Value(std::move(answers));
}

}  // namespace

int list_questions(const Session& session) {
  return with_server(session, Need::kScheduler, [&](ApiClient& client) {
    const auto asked = client.get("/questions?limit=1000");
    if (!asked) return complain(asked.error());
    if (session.output.json) {
      print_json(*asked);
      return int{kOk};
    }
    std::vector<std::vector<std::string>> rows;
    for (const Value& one : list_of(*asked, "items")) {
      const Value* late = one.find("late");
      const bool is_late = late != nullptr && *late == Value(true);
      rows.push_back({text_of(one, "run"), printable(text_of(one, "task")),
                      local_time(one.find("since")) + (is_late ? " (late)" : ""), local_time(one.find("until")),
                      printable(text_of(one, "prompt")), printable(form_text(one))});
    }
    if (rows.empty()) return complain("nobody is asked anything", kOk);
    print(table({"RUN", "TASK", "SINCE", "UNTIL", "QUESTION", "FORM"}, rows));
    print("\nTo answer: chappe human complete RUN TASK --set FIELD=VALUE\n");
    return int{kOk};
  });
}

int answer_question(const Session& session, const std::string& run, const std::string& task,
                    const std::vector<std::string>& answers) {
  return with_server(session, Need::kOwn, [&](ApiClient& client) {
    const std::string path = "/runs/" + segment(run) + "/tasks/" + segment(task);
    const auto asked = client.get(path);
    if (!asked) return complain(asked.error());
    const auto read = read_answers(*asked, answers);
    if (!read) return complain(read.error().message, kUsage);
    const auto told = client.send("POST", path + "/answer", ValueMap{{"answers", *read}});
    if (!told) return complain(told.error());
    if (session.output.json) {
      print_json(*told);
    } else {
      print(fmt::format("{} is answered: {}\n", printable(text_of(*told, "task")),
                        printable(to_json(*told->find("answers")))));
    }
    return int{kOk};
  });
}

}  // namespace chappe::cli
