//! libFuzzer on the target of this name.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| holdfast_fuzz::check_named("master_flags", input));
