//! libFuzzer's entry: it mutates inputs, the target named by `FUZZ_TARGET` says whether they do harm.
#![no_main]

mod targets;

use std::sync::OnceLock;

use targets::Target;

static TARGET: OnceLock<Target> = OnceLock::new();

fn target() -> Target {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    let found = targets::ALL.into_iter().find(|(known, _)| *known == name);
    let Some((_, target)) = found else {
        let names = targets::ALL.map(|(name, _)| name).join(", ");
        eprintln!("FUZZ_TARGET={name}: there is no such target; there are {names}");
        std::process::exit(2);
    };
    target
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| TARGET.get_or_init(target)(data));
