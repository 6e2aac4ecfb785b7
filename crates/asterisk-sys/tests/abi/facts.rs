//! Reads the facts, with the layouts of older releases under the names of our headers.

use serde_json::Value;
use std::collections::BTreeSet;

/// The suffix in our headers of tags from before 11.11.0.
const OLD: &str = "_before_11_11";

pub struct Facts {
    pub release: Value,
    pub drift: Value,
}

impl Facts {
    pub fn read() -> Self {
        let parse = |text| serde_json::from_str(text).expect("the facts are JSON");
        Self {
            release: parse(include_str!("../facts/asterisk-11.json")),
            drift: parse(include_str!("../facts/asterisk-11-drift.json")),
        }
    }

    /// The layout of a struct or union; `None` if the facts leave it opaque or do not have it.
    pub fn layout(&self, tag: &str) -> Option<&Value> {
        let layout = match tag.strip_suffix(OLD) {
            // The first variant in the drift file is the oldest.
            Some(new) => &self.drift["structs"][new][0]["layout"],
            None => &self.release["structs"][tag],
        };
        layout["fields"].is_array().then_some(layout)
    }

    /// Translates a type from the facts' spelling to that of a struct in our headers.
    pub fn type_within(tag: &str, spelled: &str) -> String {
        match tag.ends_with(OLD) {
            true => spelled.replace("struct ast_rtp_dtls_cfg ", "struct ast_rtp_dtls_cfg_before_11_11 "),
            false => spelled.to_owned(),
        }
    }

    pub fn symbols_of_some_releases(&self) -> BTreeSet<&str> {
        self.drift["symbols"].as_object().expect("an object").keys().map(String::as_str).collect()
    }

    /// Every name that a header may declare.
    pub fn names(&self) -> BTreeSet<String> {
        let mut names: BTreeSet<String> = ["structs", "enums", "typedefs", "constants", "functions", "variables"]
            .iter()
            .flat_map(|kind| self.release[kind].as_object().expect("an object").keys().cloned())
            .collect();
        let older: Vec<_> = self.drift["structs"].as_object().expect("an object").keys().cloned().collect();
        names.extend(older.into_iter().map(|tag| tag + OLD));
        // The types of functions, for dlsym.
        let looked_up: Vec<_> = self.release["functions"].as_object().expect("an object").keys().cloned().collect();
        names.extend(looked_up.into_iter().map(|name| name + "_fn"));
        let tagged = self.release["enums"].as_object().expect("an object").values();
        for enumeration in tagged.chain(self.release["anonymous_enums"].as_array().expect("an array")) {
            let constants = enumeration["constants"].as_array().expect("an array");
            names.extend(constants.iter().map(|constant| text(&constant["name"]).to_owned()));
        }
        names
    }
}

pub fn text(value: &Value) -> &str {
    value.as_str().expect("a string")
}
