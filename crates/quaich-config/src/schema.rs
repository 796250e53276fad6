//! JSON Schema (2020-12) of the configuration file, made from the key table.
//!
//! For editors (`#:schema ./quaich.schema.json`) and `quaich schema`.

use serde_json::{Map, Value, json};

use crate::keys::{Key, Keys, Kind, TOP};
use crate::reference::words;

const DURATION: &str = r"^[0-9]+(\.[0-9]+)?(ms|s|m|h|d)$";
const SIZE: &str = r"^[0-9]+(\.[0-9]+)?(B|kB|KB|MB|GB|KiB|MiB|GiB)$";
const RATE: &str = r"^[0-9]+(\.[0-9]+)?(B|kB|KB|MB|GB|KiB|MiB|GiB)/(s|m|min|h)$";
const NAME: &str = "^[a-z0-9_-]+$";

/// The schema of the whole file. Keys that this version refuses are not in it.
#[must_use]
pub fn json_schema() -> Value {
    let mut schema = table(&TOP);
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("quaich.toml");
    schema
}

fn table(keys: &'static Keys) -> Value {
    let mut properties = Map::new();
    for key in keys.keys.iter().filter(|key| !key.later) {
        properties.insert(key.name.into(), property(key));
    }
    json!({
        "type": "object",
        "description": keys.doc,
        "properties": properties,
        "additionalProperties": false,
    })
}

fn property(key: &Key) -> Value {
    let mut schema = of_kind(key.kind);
    schema["description"] = json!(key.doc);
    if !key.default.is_empty() {
        schema["default"] = default(key);
    }
    schema
}

fn default(key: &Key) -> Value {
    match key.kind {
        Kind::Bool => json!(key.default == "true"),
        Kind::Count(..) => key.default.parse::<u64>().map_or(Value::Null, |n| json!(n)),
        Kind::Texts | Kind::TextsOrOff => json!(words(key).collect::<Vec<_>>()),
        _ => json!(key.default),
    }
}

fn of_kind(kind: Kind) -> Value {
    let off = json!({ "enum": [false, "off"] });
    let text = |pattern: &str| json!({ "type": "string", "pattern": pattern });
    let number = |low, high| json!({ "type": "integer", "minimum": low, "maximum": high });
    match kind {
        Kind::Text | Kind::Path => json!({ "type": "string" }),
        Kind::TextOrOff => json!({ "anyOf": [{ "type": "string" }, { "const": false }] }),
        Kind::TextOrTrue => json!({ "anyOf": [{ "type": "string" }, { "const": true }] }),
        Kind::Bool => json!({ "enum": [true, false, "off"] }),
        Kind::AutoBool => json!({ "enum": ["auto", true, false, "off"] }),
        Kind::Count(0, high) => json!({ "anyOf": [number(0, high), off] }),
        Kind::Count(low, high) => number(low, high),
        Kind::AutoCount(low, high) => json!({ "anyOf": [{ "const": "auto" }, number(low, high)] }),
        Kind::Duration | Kind::DurationOrZero => text(DURATION),
        Kind::Size => json!({ "anyOf": [text(SIZE), off] }),
        Kind::Rate => json!({ "anyOf": [text(RATE), off] }),
        Kind::Word(words) => json!({ "enum": words }),
        Kind::Switch(words) => {
            json!({ "anyOf": [{ "enum": words }, { "const": false }] })
        }
        Kind::Texts => {
            let list = json!({ "type": "array", "items": { "type": "string" } });
            json!({ "anyOf": [{ "type": "string" }, list] })
        }
        Kind::TextsOrOff => {
            let list = json!({ "type": "array", "items": { "type": "string" } });
            json!({ "anyOf": [{ "type": "string" }, list, { "const": false }] })
        }
        Kind::Counts(low, high) => {
            let list = json!({ "type": "array", "items": number(low, high) });
            json!({ "anyOf": [number(low, high), list] })
        }
        Kind::Pairs => {
            json!({ "type": "object", "additionalProperties": { "type": "string" } })
        }
        Kind::Table(inner) => table(inner),
        Kind::TableOrOff(inner) => json!({ "anyOf": [off, table(inner)] }),
        Kind::DurationOrTable(inner) => {
            json!({ "anyOf": [text(DURATION), { "enum": [true, false, "off"] }, table(inner)] })
        }
        Kind::BoolOrTable(inner) => {
            json!({ "anyOf": [{ "enum": [true, false, "off"] }, table(inner)] })
        }
        Kind::TablesOrOff(inner) => {
            let list = json!({ "type": "array", "items": table(inner) });
            json!({ "anyOf": [off, table(inner), list] })
        }
        Kind::PathOrTable(inner) => json!({
            "anyOf": [{ "type": "string" }, { "enum": [true, false, "off"] }, table(inner)]
        }),
        Kind::Each(inner) => {
            let each = json!({ "anyOf": [{ "type": "string" }, { "const": false }, table(inner)] });
            json!({ "anyOf": [off, { "type": "object", "additionalProperties": each }] })
        }
        Kind::Statuses => {
            let one = json!({ "anyOf": [number(400, 599), { "enum": ["4xx", "5xx", "*"] }] });
            let list = json!({ "type": "array", "items": one });
            json!({ "anyOf": [{ "enum": [true, false, "off"] }, one, list] })
        }
        Kind::TextOrTables(inner) => {
            let list = json!({ "type": "array", "items": table(inner) });
            json!({ "anyOf": [{ "type": "string" }, { "const": false }, table(inner), list] })
        }
        Kind::Tables(inner) => json!({ "type": "array", "items": table(inner) }),
        Kind::Named(inner) => json!({
            "type": "object",
            "propertyNames": { "pattern": NAME },
            "additionalProperties": table(inner),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_named_table_says_what_it_holds() {
        let schema = json_schema();
        for name in ["app", "upstream", "site"] {
            let inner = &schema["properties"][name]["additionalProperties"];
            assert_eq!(inner["type"], "object", "{name}");
            assert_eq!(inner["additionalProperties"], false, "{name}");
        }
        let route = &schema["properties"]["site"]["additionalProperties"]["properties"]["route"];
        assert!(route["items"]["properties"]["path"]["description"].is_string());
        assert!(schema["properties"]["server"]["properties"]["sandbox"].is_null());
    }
}
