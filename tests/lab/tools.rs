//! Programs that a test drives and that the machine may lack.

/// Whether this program is there. If not, says what is left out for want of it; where everything is
/// to be tested (`APPCTL_TEST_EVERYTHING`) that is a failure.
#[track_caller]
pub fn has(program: &str, left_out: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|directory| directory.join(program).is_file());
    if !found {
        let everything = std::env::var_os("APPCTL_TEST_EVERYTHING").is_some();
        assert!(!everything, "{program} is missing: {left_out}");
        println!("left out, for want of {program}: {left_out}");
    }
    found
}
