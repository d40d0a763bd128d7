//! A Rust file as the rules see it: parsed once, test code told apart.

use proc_macro2::{TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// One parsed file.
pub struct Source {
    /// Path relative to the root.
    pub path: String,
    /// Its lines.
    pub lines: Vec<String>,
    /// Lines before the first test module.
    pub lines_before_tests: usize,
    /// Functions outside of tests.
    pub functions: Vec<Function>,
    /// Paths named outside of tests, `use` trees flattened, those inside of macros included.
    pub names: Vec<Name>,
    /// Where the word `unsafe` stands, tests included.
    pub unsafe_lines: Vec<usize>,
    /// `unsafe { … }` blocks, tests included: first and last line.
    pub unsafe_blocks: Vec<(usize, usize)>,
}

/// One function with a body.
pub struct Function {
    /// Its name.
    pub name: String,
    /// The line of its signature.
    pub line: usize,
    /// Lines from the signature to the closing brace, blank ones and comments not counted.
    pub lines: usize,
}

/// A path such as `std::fs::read`.
pub struct Name {
    /// Its segments joined by `::`.
    pub path: String,
    /// The line it stands on.
    pub line: usize,
}

impl Source {
    /// Parses the file.
    pub fn parse(path: &str, content: String) -> syn::Result<Source> {
        let file = syn::parse_file(&content)?;
        let lines: Vec<String> = content.lines().map(str::to_owned).collect();
        let mut visitor = Visitor { in_tests: is_test_file(path), ..Visitor::default() };
        visitor.first_test_line = if visitor.in_tests { Some(1) } else { None };
        visitor.visit_file(&file);
        let mut unsafe_lines = Vec::new();
        collect_unsafe(content.parse().unwrap_or_default(), &mut unsafe_lines);
        let functions = visitor
            .functions
            .into_iter()
            .map(|(name, first, last)| Function {
                name,
                line: first,
                lines: code_lines(&lines[first - 1..last]),
            })
            .collect();
        Ok(Source {
            path: path.to_owned(),
            lines_before_tests: visitor.first_test_line.map_or(lines.len(), |line| line - 1),
            lines,
            functions,
            names: visitor.names,
            unsafe_lines,
            unsafe_blocks: visitor.unsafe_blocks,
        })
    }
}

/// A file that is a unit-test module of its own: `foo/tests.rs`, or what lies in `foo/tests/`, below a `src`.
fn is_test_file(path: &str) -> bool {
    path.split_once("/src/").is_some_and(|(_, below)| {
        below == "tests.rs"
            || below.ends_with("/tests.rs")
            || below.starts_with("tests/")
            || below.contains("/tests/")
    })
}

fn code_lines(lines: &[String]) -> usize {
    lines.iter().map(|line| line.trim()).filter(|line| !line.is_empty() && !line.starts_with("//")).count()
}

fn collect_unsafe(tokens: TokenStream, lines: &mut Vec<usize>) {
    for token in tokens {
        match token {
            TokenTree::Ident(word) if word == "unsafe" => lines.push(word.span().start().line),
            TokenTree::Group(group) => collect_unsafe(group.stream(), lines),
            TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}

#[derive(Default)]
struct Visitor {
    in_tests: bool,
    first_test_line: Option<usize>,
    functions: Vec<(String, usize, usize)>,
    names: Vec<Name>,
    unsafe_blocks: Vec<(usize, usize)>,
}

impl Visitor {
    fn function(&mut self, signature: &syn::Signature, body: &syn::Block) {
        if !self.in_tests {
            let first = signature.span().start().line;
            self.functions.push((signature.ident.to_string(), first, body.span().end().line));
        }
    }

    fn name(&mut self, path: String, line: usize) {
        if !self.in_tests {
            self.names.push(Name { path, line });
        }
    }

    /// Runs `inside` with test code told apart when one of `attributes` says so.
    fn within(&mut self, attributes: &[syn::Attribute], inside: impl FnOnce(&mut Visitor)) {
        let before = self.in_tests;
        self.in_tests |= attributes.iter().any(is_test_attribute);
        inside(self);
        self.in_tests = before;
    }

    fn use_tree(&mut self, prefix: &str, tree: &syn::UseTree) {
        let join = |name: &str| if prefix.is_empty() { name.to_owned() } else { format!("{prefix}::{name}") };
        match tree {
            syn::UseTree::Path(path) => self.use_tree(&join(&path.ident.to_string()), &path.tree),
            syn::UseTree::Name(name) => self.name(join(&name.ident.to_string()), name.span().start().line),
            syn::UseTree::Rename(name) => self.name(join(&name.ident.to_string()), name.span().start().line),
            syn::UseTree::Glob(star) => self.name(prefix.to_owned(), star.span().start().line),
            syn::UseTree::Group(group) => group.items.iter().for_each(|tree| self.use_tree(prefix, tree)),
        }
    }

    /// Paths inside of a macro's arguments, which are not parsed: words joined by `::`.
    fn macro_tokens(&mut self, tokens: TokenStream) {
        let mut path = String::new();
        let mut line = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(word) => {
                    if !path.ends_with("::") {
                        self.flush(&mut path, line);
                        line = word.span().start().line;
                    }
                    path.push_str(&word.to_string());
                }
                TokenTree::Punct(mark) if mark.as_char() == ':' && !path.is_empty() => path.push(':'),
                TokenTree::Group(group) => {
                    self.flush(&mut path, line);
                    self.macro_tokens(group.stream());
                }
                TokenTree::Punct(mark) if mark.as_char() == '!' && !path.is_empty() => path.push('!'),
                TokenTree::Punct(_) | TokenTree::Literal(_) => self.flush(&mut path, line),
            }
        }
        self.flush(&mut path, line);
    }

    fn flush(&mut self, path: &mut String, line: usize) {
        if !path.is_empty() {
            self.name(path.trim_end_matches(':').to_owned(), line);
            path.clear();
        }
    }
}

/// `#[test]` and `#[cfg(test)]`, also with `all(…)`; what is built outside of tests as well is not test code.
fn is_test_attribute(attribute: &syn::Attribute) -> bool {
    if attribute.path().is_ident("test") {
        return true;
    }
    let syn::Meta::List(list) = &attribute.meta else {
        return false;
    };
    let words: Vec<String> =
        list.tokens.to_string().split(|c: char| !c.is_alphanumeric()).map(str::to_owned).collect();
    let has = |word: &str| words.iter().any(|other| other == word);
    list.path.is_ident("cfg") && has("test") && !has("not") && !has("any")
}

fn item_attributes(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Const(item) => &item.attrs,
        syn::Item::Enum(item) => &item.attrs,
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Macro(item) => &item.attrs,
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Static(item) => &item.attrs,
        syn::Item::Struct(item) => &item.attrs,
        syn::Item::Trait(item) => &item.attrs,
        syn::Item::Type(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

impl<'ast> Visit<'ast> for Visitor {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        let attributes = item_attributes(item);
        let is_tests = matches!(item, syn::Item::Mod(module) if module.content.is_some())
            && attributes.iter().any(is_test_attribute);
        if is_tests && self.first_test_line.is_none() {
            self.first_test_line = Some(item.span().start().line);
        }
        self.within(attributes, |visitor| visit::visit_item(visitor, item));
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.within(&item.attrs, |visitor| {
            visitor.function(&item.sig, &item.block);
            visit::visit_impl_item_fn(visitor, item);
        });
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(body) = &item.default {
            self.function(&item.sig, body);
        }
        visit::visit_trait_item_fn(self, item);
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.use_tree("", &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.name(segments.join("::"), path.span().start().line);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        // A macro's own name ends with the mark, so that `print!` is told from a function `print`.
        let segments: Vec<String> =
            item.path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.name(format!("{}!", segments.join("::")), item.path.span().start().line);
        self.macro_tokens(item.tokens.clone());
    }

    fn visit_expr_unsafe(&mut self, block: &'ast syn::ExprUnsafe) {
        self.unsafe_blocks.push((block.span().start().line, block.span().end().line));
        visit::visit_expr_unsafe(self, block);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = "//! Doc.\nuse std::{fs, net::{IpAddr, UdpSocket as Socket}};\n\
        fn long() {\n    // why\n\n    let _ = format!(\"{:?}\", std::time::Instant::now());\n}\n\
        #[cfg(test)]\nmod tests {\n    use std::thread;\n    fn helper() {}\n}\n";

    #[test]
    fn names_are_found_in_use_trees_and_macros_but_not_in_tests() {
        let source = Source::parse("link/src/lib.rs", EXAMPLE.to_owned()).expect("parses");
        let names: Vec<&str> = source.names.iter().map(|name| name.path.as_str()).collect();
        for expected in ["std::fs", "std::net::IpAddr", "std::net::UdpSocket", "std::time::Instant::now"] {
            assert!(names.contains(&expected), "{expected} not in {names:?}");
        }
        assert!(!names.contains(&"std::thread"));
    }

    #[test]
    fn lengths_count_code_and_stop_at_the_tests() {
        let source = Source::parse("link/src/lib.rs", EXAMPLE.to_owned()).expect("parses");
        assert_eq!(source.lines_before_tests, 7);
        let functions: Vec<_> = source.functions.iter().map(|f| (f.name.as_str(), f.line, f.lines)).collect();
        assert_eq!(functions, [("long", 3, 3)]);
    }

    #[test]
    fn a_tests_file_below_src_is_test_code() {
        let source = Source::parse("link/src/spsc/tests.rs", "//! Doc.\nuse std::thread;\n".to_owned())
            .expect("parses");
        assert_eq!((source.names.len(), source.lines_before_tests), (0, 0));
    }
}
