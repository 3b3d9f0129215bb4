/// \file
/// Part of the schema: objects of S3 that attempts read. Private to storage/sqlite.
#pragma once

namespace chappe::sqlite {

inline constexpr char kSchema22[] = R"sql(
ALTER TABLE inputs ADD COLUMN s3 TEXT NOT NULL DEFAULT '';
ALTER TABLE inputs ADD COLUMN etag TEXT NOT NULL DEFAULT '';
ALTER TABLE inputs ADD COLUMN store_version TEXT NOT NULL DEFAULT '';
CREATE INDEX inputs_by_s3 ON inputs (s3) WHERE s3 != '';
)sql";

}  // namespace chappe::sqlite
