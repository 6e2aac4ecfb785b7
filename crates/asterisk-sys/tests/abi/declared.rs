//! Finds the declarations in our headers with a simple parser, for which the headers are plain enough.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

#[derive(Default)]
pub struct Declared {
    /// The text of each header, by the name used in `#include`.
    pub headers: BTreeMap<String, String>,
    /// Whether `read_with` changed anything.
    pub changed: bool,
    pub structs: BTreeSet<String>,
    pub opaque: BTreeSet<String>,
    pub enums: BTreeSet<String>,
    pub enumerators: BTreeSet<String>,
    pub typedefs: BTreeSet<String>,
    pub macros: BTreeSet<String>,
    pub functions: BTreeSet<String>,
    pub variables: BTreeSet<String>,
}

impl Declared {
    pub fn read() -> Self {
        Self::read_with(str::to_owned)
    }

    /// Reads the headers as they would be after `edit`.
    pub fn read_with(edit: impl Fn(&str) -> String) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../asterisk-headers");
        let mut declared = Self::default();
        for path in headers_below(&root) {
            let text = fs::read_to_string(&path).expect("a readable header");
            let edited = edit(&text);
            declared.changed |= edited != text;
            declared.take_in(&edited);
            let name = path.strip_prefix(&root).expect("below the root").display().to_string();
            declared.headers.insert(name, edited);
        }
        assert!(declared.structs.len() > 30 && declared.functions.len() > 100, "the headers were not understood");
        declared
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        [
            &self.structs,
            &self.opaque,
            &self.enums,
            &self.enumerators,
            &self.typedefs,
            &self.macros,
            &self.functions,
            &self.variables,
        ]
        .into_iter()
        .flatten()
        .map(String::as_str)
    }

    /// The functions and variables that the linker would have to find in the host.
    pub fn linkable(&self) -> impl Iterator<Item = &str> {
        self.functions.iter().chain(&self.variables).map(String::as_str)
    }

    fn take_in(&mut self, header: &str) {
        let code = without_comments(header).replace("\\\n", " ");
        for line in code.lines() {
            let mut words = line.split_whitespace();
            if words.next() == Some("#define") {
                let name = words.next().expect("a macro has a name");
                if !name.starts_with("ASTERISK_HEADERS_") {
                    self.macros.insert(name.to_owned());
                }
            }
        }
        let code: String = code.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n");
        for declaration in declarations(&code) {
            self.take_in_declaration(&declaration);
        }
    }

    fn take_in_declaration(&mut self, declaration: &str) {
        let words: Vec<&str> = declaration.split_whitespace().collect();
        let body = declaration.find('{');
        match *words.as_slice() {
            ["typedef", ..] => self.typedefs.insert(typedef_name(declaration)),
            ["extern", .., name] => self.variables.insert(name.trim_start_matches('*').to_owned()),
            ["enum", "{", ..] => self.take_in_enumerators(declaration),
            ["enum", tag, "{", ..] => self.enums.insert(tag.to_owned()) && self.take_in_enumerators(declaration),
            ["struct" | "union", tag, ..] if body.is_some() => self.structs.insert(tag.to_owned()),
            ["struct" | "union", tag] => self.opaque.insert(tag.to_owned()),
            _ => self.functions.insert(last_identifier(&declaration[..declaration.find('(').expect("a function")])),
        };
    }

    fn take_in_enumerators(&mut self, declaration: &str) -> bool {
        let body = &declaration[declaration.find('{').expect("a body") + 1..declaration.rfind('}').expect("its end")];
        let names = body.split(',').filter_map(|line| line.split('=').next()).map(str::trim);
        self.enumerators.extend(names.filter(|name| !name.is_empty()).map(str::to_owned));
        true
    }
}

fn headers_below(root: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(root).expect("asterisk-headers is there").map(|entry| entry.expect("readable").path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let mut headers: Vec<_> = files.into_iter().filter(|file| file.extension().is_some_and(|ext| ext == "h")).collect();
    headers.extend(folders.iter().flat_map(|folder| headers_below(folder)));
    headers.sort();
    headers
}

fn without_comments(header: &str) -> String {
    let mut code = String::new();
    let mut rest = header;
    while let Some((before, comment)) = rest.split_once("/*") {
        code += before;
        rest = comment.split_once("*/").expect("a comment ends").1;
    }
    code + rest
}

/// Splits `code` at the semicolons outside of braces.
fn declarations(code: &str) -> Vec<String> {
    let (mut found, mut current, mut depth) = (Vec::new(), String::new(), 0);
    for character in code.chars() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ';' if depth == 0 => {
                found.push(std::mem::take(&mut current).trim().to_owned());
                continue;
            }
            _ => {}
        }
        current.push(character);
    }
    found
}

/// The name in `typedef int (*name)(…)`, `typedef int name(…)` or `typedef struct tag name`.
fn typedef_name(declaration: &str) -> String {
    let until = match (declaration.find("(*"), declaration.find('(')) {
        (Some(pointer), _) => pointer + declaration[pointer..].find(')').expect("the name is in parentheses"),
        (None, Some(parameters)) => parameters,
        (None, None) => declaration.len(),
    };
    last_identifier(&declaration[..until])
}

fn last_identifier(text: &str) -> String {
    text.rsplit(|c: char| !c.is_alphanumeric() && c != '_').find(|word| !word.is_empty()).expect("a name").to_owned()
}
