// Templates of the kind `http`.
#include <fmt/format.h>

#include "dags/argo/workflow.h"

namespace chappe::argo {

using yaml::Node;

void Importer::write_http(Yaml& out, std::size_t task, const Node& http, const Site& site) {
  note_keys(http, {"url", "method", "headers", "body", "timeoutSeconds", "successCondition"}, "of a request,", task);
  Yaml request = Yaml::map();
  const Node* url = http.find("url");
  request.set("url", Yaml::text(url == nullptr ? "" : as_template(resolve(*url, site), task)));
  if (const std::string method = text_of(http, "method"); !method.empty() && method != "GET") {
    request.set("method", Yaml::text(method));
  }
  if (Yaml headers = write_http_headers(task, http, site); !headers.empty()) request.set("headers", std::move(headers));
  if (const Node* body = http.find("body")) request.set("body", Yaml::text(as_template(resolve(*body, site), task)));
  if (const Node* success = http.find("successCondition")) {
    Site answered = site;
    answered.response = true;
    const auto condition = convert_expression(text_of(http, "successCondition"), *success, answered);
    if (!condition)
      note(*success, "'successCondition' is not understood: the task fails until you write 'success'", task);
    request.set("success", Yaml::text(condition ? finish(*condition, task) : "false"));
  }
  out.set("http", std::move(request));
  const Node* timeout = http.find("timeoutSeconds");
  const Node& body = *tasks_[task].body;
  if (body.find("activeDeadlineSeconds") != nullptr || body.find("timeout") != nullptr) return;
  const auto length = timeout == nullptr ? std::nullopt : duration_of(*timeout, task);
  out.set("timeout", Yaml::text(length.value_or("30s")));  // Argo's default.
}

Yaml Importer::write_http_headers(std::size_t task, const Node& http, const Site& site) {
  Yaml headers = Yaml::map();
  for (const Node* header : list_in(&http, "headers")) {
    const std::string name = text_of(*header, "name");
    if (const Node* value = header->find("value"); value != nullptr && !headers.has(name)) {
      headers.set(name, Yaml::text(as_template(resolve(*value, site), task)));
      continue;
    }
    note(*header,
         fmt::format(
             "the header '{}' is left out: say in 'secrets' where its value is, and write ${{{{ secrets.NAME }}}}",
             name),
         task);
  }
  return headers;
}

}  // namespace chappe::argo
