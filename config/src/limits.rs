//! What a configuration may cost at most: each limit with its reason.
//!
//! A configuration is written by people who are trusted, but also by scripts, templates and provisioning
//! systems that go wrong. A reload that is too big must be refused while the running configuration stays,
//! and must not take the memory of the calls.

/// Bytes of one file. The largest hand-written files known are tens of kilobytes; provisioned directories
/// of users reach a few megabytes.
pub const FILE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Bytes of all lines of all files after `$${}` replacement, dropped lines included: the work of one load.
pub const EXPANDED_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Lines that are not empty, with the `$${}` in them: the memory of the source map (20 bytes each).
pub const LINES_MAX: usize = 1024 * 1024;

/// `$${}` references in one line.
pub const REFERENCES_PER_LINE_MAX: usize = 16 * 1024;

/// Bytes of one global variable's value. Bounds the growth of `a=$${a}$${a}`.
pub const GLOBAL_VALUE_BYTES_MAX: usize = 64 * 1024;

/// Global variables; installations define hundreds.
pub const GLOBALS_MAX: usize = 16_384;

/// Files within files, as in FreeSWITCH.
pub const INCLUDE_DEPTH_MAX: usize = 100;

/// Files read in one load. A directory of one file per user comes near it; ten thousand is a mistake.
pub const INCLUDE_FILES_MAX: usize = 8_192;

/// Elements within elements. FreeSWITCH allows 100 nested conditions, inside four levels of wrapping.
pub const ELEMENT_DEPTH_MAX: usize = 256;

/// Elements and attributes together: the memory of the tree (about 80 bytes each beside their text).
pub const NODES_MAX: usize = 512 * 1024;

/// Attributes of one element.
pub const ATTRIBUTES_MAX: usize = 256;

/// Problems kept of each severity; further ones are counted only.
pub const PROBLEMS_MAX: usize = 1_000;

const _: () = {
    assert!(FILE_BYTES_MAX < EXPANDED_BYTES_MAX);
    // Offsets into the expanded text are 32 bits wide; one more line than the limit may be pending.
    assert!(EXPANDED_BYTES_MAX < u32::MAX as usize / 2);
    assert!(GLOBAL_VALUE_BYTES_MAX < EXPANDED_BYTES_MAX);
    assert!(ELEMENT_DEPTH_MAX > 100 + 4);
};
