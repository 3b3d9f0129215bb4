#include "engine/model/waits.h"

namespace chappe {
namespace {

Value shown_field(const ParamSpec& field) {
  ValueMap out{{"type", name_of(field.type)}, {"required", field.required}};
  if (!field.description.empty()) out.emplace_back("description", field.description);
  if (field.default_value) out.emplace_back("default", *field.default_value);
  if (!field.enumeration.empty()) out.emplace_back("enum", ValueList(field.enumeration));
  return out;
}

}  // namespace

std::vector<std::string> output_names(const WaitSpec& spec) {
  switch (spec.what) {
    case WaitSpec::For::kTime:
    case WaitSpec::For::kDuration:
      return {"at"};
    case WaitSpec::For::kAsset:
      return {"version", "uri", "published_at", "used_last"};
    case WaitSpec::For::kObject:
      return {"key", "etag", "size"};
    case WaitSpec::For::kFile:
      return {"path", "size", "modified_at"};
    case WaitSpec::For::kHttp:
      return {"url", "status", "etag"};
    case WaitSpec::For::kObjects:
      return {"objects"};
  }
  return {};
}

std::vector<std::string> output_names(const HumanSpec& spec) {
  std::vector<std::string> names;
  for (const ParamSpec& field : spec.form) names.push_back(field.name);
  names.insert(names.end(), {"answered_by", "answered_at"});
  return names;
}

ValueMap shown_form(const HumanSpec& spec) {
  ValueMap form;
  for (const ParamSpec& field : spec.form) form.emplace_back(field.name, shown_field(field));
  return form;
}

}  // namespace chappe
