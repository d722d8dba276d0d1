//! System calls without a safe form: they configure how the allocator treats large blocks, and ask it to return
//! memory.
//!
//! glibc keeps freed memory in its arenas: a page stays allocated as long as one byte above it is in use. After a
//! flood of connections this is hundreds of megabytes, permanently. Another allocator would return them by itself,
//! but would use more memory when idle. These calls cost nothing until they are needed.

#![allow(unsafe_code, reason = "mallopt and malloc_trim are functions of C")]

/// Blocks of this size and above get their own pages, which are returned to the system when they are freed. This is
/// glibc's initial value. By default glibc raises it to the largest block ever freed, up to 32 MiB; then large blocks
/// fill the arenas.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const OWN_PAGES_BYTES: libc::c_int = 128 * 1024;

/// Keeps large blocks out of the arenas from now on. Does nothing with another C library than glibc.
pub(crate) fn keep_large_pieces_apart() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: the function takes two numbers and sets a parameter of the allocator. mallopt(3) requires that no other
    // thread allocates at the same time; `main` calls this first, so there is none.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, OWN_PAGES_BYTES);
    }
}

/// Returns free memory to the system. Does nothing with another C library than glibc.
pub(crate) fn give_memory_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: the function takes a number and changes only the allocator's own state, under the allocator's locks.
    // Any thread may call it at any time (malloc_trim(3), attribute MT-Safe).
    unsafe {
        libc::malloc_trim(0);
    }
}
