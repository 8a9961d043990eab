//! Paths as the configuration format means them: as texts, without asking the disk.

use std::path::{Component, Path, PathBuf};

use super::host::Host;

/// Makes a path absolute from the working directory and takes out `.`, `..` and double slashes,
/// by text alone: a symbolic link before a `..` is not followed.
pub fn absolute(host: &dyn Host, path: &Path) -> PathBuf {
    let mut normal = PathBuf::from("/");
    for component in host.current_dir().join(path).components() {
        match component {
            Component::ParentDir => {
                normal.pop();
            }
            Component::Normal(name) => normal.push(name),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    normal
}

/// Replaces a leading `~` or `~user` by the home directory; unchanged if there is none.
pub fn expand_home(host: &dyn Host, path: &str) -> String {
    let Some(rest) = path.strip_prefix('~') else {
        return path.to_string();
    };
    let (name, rest) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let home = if name.is_empty() {
        match host.environment().remove("HOME") {
            Some(home) => Some(PathBuf::from(home)),
            None => host.user_by_id(host.uid()).map(|user| user.home),
        }
    } else {
        host.user_by_name(name).map(|user| user.home)
    };
    match home {
        Some(home) => {
            let home = home.to_string_lossy();
            match format!("{}{rest}", home.trim_end_matches('/')) {
                empty if empty.is_empty() => "/".to_string(),
                path => path,
            }
        }
        None => path.to_string(),
    }
}

/// [`expand_home`], then [`absolute`].
pub fn normal(host: &dyn Host, path: &str) -> PathBuf {
    absolute(host, Path::new(&expand_home(host, path)))
}

/// The part of a path before its last slash, as `dirname` of Python has it: empty for a plain
/// name, `/` for `/x`.
pub fn directory_part(path: &str) -> &str {
    match path.rfind('/') {
        None => "",
        Some(slash) => match path[..slash].trim_end_matches('/') {
            "" => &path[..=slash],
            directory => directory,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::FakeHost;
    use super::*;

    #[test]
    fn normalises_by_text() {
        let host = FakeHost::new();
        let table = [
            ("x.log", "/work/x.log"),
            ("./a/../b//c", "/work/b/c"),
            ("/../..", "/"),
            ("~/x", "/root/x"),
            ("~www/x", "/srv/www/x"),
            ("~", "/root"),
            ("~nobody-here/x", "/work/~nobody-here/x"),
            ("", "/work"),
        ];
        for (path, expected) in table {
            assert_eq!(normal(&host, path), Path::new(expected), "{path}");
        }
    }

    #[test]
    fn directory_parts() {
        let table = [
            ("x", ""),
            ("/x", "/"),
            ("a/x", "a"),
            ("a//x", "a"),
            ("/a/b/", "/a/b"),
            ("", ""),
        ];
        for (path, expected) in table {
            assert_eq!(directory_part(path), expected, "{path}");
        }
    }
}
