//! The one call of the system that has no safe form: asking the allocator to give memory back.
//!
//! glibc keeps what was freed in its arenas, a page of it for every byte that is still in use above it. After a flood of
//! connections that is hundreds of megabytes, for ever. Another allocator would give it back by itself, at the price of
//! more memory at rest; this costs nothing until it is needed.

#![allow(unsafe_code, reason = "malloc_trim is a function of C")]

/// Gives free memory back to the system; with another C library than glibc this is left to it.
pub(crate) fn give_memory_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: the function takes a number, touches nothing but the allocator's own state under its own locks, and may be
    // called from any thread at any time (malloc_trim(3), attribute MT-Safe).
    unsafe {
        libc::malloc_trim(0);
    }
}
