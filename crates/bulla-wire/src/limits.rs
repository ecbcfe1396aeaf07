//! Every limit of format version 1, by name. A reader refuses what exceeds them before it allocates anything.

/// Largest payload a log takes unless it was opened with another limit.
pub const RECORD_BYTES_MAX_DEFAULT: u32 = 1 << 20;
/// Largest payload any log may be set to take.
pub const RECORD_BYTES_MAX: u32 = 64 << 20;
/// Most that one record's header, salt included, adds to its payload in a frame body.
pub const RECORD_OVERHEAD_MAX: u32 = 64;
/// Largest frame body, stored or plain: one record of the largest size in a frame of its own.
pub const FRAME_BODY_MAX: u32 = RECORD_BYTES_MAX + RECORD_OVERHEAD_MAX;
/// Most records in one frame.
pub const RECORDS_PER_FRAME_MAX: u32 = 1 << 16;
/// Largest sum of payloads in one atomic batch, unless a single record is larger.
pub const BATCH_BYTES_MAX: u64 = 16 << 20;
/// Most records in one atomic batch.
pub const BATCH_RECORDS_MAX: u64 = 1 << 20;
/// Body length at which a writer closes a frame that is not compressed.
pub const FRAME_TARGET_BYTES: u32 = 4 << 10;
/// Frame bytes that one index entry covers: the frame that reaches them is the entry's last.
pub const INDEX_STRIDE_BYTES: u64 = 4 << 10;
/// Most entries in one index page.
pub const INDEX_PAGE_ENTRIES_MAX: u32 = 512;
/// Largest segment file a writer makes; the last batch may exceed it.
pub const SEGMENT_BYTES_MAX: u64 = 16 << 30;
/// Smallest segment size a log may be set to.
pub const SEGMENT_BYTES_MIN: u64 = 4 << 10;
/// Largest body of a footer or close frame.
pub const FOOTER_BODY_MAX: u32 = 1 << 20;
/// Most digests in a frontier: one for each bit of a size.
pub const FRONTIER_HASHES_MAX: u32 = 64;

const _: () = assert!(FRAME_BODY_MAX < u32::MAX / 2, "lengths are u32 and are added to header lengths");

#[cfg(test)]
mod tests {
    use super::*;

    /// The limits are part of the format: what one build writes, every other one must take.
    #[test]
    fn the_limits_are_those_of_version_1() {
        for (name, limit, expected) in [
            ("record bytes by default", u64::from(RECORD_BYTES_MAX_DEFAULT), 1_048_576),
            ("record bytes", u64::from(RECORD_BYTES_MAX), 67_108_864),
            ("record overhead", u64::from(RECORD_OVERHEAD_MAX), 64),
            ("frame body", u64::from(FRAME_BODY_MAX), 67_108_928),
            ("records per frame", u64::from(RECORDS_PER_FRAME_MAX), 65_536),
            ("batch bytes", BATCH_BYTES_MAX, 16_777_216),
            ("batch records", BATCH_RECORDS_MAX, 1_048_576),
            ("frame target", u64::from(FRAME_TARGET_BYTES), 4_096),
            ("index stride", INDEX_STRIDE_BYTES, 4_096),
            ("entries per index page", u64::from(INDEX_PAGE_ENTRIES_MAX), 512),
            ("largest segment", SEGMENT_BYTES_MAX, 17_179_869_184),
            ("smallest segment", SEGMENT_BYTES_MIN, 4_096),
            ("footer body", u64::from(FOOTER_BODY_MAX), 1_048_576),
            ("frontier", u64::from(FRONTIER_HASHES_MAX), 64),
        ] {
            assert_eq!(limit, expected, "{name}");
        }
    }
}
