//! Python environments with what the tests deploy and what they are driven by.
//!
//! Made once and kept under the target directory, so that only the first run needs the network.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::APPCTL;

/// The `bin` directory of an environment with gunicorn, Flask, a FastCGI server, superlance, a
/// browser, the reader of metrics, and Supervisor itself; made if it is not there yet. `Err` says
/// why it cannot be.
pub fn bin() -> Result<PathBuf, String> {
    let packages = [
        "flask",
        "flipflop",
        "gunicorn",
        "prometheus_client",
        "selenium",
        "superlance",
        "supervisor",
    ];
    let root = environment("trial-venv", &packages, |_| Ok(()))?;
    Ok(root.join("bin"))
}

/// An environment with Ansible, and in `collections` its module for Supervisor. Of the hundred
/// collections that its package brings only that one is taken.
pub fn ansible() -> Result<PathBuf, String> {
    const TAKE: &str = "import glob, sys, zipfile\n\
         wheel = zipfile.ZipFile(glob.glob(sys.argv[1] + '/ansible-*.whl')[0])\n\
         wanted = 'ansible_collections/community/general/'\n\
         names = [name for name in wheel.namelist() if name.startswith(wanted)]\n\
         wheel.extractall(sys.argv[2], names)\n";
    environment("ansible-venv", &["ansible-core"], |root| {
        let wheels = root.join("wheels");
        run(Command::new(root.join("bin/pip"))
            .args(["download", "--quiet", "--disable-pip-version-check"])
            .args(["--no-deps", "ansible", "--dest"])
            .arg(&wheels))?;
        run(Command::new(root.join("bin/python"))
            .args(["-c", TAKE])
            .args([&wheels, &root.join("collections")]))?;
        fs::remove_dir_all(wheels).map_err(|error| error.to_string())
    })
}

/// The environment of that name with these packages, completed by `finish`.
fn environment(
    name: &str,
    packages: &[&str],
    finish: impl FnOnce(&Path) -> Result<(), String>,
) -> Result<PathBuf, String> {
    let root = target_directory().join(name);
    let complete = root.join("complete");
    fs::create_dir_all(target_directory()).map_err(|error| error.to_string())?;
    // Several test programs may come here at once.
    let lock = File::create(target_directory().join(format!("{name}.lock")))
        .map_err(|error| error.to_string())?;
    lock.lock().map_err(|error| error.to_string())?;
    // What was installed when it was completed: more may have become needed since.
    let installed = packages.join(" ");
    if fs::read_to_string(&complete).ok().as_ref() != Some(&installed) {
        let _ = fs::remove_dir_all(&root);
        run(Command::new("python3").args(["-m", "venv"]).arg(&root))?;
        run(Command::new(root.join("bin/pip"))
            .args(["install", "--quiet", "--disable-pip-version-check"])
            .args(packages))?;
        finish(&root)?;
        fs::write(&complete, installed).map_err(|error| error.to_string())?;
    }
    Ok(root)
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
