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
