#include "storage/s3/multipart_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <future>

#include "engine/base/assert.h"
#include "storage/digest/digest.h"
#include "storage/s3/part_sizes.h"

namespace chappe::s3 {
namespace {

using Buffer = std::vector<std::byte>;

/// A part on its way: its buffer comes back with the answer, to be filled again.
struct SentPart {
  Result<std::string> etag;
  Buffer buffer;
};

class MultipartWriter final : public ObjectWriter {
 public:
  MultipartWriter(std::shared_ptr<S3Client> client, Location at, PutOptions options, std::uint64_t size_hint)
      : client_(std::move(client)), options_(std::move(options)), size_hint_(size_hint) {
    upload_.at = std::move(at);
    upload_.mark = random_hex(16);
    upload_.if_absent = options_.if_absent;
  }

  ~MultipartWriter() override {
    for (auto& part : in_flight_) part.wait();
    // What cannot be aborted now is the sweep's to find.
    if (!upload_.id.empty() && !is_finished_) (void)abort_upload(*client_, upload_.at, upload_.id);
  }

  Result<void> write(std::span<const std::byte> bytes) override {
    CHAPPE_ASSERT(!is_finished_);
    digest_.update(bytes);
    upload_.size += bytes.size();
    while (!bytes.empty()) {
      // A full part leaves only when more comes: what fits one part goes out as one request.
      if (buffer_.size() == part_bytes(next_part_, size_hint_)) {
        if (auto done = send_part(); !done) return done;
      }
      const std::size_t room = part_bytes(next_part_, size_hint_) - buffer_.size();
      const auto piece = bytes.first(std::min(room, bytes.size()));
      if (buffer_.capacity() < buffer_.size() + piece.size()) grow_buffer(piece.size());
      buffer_.insert(buffer_.end(), piece.begin(), piece.end());
      bytes = bytes.subspan(piece.size());
    }
    return {};
  }

  Result<StoredObject> finish() override {
    const std::string sha256 = to_hex(digest_.finish());
    auto info = upload_.id.empty() ? put_object(*client_, upload_.at, {buffer_, sha256}, options_) : finish_upload();
    if (!info) return fail(std::move(info.error()));
    is_finished_ = true;
    return StoredObject{upload_.size, sha256, info->etag, info->store_version};
  }

 private:
  // A part that will be full takes its room at once; else doubling, so that small objects take little.
  void grow_buffer(std::size_t more) {
    const std::size_t part = part_bytes(next_part_, size_hint_);
    const bool will_be_full = next_part_ > 1 || size_hint_ >= part;
    buffer_.reserve(will_be_full ? part : std::min(std::max(buffer_.size() + more, buffer_.capacity() * 2), part));
  }

  Result<void> open() {
    const auto headers = object_headers(options_, upload_.mark);
    if (!headers) return fail(headers.error());
    auto id = open_upload(*client_, upload_.at, *headers);
    if (!id) return fail(std::move(id.error()));
    upload_.id = std::move(*id);
    return {};
  }

  Result<void> send_part() {
    if (next_part_ > kPartsMax)
      return fail(ErrorCode::kInvalidInput, "the object is larger than 10,000 parts can hold");
    if (upload_.id.empty()) {
      if (auto done = open(); !done) return done;
    }
    if (in_flight_.size() >= parts_in_flight(buffer_.size())) {
      if (auto done = take_oldest(); !done) return done;
    }
    in_flight_.push_back(std::async(std::launch::async,
                                    [client = client_, at = upload_.at, id = upload_.id, number = next_part_,
                                     buffer = std::move(buffer_)]() mutable -> SentPart {
                                      auto etag = put_part(*client, at, id, number, buffer);
                                      buffer.clear();
                                      return {std::move(etag), std::move(buffer)};
                                    }));
    ++next_part_;
    buffer_ = std::exchange(spare_, {});
    return {};
  }

  Result<void> take_oldest() {
    SentPart part = in_flight_.front().get();
    in_flight_.pop_front();
    spare_ = std::move(part.buffer);
    if (!part.etag) return fail(std::move(part.etag.error()));
    upload_.part_etags.push_back(std::move(*part.etag));
    return {};
  }

  Result<ObjectInfo> finish_upload() {
    if (auto done = send_part(); !done) return fail(std::move(done.error()));
    while (!in_flight_.empty()) {
      if (auto done = take_oldest(); !done) return fail(std::move(done.error()));
    }
    return complete_upload(*client_, upload_);
  }

  std::shared_ptr<S3Client> client_;
  PutOptions options_;
  std::uint64_t size_hint_;
  OpenUpload upload_;
  Sha256 digest_;
  Buffer buffer_;  ///< The part that fills.
  Buffer spare_;   ///< Of a part that was sent.
  std::uint32_t next_part_ = 1;
  std::deque<std::future<SentPart>> in_flight_;  ///< In the order of their numbers; at most parts_in_flight().
  bool is_finished_ = false;
};

}  // namespace

std::unique_ptr<ObjectWriter> make_multipart_writer(std::shared_ptr<S3Client> client, Location at, PutOptions options,
                                                    std::uint64_t size_hint) {
  return std::make_unique<MultipartWriter>(std::move(client), std::move(at), std::move(options), size_hint);
}

}  // namespace chappe::s3
