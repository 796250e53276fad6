//! Reading the tables below a table. Used like the rest of [`Fields`].

use super::{Each, Fields, Word, is_off, join};
use crate::document::Data;
use crate::keys::Kind;
use crate::lower::{Lower, unknown};

/// What a key of `Kind::TextsOrTable` may be.
pub(crate) enum TextsOrTable<'d> {
    Off,
    On,
    Texts(Vec<Word>),
    Table(Fields<'d>),
}

impl<'d> Fields<'d> {
    /// A table below this one; an absent one reads as empty.
    pub(crate) fn table(&self, cx: &mut Lower<'_>, name: &str) -> Fields<'d> {
        let (Kind::Table(keys) | Kind::TableOrOff(keys)) = self.key(name).kind else {
            unreachable!("{name} is a table")
        };
        let path = join(&self.path, name);
        let Some(entry) = self.table.and_then(|table| table.entry(name)) else {
            return Fields::absent(keys, path, self.span);
        };
        let origin = cx.origin(entry.value.span);
        cx.note(path.clone(), origin);
        match &entry.value.data {
            Data::Table(table) => Fields::open(cx, keys, Some(table), (path, entry.value.span)),
            _ => {
                cx.no_table(name, &entry.value, keys.header);
                Fields {
                    doubtful: true,
                    ..Fields::absent(keys, path, entry.value.span)
                }
            }
        }
    }

    /// A table below this one; `None` = it is off. `true` reads as an empty table.
    pub(crate) fn bool_or_table(&self, cx: &mut Lower<'_>, name: &str) -> Option<Fields<'d>> {
        let Kind::BoolOrTable(keys) = self.key(name).kind else {
            unreachable!("{name} is on, off or a table")
        };
        let path = join(&self.path, name);
        let place = self.place(name);
        let flag = match self.entry(cx, name).map(|entry| &entry.value) {
            None => self.key(name).default == "true",
            Some(value) if is_off(value) => false,
            Some(value) => match &value.data {
                Data::Bool(_) => true,
                Data::Table(table) => {
                    return Some(Fields::open(cx, keys, Some(table), (path, value.span)));
                }
                _ => {
                    let expected = format!("true, false or a table: {}", keys.header);
                    cx.wrong_type(name, value, &expected);
                    false
                }
            },
        };
        flag.then(|| Fields::absent(keys, path, place))
    }

    /// What a key of [`Kind::PathOrTable`] says; `None` = it is not there.
    pub(crate) fn path_or_table(&self, cx: &mut Lower<'_>, name: &str) -> Option<Each<'d>> {
        let Kind::PathOrTable(keys) = self.key(name).kind else {
            unreachable!("{name} is a path or a table")
        };
        let path = join(&self.path, name);
        let value = &self.entry(cx, name)?.value;
        Some(match &value.data {
            _ if is_off(value) => Each::Off,
            Data::Bool(_) => Each::Table(Fields::absent(keys, path, value.span)),
            Data::Text(text) => Each::Text((text.clone(), value.span)),
            Data::Table(table) => {
                Each::Table(Fields::open(cx, keys, Some(table), (path, value.span)))
            }
            _ => {
                let expected = format!("a path, true, false or a table: {}", keys.header);
                cx.wrong_type(name, value, &expected);
                return None;
            }
        })
    }

    /// Words, a switch or a table. Absent or refused: `None`.
    pub(crate) fn texts_or_table(
        &self,
        cx: &mut Lower<'_>,
        name: &str,
    ) -> Option<TextsOrTable<'d>> {
        let Kind::TextsOrTable(keys) = self.key(name).kind else {
            unreachable!("{name} is texts or a table")
        };
        let value = &self.entry(cx, name)?.value;
        Some(match &value.data {
            _ if is_off(value) => TextsOrTable::Off,
            Data::Bool(_) => TextsOrTable::On,
            Data::Table(table) => {
                let place = (join(&self.path, name), value.span);
                TextsOrTable::Table(Fields::open(cx, keys, Some(table), place))
            }
            Data::Array(_) | Data::Text(_) => TextsOrTable::Texts(self.texts(cx, name)?),
            _ => {
                let expected = format!("a list of texts, true, false or a table: {}", keys.header);
                cx.wrong_type(name, value, &expected);
                return None;
            }
        })
    }

    /// The free keys of a table and what stands there; `Some(None)` = all of it is off, `None` = it
    /// is not there.
    pub(crate) fn each(
        &self,
        cx: &mut Lower<'_>,
        name: &str,
    ) -> Option<Option<Vec<(Word, Each<'d>)>>> {
        let Kind::Each(keys) = self.key(name).kind else {
            unreachable!("{name} has free keys")
        };
        let path = join(&self.path, name);
        let value = &self.entry(cx, name)?.value;
        if is_off(value) {
            return Some(None);
        }
        let Data::Table(table) = &value.data else {
            cx.wrong_type(name, value, "a table such as { 404 = \"errors/404.html\" }");
            return None;
        };
        let mut found = Vec::new();
        for entry in &table.entries {
            let value = &entry.value;
            let each = match &value.data {
                _ if is_off(value) => Each::Off,
                Data::Text(text) => Each::Text((text.clone(), value.span)),
                Data::Table(table) => {
                    let path = (join(&path, &entry.key), value.span);
                    Each::Table(Fields::open(cx, keys, Some(table), path))
                }
                _ => {
                    let expected = format!("a path, false or a table: {}", keys.header);
                    cx.wrong_type(&entry.key, value, &expected);
                    continue;
                }
            };
            found.push(((entry.key.clone(), entry.key_span), each));
        }
        Some(Some(found))
    }

    /// The tables of `[[...name]]`.
    pub(crate) fn tables(&self, cx: &mut Lower<'_>, name: &str) -> Vec<Fields<'d>> {
        let Kind::Tables(keys) = self.key(name).kind else {
            unreachable!("{name} is a list")
        };
        let Some(entry) = self.table.and_then(|table| table.entry(name)) else {
            return Vec::new();
        };
        let Data::Array(items) = &entry.value.data else {
            cx.wrong_type(
                name,
                &entry.value,
                &format!("a list of tables: {}", keys.header),
            );
            return Vec::new();
        };
        let mut found = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let path = format!("{}[{index}]", join(&self.path, name));
            match &item.data {
                Data::Table(table) => {
                    found.push(Fields::open(cx, keys, Some(table), (path, item.span)));
                }
                _ => cx.wrong_type(name, item, &format!("a table: {}", keys.header)),
            }
        }
        found
    }

    /// One table or a list of them, none where it is off; `None` = the file does not have the key.
    pub(crate) fn tables_or_off(&self, cx: &mut Lower<'_>, name: &str) -> Option<Vec<Fields<'d>>> {
        let Kind::TablesOrOff(keys) = self.key(name).kind else {
            unreachable!("{name} is a table, a list or off")
        };
        let path = join(&self.path, name);
        let value = &self.entry(cx, name)?.value;
        let items = match &value.data {
            _ if is_off(value) => &[][..],
            Data::Array(items) => items,
            _ => std::slice::from_ref(value),
        };
        let mut found = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let Data::Table(table) = &item.data else {
                let expected = format!("a table, a list of tables, or false: {}", keys.header);
                cx.wrong_type(name, item, &expected);
                continue;
            };
            let place = (format!("{path}[{index}]"), item.span);
            found.push(Fields::open(cx, keys, Some(table), place));
        }
        Some(found)
    }

    /// The tables of `[name.NAME]`, with their names.
    pub(crate) fn named(&self, cx: &mut Lower<'_>, name: &str) -> Vec<(Word, Fields<'d>)> {
        let Kind::Named(keys) = self.key(name).kind else {
            unreachable!("{name} has names")
        };
        let Some(entry) = self.table.and_then(|table| table.entry(name)) else {
            return Vec::new();
        };
        let Data::Table(table) = &entry.value.data else {
            cx.wrong_type(
                name,
                &entry.value,
                &format!("tables with names: {}", keys.header),
            );
            return Vec::new();
        };
        let mut found = Vec::new();
        for entry in &table.entries {
            cx.check_name(&entry.key, entry.key_span);
            let Data::Table(table) = &entry.value.data else {
                cx.report(unknown::not_named(keys, entry));
                continue;
            };
            let path = format!("{}.{}", join(&self.path, name), entry.key);
            let fields = Fields::open(cx, keys, Some(table), (path, entry.value.span));
            found.push(((entry.key.clone(), entry.key_span), fields));
        }
        found
    }
}
