//! A Python environment with what the tests deploy and drive: gunicorn, Flask, a FastCGI server,
//! superlance, a browser, the reader of metrics, and Supervisor itself.
//!
//! Made once and kept under the target directory, so that only the first run needs the network.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::APPCTL;

/// What is installed.
const PACKAGES: [&str; 7] = [
    "flask",
    "flipflop",
    "gunicorn",
    "prometheus_client",
    "selenium",
    "superlance",
    "supervisor",
];

/// The environment's `bin` directory; made if it is not there yet. `Err` says why it cannot be.
pub fn bin() -> Result<PathBuf, String> {
    let root = target_directory().join("trial-venv");
    let bin = root.join("bin");
    let complete = root.join(format!("complete-{}", PACKAGES.join("-")));
    fs::create_dir_all(target_directory()).map_err(|error| error.to_string())?;
    // Several test programs may come here at once.
    let lock = File::create(target_directory().join("trial-venv.lock"))
        .map_err(|error| error.to_string())?;
    lock.lock().map_err(|error| error.to_string())?;
    // What was installed when it was completed: more may have become needed since.
    let packages = PACKAGES.join(" ");
    if fs::read_to_string(&complete).ok().as_ref() != Some(&packages) {
        let _ = fs::remove_dir_all(&root);
        run(Command::new("python3").args(["-m", "venv"]).arg(&root))?;
        run(Command::new(bin.join("pip"))
            .args(["install", "--quiet", "--disable-pip-version-check"])
            .args(PACKAGES))?;
        fs::write(&complete, packages).map_err(|error| error.to_string())?;
    }
    Ok(bin)
}

/// The package's target directory, whatever profile or target triple this binary was built for.
fn target_directory() -> PathBuf {
    let binary = Path::new(APPCTL);
    binary
        .ancestors()
        .filter(|directory| directory.join("CACHEDIR.TAG").exists())
        .last()
        .or_else(|| binary.parent())
        .expect("a binary has a directory")
        .to_owned()
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command
        .output()
        .map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!(
        "{command:?}: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    ))
}
