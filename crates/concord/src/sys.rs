//! The calls of the system that have no safe form: telling the allocator how to treat large pieces, and asking it to give
//! memory back.
//!
//! glibc keeps what was freed in its arenas, a page of it for every byte that is still in use above it. After a flood of
//! connections that is hundreds of megabytes, for ever. Another allocator would give it back by itself, at the price of
//! more memory at rest; this costs nothing until it is needed.

#![allow(unsafe_code, reason = "mallopt and malloc_trim are functions of C")]

/// Pieces from this size on are pages of their own, which go back to the system when they are freed. It is glibc's first
/// value; left alone it raises it to the largest piece ever freed, up to 32 MiB, and large pieces fill the arenas then.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const OWN_PAGES_BYTES: libc::c_int = 128 * 1024;

/// Keeps large pieces out of the arenas from now on; with another C library than glibc this is left to it.
pub(crate) fn keep_large_pieces_apart() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: the function takes two numbers and sets a parameter of the allocator. `main` calls it first, so
    // that no other thread allocates meanwhile, which mallopt(3) asks for.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, OWN_PAGES_BYTES);
    }
}

/// Gives free memory back to the system; with another C library than glibc this is left to it.
pub(crate) fn give_memory_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: the function takes a number, touches nothing but the allocator's own state under its own locks, and may be
    // called from any thread at any time (malloc_trim(3), attribute MT-Safe).
    unsafe {
        libc::malloc_trim(0);
    }
}
