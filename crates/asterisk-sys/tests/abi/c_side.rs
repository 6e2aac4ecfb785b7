//! Compares our headers with the facts by a C program: it compiles and runs without output if they agree.

use crate::{
    declared::Declared,
    facts::{Facts, text},
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    env,
    fmt::Write as _,
    fs,
    path::PathBuf,
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

pub struct Program {
    headers: BTreeMap<String, String>,
    source: String,
}

/// Writes a program that compares everything that is both declared and known.
pub fn program(facts: &Facts, declared: &Declared) -> Program {
    let mut writer = Writer::default();
    for tag in &declared.structs {
        if let Some(layout) = facts.layout(tag) {
            writer.layout(tag, layout);
        }
    }
    for tag in &declared.enums {
        writer.enumeration(tag, &facts.release["enums"][tag]);
    }
    for enumeration in facts.release["anonymous_enums"].as_array().expect("an array") {
        writer.enumerators(enumeration, |name| declared.enumerators.contains(name));
    }
    for name in &declared.macros {
        writer.constant(name, &facts.release["constants"][name]);
    }
    for name in &declared.functions {
        writer.same_type(name, &facts.release["functions"][name]);
    }
    for name in &declared.variables {
        writer.same_type(name, &facts.release["variables"][name]);
    }
    for name in &declared.typedefs {
        writer.typedef(name, &facts.release);
    }
    Program { headers: declared.headers.clone(), source: writer.finish(facts, declared) }
}

/// Compiles the program against its headers and runs it. The error is the output of the compiler or the program.
pub fn compile_and_run(program: &Program) -> Result<(), String> {
    let folder = fresh_folder();
    for (name, text) in &program.headers {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().expect("below the folder")).expect("a writable folder");
        fs::write(path, text).expect("a writable folder");
    }
    let (source, binary) = (folder.join("abi.c"), folder.join("abi"));
    fs::write(&source, &program.source).expect("a writable folder");
    let compiler = env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let verdict =
        run(Command::new(compiler).args(["-std=gnu11", "-w", "-I"]).arg(&folder).arg(&source).arg("-o").arg(&binary))
            .and_then(|()| run(&mut Command::new(&binary)));
    fs::remove_dir_all(folder).expect("our own folder");
    verdict
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let said = [output.stdout, output.stderr].concat();
    output.status.success().then_some(()).ok_or_else(|| String::from_utf8_lossy(&said).into_owned())
}

fn fresh_folder() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("abi-{}-{number}", std::process::id()));
    fs::create_dir_all(&folder).expect("cargo gives tests a writable folder");
    folder
}

/// Assertions for the compiler, and statements for what only the running program can compare.
#[derive(Default)]
struct Writer {
    assertions: String,
    statements: String,
}

impl Writer {
    fn layout(&mut self, tag: &str, layout: &Value) {
        let kind = text(&layout["kind"]);
        let whole = format!("{kind} {tag}");
        self.assert(&format!("sizeof({whole}) == {}", layout["size"]), &whole);
        self.assert(&format!("_Alignof({whole}) == {}", layout["align"]), &whole);
        for field in layout["fields"].as_array().expect("an array") {
            match field["bit_width"].as_u64() {
                Some(width) => self.bit_field(&whole, field, width),
                None => self.field(tag, &whole, field),
            }
        }
    }

    fn field(&mut self, tag: &str, whole: &str, field: &Value) {
        let (name, spelled) = (text(&field["name"]), text(&field["type"]));
        let member = format!("((({whole} *) 0)->{name})");
        let what = format!("{whole}: {name}");
        self.assert(&format!("__builtin_offsetof({whole}, {name}) == {}", field["offset"]), &what);
        self.assert(&format!("sizeof{member} == {}", field["size"]), &what);
        if !spelled.ends_with("{...}") {
            self.types(&format!("__typeof__{member}"), &Facts::type_within(tag, spelled), &what);
        }
    }

    /// Sets the bit field to all ones and compares every bit of the struct.
    fn bit_field(&mut self, whole: &str, field: &Value, width: u64) {
        let (name, offset) = (text(&field["name"]), field["bit_offset"].as_u64().expect("a number"));
        writeln!(
            self.statements,
            "\t{{ {whole} it; memset(&it, 0, sizeof it); it.{name} = -1; \
             bits(\"{whole}: {name}\", &it, sizeof it, {offset}, {width}); }}"
        )
        .expect("a string takes everything");
    }

