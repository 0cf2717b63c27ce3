//! What were maps called in earlier versions?

/// The name now, and the name in version 4. Both maps mean the same.
pub const RENAMED: [(&str, &str); 3] = [("SLOT_BY_IFINDEX", "IDS"), ("SLOT_CACHE", "SEATS"), ("ADDR_CACHE", "NEARBY")];
