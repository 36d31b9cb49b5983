//! Waxwing: kernel.
