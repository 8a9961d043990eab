//! ARCHITECTURE.md is an input of the tests: what it says of imports and dependencies is checked.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn document() -> String {
    fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap()
}

/// Rows of the table under this heading, cell by cell.
fn table(document: &str, heading: &str) -> Vec<Vec<String>> {
    let section = document.split(&format!("## {heading}\n")).nth(1).unwrap();
    section
        .lines()
        .take_while(|line| !line.starts_with("## "))
        .filter(|line| line.starts_with("| "))
        .skip(1)
        .map(|line| {
            line.trim_matches('|')
                .split(" | ")
                .map(|cell| cell.trim().to_owned())
                .collect()
        })
        .collect()
}

fn words_in_backticks(cell: &str) -> BTreeSet<String> {
    cell.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

/// module → modules it may import, "all above" resolved.
fn allowed() -> BTreeMap<String, BTreeSet<String>> {
    let mut above = BTreeSet::new();
    let mut allowed = BTreeMap::new();
    for row in table(&document(), "Modules and what they may import") {
        let module = words_in_backticks(&row[0]).pop_first().unwrap();
        let imports = row.get(2).map(String::as_str).unwrap_or_default();
        let set = if imports == "all above" {
            above.clone()
        } else {
            words_in_backticks(imports)
        };
        above.insert(module.clone());
        allowed.insert(module, set);
    }
    allowed
}

#[test]
fn every_test_that_the_documents_name_is_there() {
    // Without this: a promise is shown by a test that was renamed, or never written.
    let documents = ["docs/faults.md", "docs/security.md", "docs/differences.md"]
        .map(|document| fs::read_to_string(root().join(document)).unwrap());
    let mut missing = Vec::new();
    let lines = documents.iter().flat_map(|document| document.lines());
    let rows = lines.filter(|line| line.starts_with("| "));
    for word in rows.flat_map(words_in_backticks) {
        let Some((file, name)) = word.split_once("::") else {
            continue;
        };
        // An address, such as `[::1]`.
        if file.contains('[') {
            continue;
        }
        let files = match file.strip_prefix("src/") {
            Some(_) => vec![root().join(file)],
            None => ["", "/main"]
                .map(|end| root().join(format!("tests/{file}{end}.rs")))
                .into(),
        };
        let texts: String = files
            .iter()
            .filter_map(|file| fs::read_to_string(file).ok())
            .collect();
        if !texts.contains(&format!("fn {name}(")) {
            missing.push(word);
        }
    }
    assert_eq!(missing, [""; 0]);
}

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_import_is_in_the_table() {
    let allowed = allowed();
    let mut wrong = Vec::new();
    for (module, imports) in &allowed {
        let mut files = Vec::new();
        sources(&root().join("src").join(module), &mut files);
        assert!(!files.is_empty(), "no sources for module {module}");
        for file in files {
            for (number, line) in fs::read_to_string(&file).unwrap().lines().enumerate() {
                let code = line.split("//").next().unwrap_or_default();
                for part in code.split("crate::").skip(1) {
                    let name: String = part
                        .chars()
                        .take_while(|c| c.is_alphanumeric() || *c == '_')
                        .collect();
                    if allowed.contains_key(&name) && name != *module && !imports.contains(&name) {
                        wrong.push(format!("{}:{}: {name}", file.display(), number + 1));
                    }
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "imports that ARCHITECTURE.md does not allow:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn every_folder_of_src_is_in_the_table() {
    let folders: BTreeSet<String> = fs::read_dir(root().join("src"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    assert_eq!(folders, allowed().into_keys().collect());
}

#[test]
fn every_dependency_says_what_it_does_for_us() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let documented: BTreeSet<String> = table(&document(), "Dependencies")
        .iter()
        .flat_map(|row| row[0].split(", ").map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let mut used = BTreeSet::new();
    let mut inside = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line == "[dependencies]" || line == "[dev-dependencies]";
        } else if inside && let Some((name, _)) = line.split_once(" = ") {
            used.insert(name.trim().to_owned());
        }
    }
    assert_eq!(used, documented);
}

#[test]
fn files_stay_readable() {
    let mut files = Vec::new();
    sources(&root().join("src"), &mut files);
    let long: Vec<String> = files
        .iter()
        .filter_map(|file| {
            let lines = fs::read_to_string(file).unwrap().lines().count();
            (lines > 800).then(|| format!("{}: {lines} lines", file.display()))
        })
        .collect();
    assert!(
        long.is_empty(),
        "files over 800 lines hide something:\n{}",
        long.join("\n")
    );
}

#[test]
fn every_file_says_what_it_owns() {
    let mut files = Vec::new();
    sources(&root().join("src"), &mut files);
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        assert!(
            text.starts_with("//! "),
            "{} does not open with its purpose",
            file.display()
        );
    }
}
