//! The C library's heap, kept small: every start copies the page tables of what is in it, and
//! reading a configuration leaves more holes in it than it keeps.

/// Makes all threads share one heap. Each would get its own otherwise, which is for programs that
/// allocate all the time. Before there are other threads.
#[allow(unsafe_code)]
pub fn share_one_heap() {
    // SAFETY: it sets a number.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Gives memory that is not in use back to the kernel. Takes a millisecond or so.
#[allow(unsafe_code)]
pub fn give_back_memory() {
    // SAFETY: it touches only what is not in use, under the heap's own lock.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
}
