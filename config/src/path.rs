//! Paths as text: no disk is asked, so links are not known here.

/// A path as seen from the directory of a file.
pub(crate) fn beside(file: &str, path: &str) -> String {
    match file.rfind('/') {
        _ if path.starts_with('/') => path.to_owned(),
        Some(at) => format!("{}{path}", &file[..=at]),
        None => path.to_owned(),
    }
}

/// Whether two paths are one by their letters.
pub(crate) fn same_path(left: &str, right: &str) -> bool {
    normal(left) == normal(right)
}

/// A path without `.`, and without `..` where a directory stands before it.
pub(crate) fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').filter(|part| !matches!(*part, "" | ".")) {
        match part {
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("{}{}", if path.starts_with('/') { "/" } else { "" }, parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_seen_from_the_including_file() {
        assert_eq!(beside("/c/freeswitch.xml", "dialplan/*.xml"), "/c/dialplan/*.xml");
        assert_eq!(beside("freeswitch.xml", "vars.xml"), "vars.xml");
        assert_eq!(beside("a/b.xml", "/etc/x.xml"), "/etc/x.xml");
    }

    #[test]
    fn detours_lead_to_the_same_path() {
        assert!(same_path("a/../b/./c.xml", "b//c.xml"));
        assert!(!same_path("/b/c.xml", "b/c.xml"));
        assert!(!same_path("../../c.xml", "../c.xml"));
    }
}
