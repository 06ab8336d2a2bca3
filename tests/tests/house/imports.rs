//! Reads Rust sources and tells which file uses which: `use` trees and paths in code, followed through `pub use`.
//! Comments, documentation and everything under `#[cfg(test)]` do not count.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A path into a module tree: `["ops", "def"]`; the crate's root is empty.
pub type Module = Vec<String>;

/// One source file's imports.
#[derive(Default)]
pub struct File {
    /// Modules of the same crate that it uses.
    pub inner: BTreeSet<Module>,
    /// Paths into other crates, `std` among them.
    pub outer: BTreeSet<String>,
    /// Text literals in code.
    pub literals: BTreeSet<String>,
}

/// What one file says, before names are resolved.
#[derive(Default)]
struct Raw {
    paths: Vec<Module>,
    names: BTreeMap<String, Module>,
    exports: BTreeMap<String, Module>,
    literals: BTreeSet<String>,
}

/// Every file below `src`, by module.
pub fn read_crate(src: &Path) -> BTreeMap<Module, File> {
    let mut raw = BTreeMap::new();
    for path in files(src, "rs") {
        let mut module: Module = path
            .strip_prefix(src)
            .unwrap()
            .with_extension("")
            .iter()
            .map(|p| p.to_str().unwrap().into())
            .collect();
        if matches!(module.last().unwrap().as_str(), "mod" | "lib" | "main") {
            module.pop();
        }
        if module.last().is_some_and(|m| m == "tests") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let tokens: TokenStream = text.parse().unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let mut one = Raw::default();
        one.read(tokens);
        raw.insert(module, one);
    }
    raw.keys().map(|module| (module.clone(), resolve(&raw, module))).collect()
}

/// Files below `dir` with this extension, sorted.
pub fn files(dir: &Path, extension: &str) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display())) {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|e| e == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

impl Raw {
    fn read(&mut self, tokens: TokenStream) {
        let mut rest = tokens.into_iter().peekable();
        let mut public = false;
        while let Some(token) = rest.next() {
            match token {
                TokenTree::Punct(p) if p.as_char() == '#' => {
                    if rest.peek().is_some_and(|t| matches!(t, TokenTree::Punct(p) if p.as_char() == '!')) {
                        rest.next();
                    }
                    let attribute = rest.next().map(|t| t.to_string().replace(' ', "")).unwrap_or_default();
                    if attribute == "[cfg(test)]" {
                        skip_item(&mut rest);
                    }
                }
                TokenTree::Group(group) => {
                    self.read(group.stream());
                    public &= group.delimiter() == Delimiter::Parenthesis; // pub(crate) use
                    continue;
                }
                TokenTree::Literal(literal) => {
                    let text = literal.to_string();
                    if let Some(text) = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')) {
                        self.literals.insert(text.into());
                    }
                }
                TokenTree::Ident(ident) if ident == "pub" => {
                    public = true;
                    continue;
                }
                TokenTree::Ident(ident) if ident == "use" => {
                    let tree: Vec<TokenTree> = rest
                        .by_ref()
                        .take_while(|t| !matches!(t, TokenTree::Punct(p) if p.as_char() == ';'))
                        .collect();
                    self.read_use(&tree, &[], public);
                }
                TokenTree::Ident(ident) => {
                    let mut path = vec![ident.to_string()];
                    while is_path_sep(&mut rest) {
                        match rest.peek() {
                            Some(TokenTree::Ident(next)) => path.push(next.to_string()),
                            _ => break,
                        }
                        rest.next();
                    }
                    if path.len() > 1 {
                        self.paths.push(path);
                    }
                }
                TokenTree::Punct(_) => {}
            }
            public = false;
        }
    }

    /// One tree after `use`: a path that ends in a name, `*`, `{…}` or `as name`.
    fn read_use(&mut self, tree: &[TokenTree], prefix: &[String], public: bool) {
        let mut path = prefix.to_vec();
        let mut name = None;
        let mut tokens = tree.iter();
        while let Some(token) = tokens.next() {
            match token {
                TokenTree::Ident(ident) if ident == "as" => name = tokens.next().map(|t| t.to_string()),
                TokenTree::Ident(ident) => path.push(ident.to_string()),
                TokenTree::Punct(p) if p.as_char() == '*' => {
                    if !public {
                        self.paths.push(path);
                    }
                    return;
                }
                TokenTree::Group(group) => {
                    let all: Vec<TokenTree> = group.stream().into_iter().collect();
                    for one in all.split(|t| matches!(t, TokenTree::Punct(p) if p.as_char() == ',')) {
                        if !one.is_empty() {
                            self.read_use(one, &path, public);
                        }
                    }
                    return;
                }
                _ => {}
            }
        }
        if path.last().is_some_and(|l| l == "self") {
            path.pop();
        }
        let Some(name) = name.or_else(|| path.last().cloned()) else { return };
        if public {
            self.exports.insert(name, path);
        } else {
            self.paths.push(path.clone());
            self.names.insert(name, path);
        }
    }
}

