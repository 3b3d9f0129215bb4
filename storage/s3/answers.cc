#include "storage/s3/answers.h"

#include <fmt/format.h>

#include <algorithm>
#include <pugixml.hpp>

#include "proto/http/client.h"

namespace chappe::s3 {
namespace {

// The root element, whatever whitespace a slow answer was kept alive with stands before it.
pugi::xml_node parse(pugi::xml_document& document, std::string_view xml) {
  const std::size_t start = std::min(xml.find('<'), xml.size());
  if (!document.load_buffer(xml.data() + start, xml.size() - start)) return {};
  return document.document_element();
}

// Namespace prefixes are the server's to choose.
std::string_view local_name(const pugi::xml_node& node) {
  const std::string_view name = node.name();
  return name.substr(name.find(':') + 1);  // npos + 1 is 0.
}

std::string child_text(const pugi::xml_node& node, std::string_view name) {
  for (const auto& child : node.children()) {
    if (local_name(child) == name) return child.text().get();
  }
  return {};
}

Failure unexpected(std::string_view wanted) {
  return fail(ErrorCode::kUnavailable, fmt::format("S3 answered without the {} that was asked for", wanted));
}

// encoding-type=url: form encoding, in which AWS writes a blank as "+".
Result<std::string> decoded_key(std::string text) {
  std::replace(text.begin(), text.end(), '+', ' ');
  return http::percent_decode(text);
}

Result<ObjectInfo> read_object(const pugi::xml_node& node, bool is_encoded) {
  ObjectInfo info{.key = child_text(node, "Key"), .etag = without_quotes(child_text(node, "ETag"))};
  if (is_encoded) {
    auto key = decoded_key(std::move(info.key));
    if (!key) return fail(std::move(key.error()));
    info.key = std::move(*key);
  }
  info.size = std::strtoull(child_text(node, "Size").c_str(), nullptr, 10);
  info.modified_at = parse_iso8601(child_text(node, "LastModified")).value_or(WallTime{});
  return info;
}

}  // namespace

std::optional<ErrorAnswer> read_error(std::string_view xml) {
  pugi::xml_document document;
  pugi::xml_node root = parse(document, xml);
  if (local_name(root) == "ErrorResponse") root = root.first_child();  // STS wraps it.
  if (local_name(root) != "Error") return std::nullopt;
  return ErrorAnswer{child_text(root, "Code"), child_text(root, "Message"), child_text(root, "Region")};
}

Result<ListPage> read_list_page(std::string_view xml) {
  pugi::xml_document document;
  const pugi::xml_node root = parse(document, xml);
  if (local_name(root) != "ListBucketResult") return unexpected("list of objects");
  const bool is_encoded = child_text(root, "EncodingType") == "url";
  ListPage page;
  for (const auto& child : root.children()) {
    if (local_name(child) != "Contents") continue;
    auto object = read_object(child, is_encoded);
    if (!object) return fail(std::move(object.error()));
    page.objects.push_back(std::move(*object));
  }
  if (child_text(root, "IsTruncated") == "true") page.next = child_text(root, "NextContinuationToken");
  return page;
}

Result<std::string> read_upload_id(std::string_view xml) {
  pugi::xml_document document;
  const pugi::xml_node root = parse(document, xml);
  std::string id = child_text(root, "UploadId");
  if (local_name(root) != "InitiateMultipartUploadResult" || id.empty()) return unexpected("upload id");
  return id;
}

Result<std::string> read_etag(std::string_view xml, std::string_view root_name) {
  pugi::xml_document document;
  const pugi::xml_node root = parse(document, xml);
  if (local_name(root) != root_name) return unexpected(root_name);
  return without_quotes(child_text(root, "ETag"));
}

std::string complete_body(const std::vector<std::string>& part_etags) {
  std::string body = "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">";
  for (std::size_t at = 0; at < part_etags.size(); ++at) {
    body += fmt::format("<Part><PartNumber>{}</PartNumber><ETag>&quot;{}&quot;</ETag></Part>", at + 1, part_etags[at]);
  }
  return body + "</CompleteMultipartUpload>";
}

std::string without_quotes(std::string_view etag) {
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') etag = etag.substr(1, etag.size() - 2);
  return std::string(etag);
}

}  // namespace chappe::s3