    fn enumeration(&mut self, tag: &str, enumeration: &Value) {
        if enumeration.is_null() {
            return;
        }
        let whole = format!("enum {tag}");
        let sign = if text(&enumeration["underlying"]).starts_with("unsigned") { ">" } else { "<" };
        self.assert(&format!("sizeof({whole}) == {}", enumeration["size"]), &whole);
        self.assert(&format!("(({whole}) -1) {sign} 0"), &whole);
        self.enumerators(enumeration, |_| true);
    }

    fn enumerators(&mut self, enumeration: &Value, wanted: impl Fn(&str) -> bool) {
        for constant in enumeration["constants"].as_array().expect("an array") {
            let name = text(&constant["name"]);
            if wanted(name) {
                self.assert(&format!("{name} == {}", constant["value"]), name);
            }
        }
    }

    fn constant(&mut self, name: &str, fact: &Value) {
        match fact["kind"].as_str() {
            Some("integer") => self.assert(&format!("({name}) == {}", fact["value"]), name),
            Some("pointer") => self.statement(&format!("(long) ({name}) == {}L", fact["value"]), name),
            Some("string") if fact["length"].is_u64() => {
                // The text of the key is compared by its MD5, in Rust. Here only its length and the sum of
                // its bytes are compared.
                let sum: u64 = asterisk_sys::ASTERISK_GPL_KEY.to_bytes().iter().map(|byte| u64::from(*byte)).sum();
                self.statement(&format!("sizeof({name}) - 1 == {} && sum({name}) == {sum}", fact["length"]), name);
            }
            Some("string") => self.statement(&format!("strcmp({name}, {}) == 0", fact["value"]), name),
            _ => {}
        }
    }

    fn same_type(&mut self, name: &str, fact: &Value) {
        if let Some(spelled) = fact["type"].as_str() {
            self.types(&format!("__typeof__({name})"), spelled, name);
        }
    }

    fn typedef(&mut self, name: &str, release: &Value) {
        if let Some(spelled) = release["typedefs"][name]["type"].as_str() {
            self.types(name, spelled, name);
        } else if let Some(function) = name.strip_suffix("_fn").map(|function| &release["functions"][function])
            && let Some(spelled) = function["type"].as_str()
        {
            self.types(&format!("__typeof__(*({name}) 0)"), spelled, name);
        }
    }

    fn types(&mut self, ours: &str, spelled: &str, what: &str) {
        self.assert(&format!("__builtin_types_compatible_p({ours}, {spelled})"), what);
    }

    fn assert(&mut self, condition: &str, what: &str) {
        writeln!(self.assertions, "_Static_assert({condition}, \"{what}\");").expect("a string takes everything");
    }

    fn statement(&mut self, condition: &str, what: &str) {
        writeln!(self.statements, "\tif (!({condition})) wrong(\"{what}\");").expect("a string takes everything");
    }

    fn finish(self, facts: &Facts, declared: &Declared) -> String {
        let includes: String = declared.headers.keys().map(|name| format!("#include \"{name}\"\n")).collect();
        // Declare all tags first: a tag that first appears in a prototype would be a different type in each.
        let structs = facts.release["structs"].as_object().expect("an object").iter();
        let tags: String = structs.map(|(tag, layout)| format!("{} {tag};\n", text(&layout["kind"]))).collect();
        format!(
            "{includes}{tags}{CHECKS}{}\nint main(void)\n{{\n{}\treturn failed;\n}}\n",
            self.assertions, self.statements
        )
    }
}

const CHECKS: &str = r#"
#include <stdio.h>
#include <string.h>

static int failed;

static void wrong(const char *what)
{
	failed = 1;
	puts(what);
}

static unsigned long sum(const char *text)
{
	unsigned long total = 0;
	while (*text)
		total += (unsigned char) *text++;
	return total;
}

static void bits(const char *what, const void *memory, unsigned long size, unsigned long offset, unsigned long width)
{
	for (unsigned long bit = 0; bit < size * 8; bit++) {
		int set = ((const unsigned char *) memory)[bit / 8] >> (bit % 8) & 1;
		if (set != (bit >= offset && bit < offset + width)) {
			wrong(what);
			return;
		}
	}
}

"#;
