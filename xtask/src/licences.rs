//! `cargo xtask licences`: every crate of the graph must be usable under a permissive licence.
//!
//! `deny.toml` says the same for those who have cargo-deny; a test below keeps the two lists alike.

use std::collections::BTreeMap;

use anyhow::{Result, bail};

use crate::workspace::{self, Package};

/// Licences that ask for no more than their notice. A copyleft licence passes only as one side of an `OR`.
const ALLOWED: [&str; 13] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Prints how many crates stand under which expression, and fails when one is not permissive.
pub fn run() -> Result<()> {
    let metadata = workspace::metadata(true)?;
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut refused = Vec::new();
    for package in
        metadata.packages.iter().filter(|package| !metadata.workspace_members.contains(&package.id))
    {
        match judge(package) {
            Ok(expression) => *counts.entry(expression).or_default() += 1,
            Err(reason) => refused.push(format!("{} {}: {reason}", package.name, package.version)),
        }
    }
    for (expression, count) in &counts {
        println!("    {count:4}  {expression}");
    }
    if !refused.is_empty() {
        bail!("licences not allowed:\n  {}", refused.join("\n  "));
    }
    Ok(())
}

fn judge(package: &Package) -> Result<String, String> {
    let Some(expression) = &package.license else {
        return Err("states no SPDX licence expression".to_owned());
    };
    // Crates published before SPDX expressions were asked for wrote `MIT/Apache-2.0`.
    let expression = expression.replace('/', " OR ");
    let words = expression.replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = words.split_whitespace().collect();
    let mut parser = Expression { words: &words, position: 0 };
    match parser.either() {
        Some(true) if parser.position == words.len() => Ok(expression),
        Some(false) if parser.position == words.len() => Err(format!("\"{expression}\" is not permissive")),
        _ => Err(format!("\"{expression}\" is not an SPDX expression")),
    }
}

/// A recursive-descent reader of SPDX expressions that yields whether the whole is allowed; `None` when malformed.
struct Expression<'a> {
    words: &'a [&'a str],
    position: usize,
}

impl Expression<'_> {
    fn either(&mut self) -> Option<bool> {
        let mut allowed = self.both()?;
        while self.take("OR") {
            allowed |= self.both()?;
        }
        Some(allowed)
    }

    fn both(&mut self) -> Option<bool> {
        let mut allowed = self.single()?;
        while self.take("AND") {
            allowed &= self.single()?;
        }
        Some(allowed)
    }

    fn single(&mut self) -> Option<bool> {
        if self.take("(") {
            let allowed = self.either()?;
            return self.take(")").then_some(allowed);
        }
        let mut name = self.next()?.to_owned();
        if self.take("WITH") {
            name = format!("{name} WITH {}", self.next()?);
        }
        Some(ALLOWED.contains(&name.as_str()))
    }

    fn take(&mut self, word: &str) -> bool {
        let found = self.words.get(self.position) == Some(&word);
        self.position += usize::from(found);
        found
    }

    fn next(&mut self) -> Option<&str> {
        let word = self.words.get(self.position)?;
        self.position += 1;
        Some(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(license: &str) -> Result<String, String> {
        judge(&Package {
            id: String::new(),
            name: "example".to_owned(),
            version: "1.0.0".to_owned(),
            license: Some(license.to_owned()),
            manifest_path: "example/Cargo.toml".into(),
            dependencies: Vec::new(),
        })
    }

    #[test]
    fn copyleft_passes_only_as_one_side_of_a_choice() {
        assert!(verdict("MIT OR GPL-3.0-only").is_ok());
        assert!(verdict("GPL-3.0-only").is_err());
        assert!(verdict("MIT AND GPL-2.0-or-later").is_err());
        assert!(verdict("(MIT OR Apache-2.0) AND Unicode-3.0").is_ok());
        assert!(verdict("Apache-2.0 WITH LLVM-exception OR GPL-2.0-only").is_ok());
        assert!(verdict("MIT/Apache-2.0").is_ok());
    }

    #[test]
    fn a_malformed_expression_is_refused() {
        for license in ["", "MIT OR", "(MIT", "MIT Apache-2.0", "MIT )"] {
            assert!(verdict(license).is_err(), "{license:?} was allowed");
        }
    }

    #[test]
    fn deny_toml_allows_the_same_licences() {
        let text = std::fs::read_to_string(workspace::root().join("deny.toml")).expect("deny.toml is there");
        let table: toml::Table = toml::from_str(&text).expect("deny.toml is well-formed");
        let listed = table["licenses"]["allow"].as_array().expect("an array of names");
        let listed: Vec<&str> = listed.iter().filter_map(toml::Value::as_str).collect();
        assert_eq!(listed, ALLOWED);
    }
}