/// Takes `::` if it comes next.
fn is_path_sep(rest: &mut std::iter::Peekable<impl Iterator<Item = TokenTree>>) -> bool {
    let colon = |t: &TokenTree| matches!(t, TokenTree::Punct(p) if p.as_char() == ':' && p.spacing() == proc_macro2::Spacing::Joint);
    if !rest.peek().is_some_and(colon) {
        return false;
    }
    rest.next();
    rest.next();
    true
}

/// Leaves out one item: up to `;` or through the first `{…}`.
fn skip_item(rest: &mut impl Iterator<Item = TokenTree>) {
    for token in rest {
        match token {
            TokenTree::Punct(p) if p.as_char() == ';' => return,
            TokenTree::Group(g) if g.delimiter() == Delimiter::Brace => return,
            _ => {}
        }
    }
}

fn resolve(raw: &BTreeMap<Module, Raw>, module: &Module) -> File {
    let mut file = File { literals: raw[module].literals.clone(), ..File::default() };
    for path in &raw[module].paths {
        match locate(raw, module, path, 0) {
            Ok(target) if target != *module && !target.is_empty() => drop(file.inner.insert(target)),
            Ok(_) => {}
            Err(outer) => drop(file.outer.insert(outer.join("::"))),
        }
    }
    file
}

/// The module of this crate in which `path`, written in `module`, is defined; as an error, the path into another crate.
fn locate(
    raw: &BTreeMap<Module, Raw>,
    module: &Module,
    path: &[String],
    depth: usize,
) -> Result<Module, Module> {
    let mut here = module.clone();
    let mut rest = path;
    let mut anchored = false;
    while let Some(first) = rest.first() {
        match first.as_str() {
            "crate" => here.clear(),
            "self" => {}
            "super" => drop(here.pop()),
            _ => break,
        }
        anchored = true;
        rest = &rest[1..];
    }
    let Some(first) = rest.first() else { return Ok(here) };
    if depth > 8 {
        return Ok(here);
    }
    let child = [here.as_slice(), std::slice::from_ref(first)].concat();
    if raw.contains_key(&child) {
        let below: Module = std::iter::once("self".into()).chain(rest[1..].iter().cloned()).collect();
        return locate(raw, &child, &below, depth + 1);
    }
    let said = &raw[&here];
    let names = if anchored && here != *module { &said.exports } else { &said.names };
    if let Some(target) = names.get(first).or_else(|| said.exports.get(first)) {
        let full: Module = target.iter().chain(&rest[1..]).cloned().collect();
        return if target.first() == Some(first) { Err(full) } else { locate(raw, &here, &full, depth + 1) };
    }
    if anchored || first.starts_with(char::is_uppercase) { Ok(here) } else { Err(rest.to_vec()) }
}
